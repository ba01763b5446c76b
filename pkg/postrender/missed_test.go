package postrender_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/pkg/postrender"
)

// hooked is a labelled Job that is a Helm hook.
func hooked(event string) string {
	return strings.Replace(workload("Job", "h"), "  name: h\n", "  name: h\n  annotations: {helm.sh/hook: "+event+"}\n", 1)
}

// scratchAtData takes the default path in the last container of a workload.
const scratchAtData = "        volumeMounts:\n        - {name: scratch, mountPath: /data}\n"

func TestAHookMayUseAProfileWhoseClaimExists(t *testing.T) {
	config, _, err := storage.Load([]byte(`
apiVersion: pipeline-storage.io/v1alpha1
kind: StorageConfig
profiles:
- name: default
- name: old
  claim: {name: of-last-year, create: false}
  mount: {path: /old}
`))
	require.NoError(t, err)
	r := &postrender.Renderer{Config: config, Release: storage.Release{Name: "rel", Namespace: "pipelines"}}
	for profile, exp := range map[string]inject.Reason{"old": inject.ReasonInjected, "default": inject.ReasonHookNotInjected} {
		annotated := strings.Replace(hooked("pre-install"), "    metadata:\n", "    metadata:\n      annotations: {pipeline-storage.io/profiles: "+profile+"}\n", 1)
		out, err := r.Render([]byte(annotated))
		require.NoError(t, err)
		assert.Equal(t, exp, out.Report.Workloads[0].Reason, profile)
	}
}

func TestAWithheldHookCannotRefuseTheRun(t *testing.T) {
	in := hooked("pre-install") + scratchAtData
	out, err := labelled().Render([]byte(in))
	require.NoError(t, err)
	assert.Equal(t, inject.ReasonHookNotInjected, out.Report.Workloads[0].Reason)
	assert.Equal(t, in, string(out.Bytes()))
}

// TestNothingThatWasAskedForIsMissedSilently holds the warnings to pods that were asked for.
func TestNothingThatWasAskedForIsMissedSilently(t *testing.T) {
	custom := func(labels string) string {
		return "---\napiVersion: x.io/v1\nkind: Training\nmetadata: {name: t}\nspec:\n  template:\n    metadata: {labels: {" + labels +
			"}}\n    spec:\n      containers:\n      - name: main\n        image: x\n"
	}
	windows := strings.Replace(workload("Deployment", "w"), "    spec:\n", "    spec:\n      nodeSelector: {kubernetes.io/os: windows}\n", 1)
	misspelt := func(p *storage.Profile) { p.Mount.Containers = []string{"mian"} }
	cases := map[string]struct {
		renderer *postrender.Renderer
		stream   string
		exp      string
	}{
		"a kind that no row knows, with the label": {labelled(), custom("pipeline-storage: enabled"), "UnsupportedKind: it seems to hold a pod"},
		"a kind that no row knows, without":        {labelled(), custom("app: x"), ""},
		"a workflow inside something else": {
			labelled(), "---\napiVersion: argoproj.io/v1alpha1\nkind: Sensor\nmetadata: {labels: {pipeline-storage: enabled}, name: s}\n" +
				"spec: {triggers: [{template: {k8s: {source: {resource: {kind: Workflow, spec: {templates: [{script: {image: x}}]}}}}}}]}\n",
			"UnsupportedKind: it seems to hold a pod",
		},
		"a workflow of references": {
			labelled(), "---\napiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {labels: {pipeline-storage: enabled}, name: w}\n" +
				"spec: {templates: [{dag: {tasks: [{templateRef: {name: x, template: y}}]}}]}\n",
			"NoPods: its templates run no containers of their own: mount in the WorkflowTemplates that they name",
		},
		"a Windows pod":                 {labelled(), windows, "WindowsNotInjected: "},
		"a container that is not there": {labelled(misspelt), workload("Job", "a"), "Excluded: "},
		"a hook that is too early":      {labelled(), hooked("pre-install"), "HookNotInjected: "},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			out, err := tc.renderer.Render([]byte(tc.stream))
			require.NoError(t, err)
			require.Len(t, out.Report.Workloads, 1)
			warnings := strings.Join(out.Report.Workloads[0].Warnings, "\n")
			if tc.exp == "" {
				assert.Empty(t, warnings)
				return
			}
			assert.Contains(t, warnings, tc.exp)
			assert.Contains(t, strings.Join(out.Report.Warnings, "\n"), "nothing was selected")
		})
	}
}

