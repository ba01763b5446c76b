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

const strictEnd = "\n--strict refuses this; without it these are warnings"

// head is the metadata of something.
func head(indent int, labels, annotations string) string {
	margin := strings.Repeat(" ", indent)
	return fmt.Sprintf("%smetadata:\n%s  name: x\n%s  labels: {%s}\n%s  annotations: {%s}\n", margin, margin, margin,
		labels, margin, annotations)
}

const (
	enabled   = "pipeline-storage: enabled"
	mountPath = "pipeline-storage.io/mount-path: /x"
)

// deployment has metadata of its own and of its pods.
func deployment(own, pods string) string {
	return "---\napiVersion: apps/v1\nkind: Deployment\n" + own + "spec:\n  template:\n" + pods +
		"    spec:\n      containers: [{name: main}]\n"
}

// cronJob has metadata of its own, of its Jobs and of its pods.
func cronJob(own, jobs, pods string) string {
	return "---\napiVersion: batch/v1\nkind: CronJob\n" + own + "spec:\n  jobTemplate:\n" + jobs +
		"    spec:\n      template:\n" + pods + "        spec:\n          containers: [{name: main}]\n"
}

// misplacements are streams in which something requests storage where it has no effect, and the
// warnings about it.
var misplacements = map[string]struct {
	stream string
	exp    []string
}{
	"nothing": {deployment(head(0, "", ""), head(4, "", "")), nil},
	"all where it belongs": {
		deployment(head(0, enabled, mountPath), head(4, enabled, mountPath)), nil,
	},
	"the label of a Deployment": {deployment(head(0, enabled, ""), head(4, "a: b", "")), []string{
		"the label is on the Deployment, not on its pods: put it into the labels of its pod template, spec.template",
	}},
	"the label of a Deployment whose pods are left out": {
		deployment(head(0, enabled, ""), head(4, "pipeline-storage: disabled", "")), nil,
	},
	"the label of Jobs": {cronJob(head(0, "", ""), head(4, enabled, ""), head(8, "", "")), []string{
		"the label is on spec.jobTemplate of the CronJob, not on its pods: put it into the labels of its pod template, " +
			"spec.jobTemplate.spec.template",
	}},
	"the label of a CronJob and of Jobs": {cronJob(head(0, enabled, ""), head(4, enabled, ""), head(8, "", "")), []string{
		"the label is on the CronJob, not on its pods: put it into the labels of its pod template, " +
			"spec.jobTemplate.spec.template",
	}},
	"the label of a JobSet's Jobs": {
		"apiVersion: jobset.x-k8s.io/v1alpha2\nkind: JobSet\nmetadata: {name: x}\nspec:\n  replicatedJobs:\n  - name: a\n" +
			"    template:\n      metadata: {labels: {pipeline-storage: enabled}}\n      spec: {template: {spec: {containers: " +
			"[{name: a}]}}}\n", []string{
			"the label is on spec.replicatedJobs[0].template of the JobSet, not on its pods: put it into the labels of its " +
				"pod template, spec.replicatedJobs[0].template.spec.template",
		},
	},
	"the label of a workflow of references": {
		"apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {name: x, labels: {" + enabled + "}}\n" +
			"spec: {workflowTemplateRef: {name: y}}\n", []string{
			"the label is on the Workflow, not on its pods: put it into spec.podMetadata.labels",
		},
	},
	"the label of an item's Deployment": {
		"apiVersion: v1\nkind: List\nitems:\n- apiVersion: apps/v1\n  kind: Deployment\n  metadata: {name: x, labels: " +
			"{pipeline-storage: enabled}}\n  spec: {template: {spec: {containers: [{name: a}]}}}\n", []string{
			"the label is on the Deployment, not on its pods: put it into the labels of its pod template, spec.template",
		},
	},
	"an annotation of a Deployment whose pods are mounted": {
		deployment(head(0, "", "a: b, data."+mountPath+", "+mountPath), head(4, enabled, "")), []string{
			"the annotation data.pipeline-storage.io/mount-path is on the Deployment, not on its pods, and does nothing " +
				"there: put it into the annotations of its pod template, spec.template",
			"the annotation pipeline-storage.io/mount-path is on the Deployment, not on its pods, and does nothing there: put " +
				"it into the annotations of its pod template, spec.template",
		},
	},
	"an annotation of a Deployment": {deployment(head(0, "", mountPath), head(4, "", "")), []string{
		"the annotation pipeline-storage.io/mount-path is on the Deployment, not on its pods, and does nothing there: put " +
			"it into the annotations of its pod template, spec.template",
	}},
	"the label and an annotation of a Deployment": {deployment(head(0, enabled, mountPath), head(4, "", "")), []string{
		"the label is on the Deployment, not on its pods: put it into the labels of its pod template, spec.template",
		"the annotation pipeline-storage.io/mount-path is on the Deployment, not on its pods, and does nothing there: put " +
			"it into the annotations of its pod template, spec.template",
	}},
	"an annotation without the label": {
		deployment(head(0, "", ""), head(4, "", "pipeline-storage.io/profiles: default")), []string{
			"the annotation pipeline-storage.io/profiles does nothing without the label: add pipeline-storage: enabled to " +
				"the labels of the pod",
		},
	},
	"what the webhook writes": {deployment(head(0, "", ""), head(4, "", "pipeline-storage.io/injected: default")), nil},
	"another value of the label": {deployment(head(0, "", ""), head(4, "pipeline-storage: 'true'", "")), []string{
		`its label pipeline-storage is "true", which selects nothing: write enabled`,
	}},
	"a value that leaves the pod out": {deployment(head(0, "", ""), head(4, "pipeline-storage: 'false'", mountPath)), nil},
	"a Deployment without pods": {
		"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x, labels: {pipeline-storage: enabled}}\nspec: {}\n",
		[]string{"NoPods: it has no containers of its own"},
	},
}

