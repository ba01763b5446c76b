package postrender_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/pkg/postrender"
)

// scratchAtData takes the default path in the last container of a workload.
const scratchAtData = "        volumeMounts:\n        - {name: scratch, mountPath: /data}\n"

func TestInjectionRequiresRelease(t *testing.T) {
	claim := func(name string, create bool) func(*storage.Profile) {
		return func(p *storage.Profile) { p.Claim.Name, p.Claim.Create = name, &create }
	}
	cases := map[string]struct {
		renderer *postrender.Renderer
		release  storage.Release
		expErr   string
	}{
		"both are given": {labelled(), storage.Release{Name: "r", Namespace: "n"}, ""},
		"no release":     {labelled(), storage.Release{Namespace: "n"}, "add --namespace NAMESPACE --release RELEASE"},
		"no namespace": {labelled(), storage.Release{Name: "r"}, "add --namespace " +
			"NAMESPACE --release RELEASE"},
		"a claim that exists needs neither": {labelled(claim("mine", false)), storage.Release{}, ""},
		"but its name may ask for the release": {
			labelled(claim("mine-{release}", false)),
			storage.Release{},
			"add --namespace NAMESPACE",
		},
		"and a default name does": {labelled(claim("", false)), storage.Release{}, "add --namespace NAMESPACE"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.renderer.Release = tc.release
			out, err := tc.renderer.Render([]byte(workload("Deployment", "a")))
			if tc.expErr == "" {
				require.NoError(t, err)
				assert.True(t, out.Changed())
				return
			}
			require.ErrorContains(t, err, tc.expErr)
			assert.Empty(t, out.Bytes())
		})
	}
	_, err := (&postrender.Renderer{}).Render(nil)
	require.ErrorContains(t, err, "there is no configuration")
}

func TestSelection(t *testing.T) {
	both := workload("Deployment", "a") + workload("Job", "b")
	onWorkload := strings.Replace(strings.Replace(workload("Deployment", "a"),
		"        pipeline-storage: enabled\n", "        app: a\n", 1),
		"  name: a\n", "  name: a\n  labels:\n    pipeline-storage: enabled\n", 1)
	cases := map[string]struct {
		change      func(*postrender.Renderer)
		stream      string
		expInjected int
		expMessage  string
	}{
		"by the label": {stream: both, expInjected: 2},
		"by kind": {
			func(r *postrender.Renderer) { r.Kinds = []string{"Job"} }, both, 1,
			"its kind is not among the selected kinds",
		},
		"by name": {func(r *postrender.Renderer) { r.Names = []string{"a"} }, both, 1, "its name is " +
			"not among the selected names"},
		"by a selector": {
			func(r *postrender.Renderer) { r.Selector = labels.SelectorFromSet(labels.Set{"x": "y"}) }, both, 0,
			`its labels do not match "x=y"`,
		},
		"the label on the workload is not on its pods": {
			stream: onWorkload,
			expMessage: "the label is on the Deployment, not on its pods: put it into the labels of its pod " +
				"template, spec.template",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r := labelled()
			if tc.change != nil {
				tc.change(r)
			}
			out, err := r.Render([]byte(tc.stream))
			require.NoError(t, err)
			assert.Equal(t, tc.expInjected, out.Report.Count(inject.ReasonInjected))
			if tc.expMessage != "" {
				assert.Contains(t, messages(out.Report.Workloads), tc.expMessage)
			}
			if tc.expInjected == 0 {
				assert.Equal(t, tc.stream, string(out.Bytes()), "no storage without a mount")
				assert.Empty(t, out.Report.Objects)
				require.Len(t, out.Report.Warnings, 1)
				assert.Contains(t, out.Report.Warnings[0], "nothing was selected, so no storage was added: "+
					"document 1 Deployment/a: NotSelected")
			}
		})
	}
}

func messages(workloads []postrender.Workload) string {
	var all []string
	for _, w := range workloads {
		all = append(all, w.Message)
	}
	return strings.Join(all, "\n")
}

func TestHooks(t *testing.T) {
	hook := func(events string) string {
		return strings.Replace(workload("Job", "h"), "  name: h\n", "  name: h\n  annotations:\n    "+
			"helm.sh/hook: "+events+"\n", 1)
	}
	exists := func(p *storage.Profile) { no := false; p.Claim.Create = &no }
	cases := map[string]struct {
		renderer *postrender.Renderer
		policy   postrender.HookPolicy
		events   string
		exp      inject.Reason
	}{
		"pre-install waits for a claim that is not there": {labelled(), "", "pre-install", inject.ReasonHookNotInjected},
		"so does one event among others": {
			labelled(), "", "post-install, pre-upgrade",
			inject.ReasonHookNotInjected,
		},
		"pre-delete finds the claim of its release": {labelled(), "", "pre-delete", inject.ReasonInjected},
		"and so does pre-rollback":                  {labelled(), "", "pre-rollback", inject.ReasonInjected},
		"crd-install is the earliest":               {labelled(), "", "crd-install", inject.ReasonHookNotInjected},
		"post-install finds the claim": {
			labelled(), "", "post-install,post-upgrade",
			inject.ReasonInjected,
		},
		"a test finds the claim":                        {labelled(), "", "test", inject.ReasonInjected},
		"pre-install finds a claim that existed before": {labelled(exists), "", "pre-install", inject.ReasonInjected},
		"all hooks on request": {
			labelled(), postrender.HooksAll, "pre-install",
			inject.ReasonInjected,
		},
		"no hooks on request": {
			labelled(), postrender.HooksNone, "test",
			inject.ReasonHookNotInjected,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.renderer.Hooks = tc.policy
			out, err := tc.renderer.Render([]byte(hook(tc.events)))
			require.NoError(t, err)
			require.Len(t, out.Report.Workloads, 1)
			assert.Equal(t, tc.exp, out.Report.Workloads[0].Reason, out.Report.Workloads[0].Message)
			assert.NotContains(t, storageOf(out), "helm.sh/hook", "storage is no hook: Helm would delete it first")
		})
	}
}