func TestStorageOfOtherGroupsIsNoStorage(t *testing.T) {
	in := "apiVersion: storage.example.com/v1\nkind: PersistentVolumeClaim\nmetadata: {name: pvc-data-pipeline.rel}\n" + workload("Deployment", "a")
	out, err := labelled().Render([]byte(in))
	require.NoError(t, err)
	assert.Len(t, out.Report.Objects, 2)
}

func TestStorageStandsBehindANamespaceInAnyStyle(t *testing.T) {
	in := `{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}}` + "\n" + workload("Deployment", "a")
	out, err := labelled().Render([]byte(in))
	require.NoError(t, err)
	text := string(out.Bytes())
	assert.Less(t, strings.Index(text, "Namespace"), strings.Index(text, "kind: StorageClass"))
	assert.Less(t, strings.Index(text, "kind: PersistentVolumeClaim"), strings.Index(text, "kind: Deployment"))
}

func TestARefusedRunDoesNotSayThatNothingWasSelected(t *testing.T) {
	out, err := labelled().Render([]byte(workload("Deployment", "a") + scratchAtData))
	require.Error(t, err)
	assert.Empty(t, out.Report.Warnings)
	assert.Equal(t, err.Error(), out.Report.Error)
}

func TestNamesOfNoReleaseAreRefused(t *testing.T) {
	for exp, release := range map[string]storage.Release{
		`the namespace "N S" is none: `:  {Name: "rel", Namespace: "N S"},
		`the release "My/Rel" is none: `: {Name: "My/Rel", Namespace: "ns"},
	} {
		r := labelled()
		r.Release = release
		_, err := r.Render(nil)
		require.ErrorContains(t, err, exp)
	}
}

func TestAStreamThatNeedsNoNamesNeedsNoRelease(t *testing.T) {
	r := labelled()
	r.Release = storage.Release{}
	for _, in := range []string{"", "# nothing\n", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"} {
		out, err := r.Render([]byte(in))
		require.NoError(t, err)
		assert.Equal(t, in, string(out.Bytes()))
	}
}

func TestAKindThatIsOnlyGuessedIsNotTold(t *testing.T) {
	_, err := labelled().Render([]byte(`{"apiVersion":"apps/v1","kind":"Deployment","spec":{"note":"Workflow", "template`))
	require.ErrorContains(t, err, "document 1: cannot be parsed: ")
}

func TestKindsAreAskedForAsKubectlDoes(t *testing.T) {
	r := labelled()
	r.Kinds = []string{"deployment"}
	out, err := r.Render([]byte(workload("Deployment", "a")))
	require.NoError(t, err)
	assert.Equal(t, 1, out.Report.Count(inject.ReasonInjected))
}

// TestARootKeyIsNotGluedToTheSeparator has a kind whose volumes stand at the root of the document.
func TestARootKeyIsNotGluedToTheSeparator(t *testing.T) {
	r := newRenderer(t, storage.DefaultMountPath)
	r.Config.Kinds = []kinds.Kind{{Group: "x.io", Kind: "Task", Pods: []kinds.PodPaths{{Scope: ".", Volumes: "volumes", Containers: []string{"steps[*]"}}}}}
	for name, head := range map[string]string{"a comment": "---\n# Source: a\n", "a comment on the line": "--- # a\n", "nothing": "---\n", "no separator": ""} {
		t.Run(name, func(t *testing.T) {
			out := requireProperties(t, r, []byte(head+"apiVersion: x.io/v1\nkind: Task\nsteps:\n- name: a\n"))
			assert.Contains(t, string(out.Bytes()), "\nvolumes:\n- name: pipeline-storage\n")
			assert.NotContains(t, string(out.Bytes()), "---volumes")
		})
	}
}

// TestKindsInOddPlacesAreSeen has pods whose kind the scan of lines could miss.
func TestKindsInOddPlacesAreSeen(t *testing.T) {
	for name, line := range map[string]string{
		"a tab before the comment": "kind: Pod\t# x\n", "a tagged key": "!!str kind: Pod\n", "an anchored key": "&a kind: Pod\n",
		"a folded value": "kind: \"Po\\\n  d\"\n", "a value on the next line": "kind:\n  Pod\n",
	} {
		t.Run(name, func(t *testing.T) {
			r := newRenderer(t, storage.DefaultMountPath)
			out := requireProperties(t, r, []byte("apiVersion: v1\n"+line+"metadata:\n  name: p\nspec:\n  containers:\n  - name: c\n    image: x\n"))
			assert.Equal(t, 1, out.Report.Count(inject.ReasonInjected))
		})
	}
}

