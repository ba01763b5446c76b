package postrender_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/pkg/postrender"
)

// podManifest is a pod without the opt-in label, and labelledPod has it.
const (
	podManifest = "apiVersion: v1\nkind: \"Pod\"\nmetadata:\n  name: base\nspec:\n  containers:\n" +
		"  - name: base\n    image: x\n"
	labelledPod = `{"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": {"template": ` +
		`{"metadata": {"labels": {"pipeline-storage": "enabled"}}, ` +
		`"spec": {"containers": [{"name": "c", "image": "{{ image }}"}]}}}}`
)

// inText is an object with a text in a field.
func inText(head, field, text string) string {
	return head + field + ": |\n" + "      " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n      ") + "\n"
}

const configMap = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  "

// TestReportsPodsAsText is about texts that describe pods: where they are, what they hold, and what to
// do.
func TestReportsPodsAsText(t *testing.T) {
	const (
		put = "put the label pipeline-storage: enabled into "
		do  = "the webhook mounts the claim when they are created"
		has = "its pods have the label pipeline-storage: enabled, and " + do
		or  = " there, in the text or by the chart's values, and " + do + "; or set the volume there"
	)
	secret := func(field, value string) string {
		return "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n" + field + ": {manifest: " + value + "}\n"
	}
	for name, tt := range map[string]struct {
		in        string
		expReason inject.Reason
		exp       string
	}{
		"a pod with a quoted kind": {
			inText(configMap, "pod.yaml", podManifest), inject.ReasonPodInConfigMap,
			"data.pod.yaml holds Pod/base as text, which is not edited: " + put + "metadata.labels" + or,
		},
		"JSON inside JSON, with the label": {
			inText(configMap, "base.json", `{"job_configuration": {"job_manifest": `+labelledPod+`}}`),
			inject.ReasonPodInConfigMap, "data.base.json holds Job/j as text, which is not edited: " + has,
		},
		"several documents": {
			inText(configMap, "all.yaml", "a: b\n---\n"+podManifest+"---\n"+labelledPod), inject.ReasonPodInConfigMap,
			"data.all.yaml holds Pod/base, Job/j as text, which is not edited: " + put + "metadata.labels" + or,
		},
		"a list of pods": {
			inText(configMap, "all.json", "["+labelledPod+", "+labelledPod+"]"), inject.ReasonPodInConfigMap,
			"data.all.json holds Job/j as text, which is not edited: " + has,
		},
		"JSON in one line of quotes": {
			configMap + "a: '" + labelledPod + "'\n", inject.ReasonPodInConfigMap,
			"data.a holds Job/j as text, which is not edited: " + has,
		},
		"escaped JSON": {
			`{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "` +
				strings.ReplaceAll(labelledPod, `"`, `\"`) + `"}}`,
			inject.ReasonPodInConfigMap, "data.a holds Job/j as text, which is not edited: " + has,
		},
		"another kind": {
			inText(configMap, "flow", "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {name: w}\nspec:\n"+
				"  templates:\n  - name: a\n    container: {image: x}\n"), inject.ReasonPodInConfigMap,
			"data.flow holds Workflow/w as text, which is not edited: " + put + "spec.templates[0].metadata.labels" + or,
		},
		"a pod spec of no kind": {
			inText(configMap, "extra.yaml", "worker:\n  spec:\n    containers:\n    - name: a\n      image: b\n"),
			inject.ReasonPodInConfigMap, "data.extra.yaml holds a pod as text, which is not edited: put the label " +
				"pipeline-storage: enabled on its pods, in the text or by the chart's values, and " + do +
				"; or set the volume there",
		},
		"templates of Go": {
			inText(configMap, "pod.tpl", strings.ReplaceAll(podManifest, "image: x", "image: {{ .Values.image }}")),
			inject.ReasonPodInConfigMap, "data.pod.tpl holds Pod as text, which is not edited: put the label " +
				"pipeline-storage: enabled on its pods, in the text or by the chart's values, and " + do +
				"; or set the volume there",
		},
		"a script with the label": {
			inText(configMap, "run.sh", "kubectl apply -f - <<EOF\n"+labelledPod+"\nEOF\n"), inject.ReasonPodInConfigMap,
			"data.run.sh holds Job as text, which is not edited: where its pods have the label pipeline-storage: enabled, " +
				"which it names, " + do,
		},
		"a text inside a text": {
			inText(configMap, "inner", inText(configMap, "pod.yaml", podManifest)), inject.ReasonPodInConfigMap,
			"data.inner holds Pod/base as text, which is not edited: " + put + "metadata.labels" + or,
		},
		"a Secret, without its names": {
			secret("stringData", `'`+labelledPod+`'`), inject.ReasonPodAsText,
			"stringData.manifest holds Job as text, which is not edited: " + has,
		},
		"an encoded Secret": {
			secret("data", base64.StdEncoding.EncodeToString([]byte(podManifest))), inject.ReasonPodAsText,
			"data.manifest holds Pod as text, which is not edited: " + put + "the labels of the pods" + or,
		},
		"a field of a custom resource": {
			inText("apiVersion: example.com/v1\nkind: Launch\nmetadata: {name: l}\nspec:\n  ", "manifest", podManifest),
			inject.ReasonPodAsText, "spec.manifest holds Pod/base as text, which is not edited: " + put + "metadata.labels" + or,
		},
		"a template of a pod, to which a program adds containers": {
			inText(configMap, "template.yaml", "kind: Pod\nspec: {tolerations: [{key: gpu}]}\n"), inject.ReasonPodInConfigMap,
			"data.template.yaml holds Pod as text, which is not edited: " + put + "metadata.labels" + or,
		},
		"a resource template of a workflow": {
			inText("apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {name: w}\nspec:\n  templates:\n"+
				"  - name: a\n    resource: {action: create}\n  - resource:\n     ", "manifest", podManifest),
			inject.ReasonPodAsText,
			"spec.templates[1].resource.manifest holds Pod/base as text, which is not edited: " + put + "metadata.labels" + or,
		},
	} {
		t.Run(name, func(t *testing.T) {
			out := requireProperties(t, newRenderer(t, storage.DefaultMountPath), []byte(tt.in))
			assert.False(t, out.Changed())
			require.Len(t, out.Report.Workloads, 1)
			w := out.Report.Workloads[0]
			assert.Equal(t, tt.expReason, w.Reason)
			assert.Equal(t, tt.exp, w.Message)
			require.Len(t, out.Report.Warnings, 1)
			assert.NotContains(t, out.Report.Warnings[0], "holds no pods")
		})
	}
}