func TestWarnsOfMisplacedRequests(t *testing.T) {
	for name, tc := range misplacements {
		t.Run(name, func(t *testing.T) {
			out, err := labelled().Render([]byte(tc.stream))
			require.NoError(t, err)
			require.Len(t, out.Report.Workloads, 1)
			w := out.Report.Workloads[0]
			assert.Equal(t, tc.exp, w.Warnings)
			if w.Reason == inject.ReasonNotSelected && len(tc.exp) > 0 {
				assert.Equal(t, tc.exp[0], w.Message)
			}

			r := labelled()
			r.Strict = true
			out, err = r.Render([]byte(tc.stream))
			if len(tc.exp) == 0 {
				require.NoError(t, err)
				return
			}
			var lines []string
			for _, exp := range tc.exp {
				lines = append(lines, "document 1 "+w.Kind+"/x: "+exp)
			}
			require.EqualError(t, err, strings.Join(lines, "\n")+strictEnd)
			assert.Equal(t, err.Error(), out.Report.Error)
			assert.Empty(t, out.Bytes())
		})
	}
}

// TestSelectorOfUserDecidesAlone has requests by label and annotation that a selector of the user does
// not mean.
func TestSelectorOfUserDecidesAlone(t *testing.T) {
	for name, tc := range map[string]struct {
		selector, stream string
		exp              []string
	}{
		"labels and annotations of this project": {
			"app=x", deployment(head(0, enabled, mountPath), head(4, enabled, mountPath)), nil,
		},
		"the selected label of a Deployment": {"app=x", deployment(head(0, "app: x", ""), ""), []string{
			"the label is on the Deployment, not on its pods: put it into the labels of its pod template, spec.template",
		}},
		"a label that must not be there": {"app!=x", deployment(head(0, "", ""), head(4, "app: x", "")), nil},
		"every pod":                      {"", deployment(head(0, enabled, ""), ""), nil},
		"an annotation of a Deployment whose pods are mounted": {
			"app=x", deployment(head(0, "", mountPath), head(4, "app: x", "")), []string{
				"the annotation pipeline-storage.io/mount-path is on the Deployment, not on its pods, and does nothing there: " +
					"put it into the annotations of its pod template, spec.template",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := labelled()
			var err error
			r.Selector, err = labels.Parse(tc.selector)
			require.NoError(t, err)
			out, err := r.Render([]byte(tc.stream))
			require.NoError(t, err)
			assert.Equal(t, tc.exp, out.Report.Workloads[0].Warnings)
		})
	}
}