// TestStorageIsReadAsItWasWritten has characters that YAML folds or refuses where JSON lets them stand.
func TestStorageIsReadAsItWasWritten(t *testing.T) {
	value := "a\x7fb\u0085c\u2028d\ufeffe\u009ff"
	r := labelled(func(p *storage.Profile) { p.StorageClass.Parameters = map[string]string{"note": value} })
	out, err := r.Render([]byte(workload("Deployment", "a")))
	require.NoError(t, err)
	var class struct{ Parameters map[string]string }
	require.NoError(t, yaml.Unmarshal([]byte(strings.Split(storageOf(out), "---\n")[1]), &class))
	assert.Equal(t, value, class.Parameters["note"])
}

// TestArgoInlineTemplatesAreMounted has templates inside the tasks and steps of others, and a list of lists.
func TestArgoInlineTemplatesAreMounted(t *testing.T) {
	in := `apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: w}
spec:
  templates:
  - name: dag
    dag:
      tasks:
      - name: a
        inline:
          container: {image: x}
  - name: steps
    steps:
    - - name: b
        inline:
          script:
            image: y
    - - name: c
        template: dag
`
	out := requireProperties(t, newRenderer(t, storage.DefaultMountPath), []byte(in))
	var pods []string
	for _, w := range out.Report.Workloads {
		assert.Equal(t, inject.ReasonInjected, w.Reason)
		pods = append(pods, w.Pod)
	}
	assert.Equal(t, []string{"/spec/templates/0/dag/tasks/0/inline", "/spec/templates/1/steps/0/0/inline"}, pods)
}

// TestALargeListTakesItsTimeOnce has so many edits in one document, on one line, that anything quadratic would show.
func TestALargeListTakesItsTimeOnce(t *testing.T) {
	const pods = 5000
	item := `{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "c"}]}}`
	in := `{"apiVersion": "v1", "kind": "List", "items": [` + strings.Repeat(item+",", pods-1) + item + "]}\n"
	r := newRenderer(t, storage.DefaultMountPath)
	r.Selector = labels.Everything()
	out, err := r.Render([]byte(in))
	require.NoError(t, err)
	assert.Equal(t, pods, out.Report.Count(inject.ReasonInjected))
}

func TestAnUnknownKindIsToldWithTheRowToAdd(t *testing.T) {
	in := `apiVersion: example.com/v1
kind: Training
metadata: {name: t}
spec:
  roles:
    Master:
      template:
        spec:
          containers:
          - name: main
            image: x
`
	out, err := newRenderer(t, storage.DefaultMountPath).Render([]byte(in))
	require.NoError(t, err)
	assert.Equal(t, `it seems to hold a pod, but kind Training of group "example.com" is not known: add a row for it under kinds: in the configuration file, `+
		`such as {group: "example.com", kind: Training, pods: [{podTemplate: "spec.roles.Master.template"}]}`, out.Report.Workloads[0].Message)

	config, _, err := storage.Load([]byte(`
apiVersion: pipeline-storage.io/v1alpha1
kind: StorageConfig
profiles: [{name: default}]
kinds:
- {group: "example.com", kind: Training, pods: [{podTemplate: "spec.roles.Master.template"}]}
`))
	require.NoError(t, err)
	r := &postrender.Renderer{Config: config, Release: storage.Release{Name: "rel", Namespace: "pipelines"}, Selector: labels.Everything()}
	out = requireProperties(t, r, []byte(in))
	assert.Equal(t, 1, out.Report.Count(inject.ReasonInjected), "the advice works")
}