// TestTextsThatAreNoPods must stay silent, or people stop to read reports.
func TestTextsThatAreNoPods(t *testing.T) {
	for name, in := range map[string]string{
		"a word":    inText(configMap, "a", "the containers: they have images\n"),
		"a Service": inText(configMap, "a", "apiVersion: v1\nkind: Service\nmetadata: {name: image}\nspec: {}\n"),
		"a policy": inText(configMap, "a", "apiVersion: kyverno.io/v1\nkind: Policy\n"+
			"spec: {a: {containers: [{image: x}]}}\n"),
		"a patch of a pod": inText(configMap, "a", "containers:\n- name: main\n  resources: {limits: {cpu: 1}}\n"),
		"a list of images": inText(configMap, "a", "kind: Images\nimages:\n- image: a\n"),
		"a secret of words": "apiVersion: v1\nkind: Secret\ndata: {a: " +
			base64.StdEncoding.EncodeToString([]byte("the containers: none")) + "}\n",
	} {
		out, err := newRenderer(t, storage.DefaultMountPath).Render([]byte(in))
		require.NoError(t, err, name)
		assert.Empty(t, out.Report.Workloads, name)
	}
}

// TestReportsShowNoSecret holds reports and warnings to the kinds of what is in a Secret.
func TestReportsShowNoSecret(t *testing.T) {
	const hidden = "MUST-NOT-LEAK"
	text := strings.ReplaceAll(podManifest, "name: base", "name: "+hidden) + "  " + hidden + ": " + hidden + "\n"
	spark := "apiVersion: example.com/v1\nkind: " + hidden + "\nmetadata: {name: " + hidden + "}\nspec: {" + hidden +
		": {containers: [{name: a, image: b}]}}\n"
	broken := text + " {{ " + hidden
	for _, value := range []string{text, spark, broken} {
		in := "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata:\n  pod: " +
			base64.StdEncoding.EncodeToString([]byte(value)) + "\n---\n" +
			inText("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData:\n  ", "pod", value)
		out, err := newRenderer(t, storage.DefaultMountPath).Render([]byte(in))
		require.NoError(t, err)
		require.Len(t, out.Report.Workloads, 2)
		for _, w := range out.Report.Workloads {
			assert.NotContains(t, w.Message+strings.Join(w.Warnings, ""), hidden)
		}
		assert.NotContains(t, strings.Join(out.Report.Warnings, ""), hidden)
	}
}

// TestWarnsOfSelectedPodsAsText holds the warnings to texts that have the label of the selector.
func TestWarnsOfSelectedPodsAsText(t *testing.T) {
	for text, exp := range map[string]int{podManifest: 0, labelledPod: 1} {
		out, err := labelled().Render([]byte(inText(configMap, "a", text)))
		require.NoError(t, err)
		require.Len(t, out.Report.Workloads, 1)
		assert.Len(t, out.Report.Workloads[0].Warnings, exp)
	}
}

// TestRemovalLeavesTextsToPeople has the advice of the other direction.
func TestRemovalLeavesTextsToPeople(t *testing.T) {
	r := newRenderer(t, storage.DefaultMountPath)
	r.Remove = postrender.RemoveAll
	out, err := r.Render([]byte(inText(configMap, "a", podManifest)))
	require.NoError(t, err)
	require.Len(t, out.Report.Workloads, 1)
	assert.Equal(t, "data.a holds Pod/base as text, which is not edited: if its pods mount the claim, remove the volume "+
		"and its mounts from it by hand", out.Report.Workloads[0].Message)
}
