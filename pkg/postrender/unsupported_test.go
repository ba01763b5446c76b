package postrender_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/pkg/postrender"
)

func TestErrorsOmitUnknownKind(t *testing.T) {
	_, err := labelled().Render([]byte(`{"apiVersion":"apps/v1","kind":"Deployment","spec":{"note":"Workflow", "template`))
	require.ErrorContains(t, err, "document 1: cannot be parsed: ")
}

func TestReportsUnsupportedKindWithRowToAdd(t *testing.T) {
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
	assert.Equal(t,
		`it seems to hold a pod, but kind Training of group "example.com" is not known: add a row for it under kinds: in `+
			`the configuration file, `+
			`such as {group: "example.com", kind: "Training", pods: [{podTemplate: "spec.roles{*}.template"}]}`,
		out.Report.Workloads[0].Message)

	config, _, err := storage.Load([]byte(`
apiVersion: pipeline-storage.io/v1alpha1
kind: StorageConfig
profiles: [{name: default}]
kinds:
- {group: "example.com", kind: "Training", pods: [{podTemplate: "spec.roles{*}.template"}]}
`))
	require.NoError(t, err)
	r := &postrender.Renderer{
		Config: config, Release: storage.Release{Name: "rel", Namespace: "pipelines"},
		Selector: labels.Everything(),
	}
	out = requireProperties(t, r, []byte(in))
	assert.Equal(t, 1, out.Report.Count(inject.ReasonInjected), "the advice works")
}

// TestReportsPodsThatCannotBeMounted has pods with external containers: the report has the reason
// and what becomes of them, and selected pods get a warning.
func TestReportsPodsThatCannotBeMounted(t *testing.T) {
	const (
		lets    = "; the label pipeline-storage: enabled lets the webhook mount the claim when the pods are created"
		taskRun = "apiVersion: tekton.dev/v1\nkind: TaskRun\nmetadata:\n  name: r\n  labels: " +
			"{%s}\nspec:\n  taskRef: {name: t}\n"
		enabled  = "pipeline-storage: enabled"
		stepRef  = "nothing can be mounted here, because the steps are those of the Task that it names" + lets
		trainJob = "apiVersion: trainer.kubeflow.org/v1alpha1\nkind: TrainJob\nmetadata:\n  name: " +
			"t\n%sspec:\n  runtimeRef: {name: torch}\n"
	)
	for name, tt := range map[string]struct {
		in         string
		change     func(*postrender.Renderer)
		exp        inject.Reason
		expMessage string
		expWarn    bool
		expLabel   bool
	}{
		"a label is added": {
			in: fmt.Sprintf(taskRun, ""), exp: inject.ReasonLabelled,
			expMessage: stepRef, expWarn: true, expLabel: true,
		},
		"the label is there": {
			in: fmt.Sprintf(taskRun, enabled), exp: inject.ReasonLabelled,
			expMessage: stepRef, expWarn: true,
		},
		"this kind is not selected": {
			in:     fmt.Sprintf(taskRun, enabled),
			change: func(r *postrender.Renderer) { r.Kinds = []string{"Job"} }, exp: inject.ReasonNotSelected,
			expMessage: "its kind is not among the selected kinds",
		},
		"the label is not there": {
			in: fmt.Sprintf(taskRun, ""), change: func(r *postrender.Renderer) { r.Selector = nil },
			exp: inject.ReasonNotSelected, expMessage: `its labels do not match "pipeline-storage=enabled"`,
		},
		"a hook gets no label": {
			in:  strings.Replace(fmt.Sprintf(taskRun, ""), "spec:", "  annotations: {helm.sh/hook: pre-install}\nspec:", 1),
			exp: inject.ReasonHookNotInjected, expMessage: "a pre-install hook runs before Helm has created " +
				"the claim", expWarn: true,
		},
		"a hook that has the label keeps it": {
			in:  strings.Replace(fmt.Sprintf(taskRun, enabled), "spec:", "  annotations: {helm.sh/hook: pre-install}\nspec:", 1),
			exp: inject.ReasonLabelled, expMessage: stepRef, expWarn: true,
		},
		"there is no place for a label": {
			in: fmt.Sprintf(trainJob, ""), exp: inject.ReasonNoPods, expWarn: true,
			expMessage: "its pods are those of the training runtime that its runtimeRef names: mount there, " +
				"or give their pod template the label pipeline-storage: enabled, " +
				"in the runtime or by runtimePatches, and the webhook mounts the claim",
		},
		"there is no place for a label, and no label": {
			in: fmt.Sprintf(trainJob, ""), change: func(r *postrender.Renderer) { r.Selector = nil }, exp: inject.ReasonNoPods,
			expMessage: "its pods are those of the training runtime",
		},
		"a label that reaches no pod": {
			in:     fmt.Sprintf(trainJob, "  labels:\n    pipeline-storage: enabled\n"),
			change: func(r *postrender.Renderer) { r.Selector = nil }, exp: inject.ReasonNoPods,
			expMessage: "its pods are those of the training runtime", expWarn: true,
		},
		"a kind without advice": {in: "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: " +
			"{}\n", exp: inject.ReasonNoPods, expMessage: "it has no containers of its own"},
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