// TestWhatCannotBeMountedHereIsTold has pods whose containers are elsewhere: the report says why and what becomes of them,
// and those that were asked for are warned of.
func TestWhatCannotBeMountedHereIsTold(t *testing.T) {
	const (
		asks     = "; the label pipeline-storage: enabled lets the webhook mount the claim when the pods are created"
		taskRun  = "apiVersion: tekton.dev/v1\nkind: TaskRun\nmetadata:\n  name: r\n  labels: {%s}\nspec:\n  taskRef: {name: t}\n"
		enabled  = "pipeline-storage: enabled"
		stepRef  = "nothing can be mounted here, because the steps are those of the Task that it names" + asks
		trainJob = "apiVersion: trainer.kubeflow.org/v1alpha1\nkind: TrainJob\nmetadata:\n  name: t\n%sspec:\n  runtimeRef: {name: torch}\n"
	)
	for name, tt := range map[string]struct {
		in         string
		change     func(*postrender.Renderer)
		exp        inject.Reason
		expMessage string
		expWarn    bool
		expLabel   bool
	}{
		"a label is added":           {in: fmt.Sprintf(taskRun, ""), exp: inject.ReasonLabelled, expMessage: stepRef, expWarn: true, expLabel: true},
		"the label is there":         {in: fmt.Sprintf(taskRun, enabled), exp: inject.ReasonLabelled, expMessage: stepRef, expWarn: true},
		"nobody asked for this kind": {in: fmt.Sprintf(taskRun, enabled), change: func(r *postrender.Renderer) { r.Kinds = []string{"Job"} }, exp: inject.ReasonNotSelected, expMessage: "its kind is not among those that were asked for"},
		"the label is not there": {
			in: fmt.Sprintf(taskRun, ""), change: func(r *postrender.Renderer) { r.Selector = nil },
			exp: inject.ReasonNotSelected, expMessage: `its labels do not match "pipeline-storage=enabled"`,
		},
		"a hook gets no label": {
			in:  strings.Replace(fmt.Sprintf(taskRun, ""), "spec:", "  annotations: {helm.sh/hook: pre-install}\nspec:", 1),
			exp: inject.ReasonHookNotInjected, expMessage: "a pre-install hook runs before Helm has created the claim", expWarn: true,
		},
		"a hook that has the label keeps it": {
			in:  strings.Replace(fmt.Sprintf(taskRun, enabled), "spec:", "  annotations: {helm.sh/hook: pre-install}\nspec:", 1),
			exp: inject.ReasonLabelled, expMessage: stepRef, expWarn: true,
		},
		"there is no place for a label": {
			in: fmt.Sprintf(trainJob, ""), exp: inject.ReasonNoPods, expWarn: true,
			expMessage: "its pods are those of the training runtime that its runtimeRef names: mount there, or give their pod template the label pipeline-storage: enabled, " +
				"in the runtime or by runtimePatches, and the webhook mounts the claim",
		},
		"there is no place for a label, and nobody asked": {
			in: fmt.Sprintf(trainJob, ""), change: func(r *postrender.Renderer) { r.Selector = nil }, exp: inject.ReasonNoPods,
			expMessage: "its pods are those of the training runtime",
		},
		"a label that reaches no pod": {
			in: fmt.Sprintf(trainJob, "  labels:\n    pipeline-storage: enabled\n"), change: func(r *postrender.Renderer) { r.Selector = nil }, exp: inject.ReasonNoPods,
			expMessage: "its pods are those of the training runtime", expWarn: true,
		},
		"a kind without advice": {in: "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {}\n", exp: inject.ReasonNoPods, expMessage: "it has no containers of its own"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRenderer(t, storage.DefaultMountPath)
			if tt.change != nil {
				tt.change(r)
			}
			out, err := r.Render([]byte(tt.in))
			require.NoError(t, err)
			require.Len(t, out.Report.Workloads, 1)
			w := out.Report.Workloads[0]
			assert.Equal(t, tt.exp, w.Reason)
			assert.Contains(t, w.Message, tt.expMessage)
			assert.Equal(t, tt.expWarn, len(w.Warnings) > 0, "%v", w.Warnings)
			assert.Empty(t, out.Report.Objects, "what the webhook mounts, it makes")
			assert.Equal(t, tt.expLabel, len(w.Added) > 0)
			assert.Equal(t, tt.expLabel, out.Changed())
		})
	}
}

// TestAKindWithoutANamespaceIsWarnedOf is about a claim that serves one namespace, in an object that serves all.
func TestAKindWithoutANamespaceIsWarnedOf(t *testing.T) {
	in := "apiVersion: serving.kserve.io/v1alpha1\nkind: %s\nmetadata: {name: r}\nspec:\n  containers:\n  - name: c\n"
	for kind, exp := range map[string][]string{
		"ServingRuntime": nil,
		"ClusterServingRuntime": {"a ClusterServingRuntime belongs to no namespace: its pods run where it is used, and find the claim pvc-data-pipeline.rel in the namespace pipelines only; " +
			"elsewhere make the claim first, or label the pods pipeline-storage: enabled instead, and the webhook makes it"},
	} {
		out, err := newRenderer(t, storage.DefaultMountPath).Render(fmt.Appendf(nil, in, kind))
		require.NoError(t, err)
		assert.Equal(t, exp, out.Report.Workloads[0].Warnings)
	}
}