func TestPodRetainsClaimOfAnotherConfiguration(t *testing.T) {
	first, err := labelled(func(p *storage.Profile) { p.Claim.Name = "of-yesterday" }).Render([]byte(workload("Deployment",
		"a")))
	require.NoError(t, err)
	out, err := labelled().Render(first.Bytes())
	require.NoError(t, err)
	assert.Equal(t, string(first.Bytes()), string(out.Bytes()), "neither the pod nor the storage changes")
	assert.Contains(t, out.Report.Workloads[0].Warnings[0], `keeps the claim "of-yesterday"`)
}

func TestTwoProfilesInOnePod(t *testing.T) {
	config, _, err := storage.Load([]byte(`
apiVersion: pipeline-storage.io/v1alpha1
kind: StorageConfig
profiles:
- name: default
- name: models
  mount: {path: /models, readOnly: true}
  env: MODELS
`))
	require.NoError(t, err)
	r := &postrender.Renderer{Config: config, Release: storage.Release{Name: "rel", Namespace: "pipelines"}}
	in := strings.Replace(workload("Deployment", "a"), "    metadata:\n", "    metadata:\n      "+
		"annotations:\n        pipeline-storage.io/profiles: default,models\n", 1)
	out := requireProperties(t, r, []byte(in))
	text := string(out.Bytes())
	for _, exp := range []string{
		"claimName: pvc-data-pipeline.rel\n", "claimName: pvc-data-pipeline-models.rel\n", "mountPath: /models\n",
		"mountPath: /data\n", "name: MODELS\n",
		"name: fast.pipelines.rel\n", "name: fast-models.pipelines.rel\n",
	} {
		assert.Contains(t, text, exp)
	}
	assert.Len(t, out.Report.Objects, 4)
}

// hooked is a labelled Job that is a Helm hook.
func hooked(event string) string {
	return strings.Replace(workload("Job", "h"), "  name: h\n", "  name: h\n  annotations: {helm.sh/hook: "+event+"}\n", 1)
}

func TestInjectsHookWhoseClaimExists(t *testing.T) {
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
	for profile, exp := range map[string]inject.Reason{
		"old":     inject.ReasonInjected,
		"default": inject.ReasonHookNotInjected,
	} {
		annotated := strings.Replace(hooked("pre-install"), "    metadata:\n", "    metadata:\n      "+
			"annotations: {pipeline-storage.io/profiles: "+profile+"}\n", 1)
		out, err := r.Render([]byte(annotated))
		require.NoError(t, err)
		assert.Equal(t, exp, out.Report.Workloads[0].Reason, profile)
	}
}

func TestWithheldHookDoesNotRefuseRun(t *testing.T) {
	in := hooked("pre-install") + scratchAtData
	out, err := labelled().Render([]byte(in))
	require.NoError(t, err)
	assert.Equal(t, inject.ReasonHookNotInjected, out.Report.Workloads[0].Reason)
	assert.Equal(t, in, string(out.Bytes()))
}

func TestNeedsReleaseOnlyForNames(t *testing.T) {
	r := labelled()
	r.Release = storage.Release{}
	for _, in := range []string{"", "# nothing\n", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"} {
		out, err := r.Render([]byte(in))
		require.NoError(t, err)
		assert.Equal(t, in, string(out.Bytes()))
	}
}

func TestSelectsKindsInAnyCase(t *testing.T) {
	r := labelled()
	r.Kinds = []string{"deployment"}
	out, err := r.Render([]byte(workload("Deployment", "a")))
	require.NoError(t, err)
	assert.Equal(t, 1, out.Report.Count(inject.ReasonInjected))
}

// TestMountsInArgoInlineTemplates has templates inside the tasks and steps of others, and a list of lists.
func TestMountsInArgoInlineTemplates(t *testing.T) {
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

// TestLargeListTakesLinearTime has so many edits in one document, on one line, that anything
// quadratic would show.
func TestLargeListTakesLinearTime(t *testing.T) {
	const pods = 5000
	item := `{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "c"}]}}`
	in := `{"apiVersion": "v1", "kind": "List", "items": [` + strings.Repeat(item+",", pods-1) + item + "]}\n"
	r := newRenderer(t, storage.DefaultMountPath)
	r.Selector = labels.Everything()
	out, err := r.Render([]byte(in))
	require.NoError(t, err)
	assert.Equal(t, pods, out.Report.Count(inject.ReasonInjected))
}