// TestStrict has what is refused in addition to misplaced requests, and what is not.
func TestStrict(t *testing.T) {
	windows := strings.Replace(workload("Deployment", "w"), "    spec:\n", "    spec:\n      "+
		"nodeSelector: {kubernetes.io/os: windows}\n", 1)
	misspelt := func(p *storage.Profile) { p.Mount.Containers = []string{"mian"} }
	custom := func(labels string) string {
		return "---\napiVersion: x.io/v1\nkind: Training\nmetadata: {name: t}\nspec: {pods: {metadata: {labels: {" + labels +
			"}}, spec: {containers: [{name: a}]}}}\n"
	}
	other := strings.Replace(workload("Job", "other"), "pipeline-storage: enabled", "app: x", 1)
	change := func(change func(*postrender.Renderer)) *postrender.Renderer {
		r := labelled()
		change(r)
		return r
	}
	for name, tc := range map[string]struct {
		renderer *postrender.Renderer
		stream   string
		exp      string
	}{
		"everything is mounted":         {labelled(), workload("Job", "a"), ""},
		"everything is mounted already": {labelled(), mounted(t), ""},
		"nothing requests storage":      {labelled(), other, ""},
		"no pods":                       {labelled(), "kind: ConfigMap\n", ""},
		"no documents":                  {labelled(), "", ""},
		"one of two is for Windows": {
			labelled(), workload("Job", "a") + windows, "document 2 Deployment/w: WindowsNotInjected: ",
		},
		"every container is excluded": {
			labelled(misspelt), workload("Job", "a"),
			"document 1 Job/a: Excluded: every container is excluded by name: correct ",
		},
		"a hook that is too early": {
			labelled(), hooked("pre-install"), "document 1 Job/h: HookNotInjected: a pre-install hook runs before Helm has " +
				"created the claim, and would wait for it forever: run it later, ",
		},
		"hooks are left out": {
			change(func(r *postrender.Renderer) { r.Hooks = postrender.HooksNone }), hooked("post-install"), "",
		},
		"an unsupported kind with label": {
			labelled(), custom(enabled), "document 1 Training/t: UnsupportedKind: it seems to hold a pod, but kind Training",
		},
		"an unsupported kind in JSON": {
			labelled(), `{"apiVersion":"x.io/v1","kind":"Training","metadata":{"name":"t"},"spec":{"template":{"metadata":` +
				`{"labels":{"pipeline-storage":"enabled"}},"spec":{"containers":[{"name":"a"}]}}}}`,
			"document 1 Training/t: UnsupportedKind: ",
		},
		"an unsupported kind without label": {labelled(), custom("app: x"), ""},
		"pods as text, of which one lacks the label": {
			labelled(), podsAsText(enabled, "app: x"), "document 1 ConfigMap/c: PodInConfigMap: ",
		},
		"a pod as text with the label, which the webhook serves": {labelled(), podsAsText(enabled), ""},
		"an unlabelled pod of an unknown kind beside a labelled one": {
			labelled(), "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata: {name: p, labels: {" +
				enabled + "}}\n  spec: {containers: [{name: a}]}\n- apiVersion: x.io/v1\n  kind: Foo\n  metadata: {name: f}\n" +
				"  spec: {template: {spec: {containers: [{name: a, image: i}]}}}\n", "",
		},
		"an unknown kind that is not among the selected kinds": {
			change(func(r *postrender.Renderer) { r.Kinds = []string{"Job"} }),
			workload("Job", "train") + "---\n" + custom(enabled), "",
		},
		"the webhook serves it": {
			labelled(), "apiVersion: tekton.dev/v1\nkind: TaskRun\nmetadata: {name: r, labels: {" + enabled +
				"}}\nspec: {taskRef: {name: t}}\n", "",
		},
		"a name that no object has": {
			change(func(r *postrender.Renderer) { r.Names = []string{"trian"} }), workload("Job", "train"),
			"nothing was selected, so no storage was added: document 1 Job/train: NotSelected: its name is not among ",
		},
		"a kind that no object has": {
			change(func(r *postrender.Renderer) { r.Kinds = []string{"Job"} }), "kind: ConfigMap\n",
			"nothing was selected: the stream holds no pods",
		},
		"a selector that selects nothing": {
			change(func(r *postrender.Renderer) { r.Selector = labels.SelectorFromSet(labels.Set{"app": "y"}) }), other,
			`nothing was selected, so no storage was added: document 1 Job/other: NotSelected: its labels do not match "app=y"`,
		},
		"a selector that selects something": {
			change(func(r *postrender.Renderer) { r.Selector = labels.SelectorFromSet(labels.Set{"app": "x"}) }),
			other + workload("Job", "a"), "",
		},
		"a removal": {
			change(func(r *postrender.Renderer) { r.Remove = postrender.RemovePods }), deployment(head(0, enabled, ""), ""), "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			lenient, err := tc.renderer.Render([]byte(tc.stream))
			require.NoError(t, err)
			tc.renderer.Strict = true
			out, err := tc.renderer.Render([]byte(tc.stream))
			if tc.exp == "" {
				require.NoError(t, err)
				assert.Equal(t, string(lenient.Bytes()), string(out.Bytes()))
				return
			}
			require.ErrorContains(t, err, tc.exp)
			assert.True(t, strings.HasSuffix(err.Error(), strictEnd))
			assert.Empty(t, out.Bytes())
			reported := strings.TrimPrefix(strings.TrimSuffix(err.Error(), strictEnd), "document 1 ")
			_, reported, _ = strings.Cut(reported, ": ")
			assert.Contains(t, fmt.Sprint(lenient.Report), reported, "without --strict it is a warning")
		})
	}
}

// mounted is a stream that was rendered already.
func mounted(t *testing.T) string {
	t.Helper()
	out, err := labelled().Render([]byte(workload("Job", "a")))
	require.NoError(t, err)
	return string(out.Bytes())
}

// TestConflictsComeFirst has a conflict and an unserved pod: the pod is no reason of its own then.
func TestConflictsComeFirst(t *testing.T) {
	r := labelled()
	r.Strict = true
	_, err := r.Render([]byte(deployment(head(0, enabled, ""), "") + workload("Job", "a") + scratchAtData))
	require.ErrorContains(t, err, `document 2 Job/a: container "main": mount path /data is taken`)
	assert.NotContains(t, err.Error(), "strict")
}

// TestMessagesAreNotRepeated has what was a warning about an object and again one about the run.
func TestMessagesAreNotRepeated(t *testing.T) {
	out, err := labelled().Render([]byte(deployment(head(0, enabled, ""), "") + workload("Job", "other")))
	require.NoError(t, err)
	assert.Empty(t, out.Report.Warnings)
	out, err = labelled().Render([]byte(deployment(head(0, enabled, ""), "")))
	require.NoError(t, err)
	assert.Equal(t, []string{"nothing was selected, so no storage was added: document 1 Deployment/x: NotSelected"},
		out.Report.Warnings)
}

// TestHoldsNoPodsOnlyWhereAllWasRead has streams without pods, and such as may have some.
func TestHoldsNoPodsOnlyWhereAllWasRead(t *testing.T) {
	const noPods = "nothing was selected: the stream holds no pods"
	const unread = "nothing was selected, and no pod was found, but there may be some: "
	for name, tc := range map[string]struct{ stream, exp string }{
		"a ConfigMap":               {"kind: ConfigMap\n", noPods},
		"a ConfigMap in JSON":       {`{"kind":"ConfigMap"}`, noPods},
		"a ConfigMap in flow style": {"{kind: ConfigMap}", noPods},
		"comments":                  {"# a\n---\n...\n", noPods},
		"null":                      {"---\nnull\n", noPods},
		"a list of pods, as jq prints an array": {
			"[" + jsonPod("p") + "]", unread + "document 1 is no object with a kind",
		},
		"a block list": {"- kind: Pod\n", unread + "document 1 is no object with a kind"},
		"text": {
			"---\na: b\n---\nError\n", unread + "document 1 is no object with a kind; document 2 is no object with a kind",
		},
		"an object inside another": {
			"kind: Sensor\nspec: {source: {resource: {kind: Pod, spec: {containers: [{name: a}]}}}}\n", "",
		},
		"a pod as text": {
			"kind: ConfigMap\ndata: {a: '{\"kind\": \"Pod\", \"spec\": {\"containers\": []}}'}\n", "",
		},
		"a label that reaches no pod": {
			"kind: Operated\nmetadata: {labels: {pipeline-storage: enabled}}\n",
			unread + "document 1 Operated has the label pipeline-storage",
		},
		"a label in JSON": {
			`{"kind":"Operated","metadata":{"labels":{"pipeline-storage":"enabled"}}}`,
			unread + "document 1 Operated has the label pipeline-storage",
		},
		"a resource definition": {"kind: CustomResourceDefinition\nspec: {containers: {type: array}}\n", noPods},
		"a custom resource": {
			"---\napiVersion: x.io/v1\nkind: X\nspec: {containers: [\n", unread + "document 1 X cannot be parsed",
		},
		"an item without kind":  {"kind: List\nitems: [{a: b}]\n", unread + "document 1 List is no object with a kind"},
		"a scalar with a Pod":   {"&a \"kind: Pod\"\n", unread + "document 1 is no object with a kind"},
		"broken text in braces": {"{a: b, c\n", unread + "document 1 cannot be parsed"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := labelled().Render([]byte(tc.stream))
			require.NoError(t, err)
			if tc.exp == "" {
				assert.NotContains(t, out.Report.Warnings, noPods)
				return
			}
			assert.Equal(t, []string{tc.exp}, out.Report.Warnings)
		})
	}
	t.Run("a custom resource in flow style", func(t *testing.T) {
		out, err := labelled().Render([]byte("{apiVersion: x.io/v1, kind: X, spec: {containers: [{name: a}]}}\n"))
		require.NoError(t, err)
		require.Len(t, out.Report.Workloads, 1)
		assert.Equal(t, inject.ReasonUnsupportedKind, out.Report.Workloads[0].Reason)
	})
	t.Run("a resource definition in flow style", func(t *testing.T) {
		out, err := labelled().Render([]byte("{kind: CustomResourceDefinition, spec: {containers: [{name: a}]}}\n"))
		require.NoError(t, err)
		assert.Empty(t, out.Report.Workloads)
	})
}

// TestAdvisesGroupForObjectWithoutOne has objects that no row of the table would help.
func TestAdvisesGroupForObjectWithoutOne(t *testing.T) {
	const missing = "it seems to hold a pod, but it has no apiVersion, without which kubectl and Helm refuse it: " +
		"write its apiVersion"
	for name, tc := range map[string]struct{ head, exp string }{
		"a Deployment without apiVersion": {"kind: Deployment\n", missing + ", which is of the group apps"},
		"a Deployment of v1": {
			"apiVersion: v1\nkind: Deployment\n", "it seems to hold a pod, but apiVersion \"v1\" is of Kubernetes' core " +
				"group, which has no kind Deployment: write its apiVersion, which is of the group apps",
		},
		"a kind of several groups": {"kind: Job\n", missing + ", which is of the group batch or batch.volcano.sh"},
		"an unknown kind":          {"kind: Training\n", missing},
		"an empty apiVersion":      {"apiVersion: ''\nkind: Training\n", missing},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := labelled().Render([]byte(tc.head + "spec: {template: {spec: {containers: [{name: a, image: b}]}}}\n"))
			require.NoError(t, err)
			require.Len(t, out.Report.Workloads, 1)
			assert.Equal(t, inject.ReasonUnsupportedKind, out.Report.Workloads[0].Reason)
			assert.Equal(t, tc.exp, out.Report.Workloads[0].Message)
		})
	}
}

// podsAsText is a ConfigMap with a text of pods that have these labels.
func podsAsText(labels ...string) string {
	var text strings.Builder
	text.WriteString("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  pods: |\n")
	for _, label := range labels {
		text.WriteString("    ---\n    apiVersion: v1\n    kind: Pod\n    metadata: {labels: {" + label + "}}\n" +
			"    spec:\n      containers: [{name: a, image: i}]\n")
	}
	return text.String()
}
