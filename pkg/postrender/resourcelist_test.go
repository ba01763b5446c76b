package postrender_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/internal/manifest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/pkg/postrender"
)

const listHead = "apiVersion: config.kubernetes.io/v1\nkind: ResourceList\n"

func readList(t *testing.T, text string) *postrender.ResourceList {
	t.Helper()
	list, err := postrender.ReadResourceList([]byte(text))
	require.NoError(t, err)
	require.NotNil(t, list)
	return list
}

// TestReadsResourceList shows how the input of a function differs from a stream of manifests.
func TestReadsResourceList(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		stream string
		exp    bool
	}{
		"what kustomize sends":          {listHead + "items: []\n", true},
		"an older version":              {"apiVersion: config.kubernetes.io/v1beta1\nkind: ResourceList\n", true},
		"JSON":                          {`{"apiVersion": "config.kubernetes.io/v1", "kind": "ResourceList"}`, true},
		"behind a comment and a marker": {"# made\n---\n" + listHead, true},
		"with blank text behind it":     {listHead + "---\n# end\n", true},
		"a kind of another group":       {"apiVersion: example.com/v1\nkind: ResourceList\nitems: []\n", false},
		"no group":                      {"kind: ResourceList\nitems: []\n", false},
		"only the word":                 {"kind: ConfigMap\ndata: {x: ResourceList}\n", false},
		"only the word, in odd YAML":    {"{kind: ConfigMap, x: ResourceList, y: [", false},
		"a document below the root":     {"a:\n  kind: ResourceList\n", false},
		"nothing":                       {"", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			list, err := postrender.ReadResourceList([]byte(tc.stream))
			require.NoError(t, err)
			assert.Equal(t, tc.exp, list != nil)
		})
	}
}

// TestRefusesMalformedResourceList is refused: its items would pass without their storage, or its
// problems without a word.
func TestRefusesMalformedResourceList(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ stream, exp string }{
		"a second document": {listHead + "---\na: 1\n", "document 1 is a ResourceList and " +
			"stands among 2 documents"},
		"a list behind another": {"a: 1\n---\n" + listHead, "document 2 is a ResourceList and " +
			"stands among 2 documents"},
		"beside a broken one": {"a: [\n---\n" + listHead, "document 2 is a ResourceList and " +
			"stands among 2 documents"},
		"a configuration of text": {listHead + "functionConfig: x\n", "functionConfig: it is no " +
			"mapping: write a StorageConfig"},
		"a configuration in a list":   {listHead + "functionConfig: []\n", "functionConfig: it is no mapping"},
		"no configuration, but false": {listHead + "functionConfig: false\n", "functionConfig: it is no mapping"},
		"results without a list":      {listHead + "results: {}\n", "results is no list: leave it out, or write results: []"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := postrender.ReadResourceList([]byte(tc.stream))
			require.ErrorContains(t, err, tc.exp)
		})
	}
}

// TestItemsGetWhatDocumentsGet renders the streams of the renderer's own tests twice: as documents
// and as the items of a list. Both make the same objects, with the same reasons, and refuse the
// same.
func TestItemsGetWhatDocumentsGet(t *testing.T) {
	t.Parallel()
	inputs, err := filepath.Glob(filepath.Join("testdata", "render", "*.in.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, inputs)
	for _, input := range inputs {
		t.Run(strings.TrimSuffix(filepath.Base(input), ".in.yaml"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(input)
			require.NoError(t, err)
			stream, items := encoded(t, text)
			list := readList(t, listHead+items)

			want, wantErr := newRenderer(t, storage.DefaultMountPath).Render(stream)
			got, gotErr := newRenderer(t, storage.DefaultMountPath).RenderResourceList(list)
			if wantErr != nil {
				require.EqualError(t, gotErr, wantErr.Error())
				assert.Contains(t, string(got.Bytes()), "severity: error")
				assert.True(t, strings.HasPrefix(string(got.Bytes()), listHead+items), "a refused list is written as it came")
				return
			}
			require.NoError(t, gotErr)
			assert.ElementsMatch(t, documentsOf(t, want.Bytes()), itemsOf(t, got.Bytes()))
			assert.Equal(t, want.Report.Objects, got.Report.Objects)
			assert.Equal(t, reasonsOf(want.Report), reasonsOf(got.Report))

			again, err := newRenderer(t, storage.DefaultMountPath).RenderResourceList(readList(t, string(got.Bytes())))
			require.NoError(t, err)
			assert.Equal(t, string(got.Bytes()), string(again.Bytes()), "a second run changes nothing")
		})
	}
}

// encoded writes the documents of a stream again, one by one and as the items of a list. Those that
// cannot be read are left out: an orchestrator cannot send them.
func encoded(t *testing.T, text []byte) (stream []byte, items string) {
	t.Helper()
	var all []any
	for _, document := range documentsOf(t, text) {
		body, err := manifest.Encode(document)
		require.NoError(t, err)
		stream = append(append(stream, "---\n"...), body...)
		all = append(all, document)
	}
	body, err := manifest.Encode(map[string]any{"items": all})
	require.NoError(t, err)
	return stream, string(body)
}

func documentsOf(t *testing.T, stream []byte) []any {
	t.Helper()
	var all []any
	for _, doc := range manifest.Split(stream) {
		tree, err := manifest.Decode(doc.Body)
		if err != nil {
			continue
		}
		if object, ok := tree.Value().(map[string]any); ok && len(object) > 0 {
			all = append(all, object)
		}
	}
	return all
}

func itemsOf(t *testing.T, list []byte) []any {
	t.Helper()
	tree, err := manifest.Decode(list)
	require.NoError(t, err)
	items, _ := tree.Value().(map[string]any)["items"].([]any)
	return items
}

// reasonsOf are the decisions without what is read from the text: a pod inside a ConfigMap, which
// is written in quotes here, and a label somewhere in a document.
func reasonsOf(report postrender.Report) []postrender.Workload {
	workloads := slices.DeleteFunc(report.Workloads,
		func(w postrender.Workload) bool { return w.Reason == inject.ReasonPodInConfigMap })
	for i := range workloads {
		workloads[i].Warnings = nil
	}
	return workloads
}

// TestRetainsOtherContentOfList appends behind the last item and touches no byte of the others.
func TestRetainsOtherContentOfList(t *testing.T) {
	t.Parallel()
	item := strings.ReplaceAll("\n"+strings.TrimPrefix(workload("Deployment", "a"), "---\n"), "\n", "\n  ")
	list := listHead + "items:\n-" + strings.TrimRight(item, " ")[2:] + "functionConfig: {kind: Other} " +
		"  # stays\nunknown: {a: 1}\n"
	out, err := labelled().RenderResourceList(readList(t, list))
	require.NoError(t, err)
	rest := out.Bytes()
	for line := range strings.Lines(list) { // in order, each whole
		_, after, found := bytes.Cut(rest, []byte(line))
		require.True(t, found, "%q of\n%s", line, out.Bytes())
		rest = after
	}
	assert.Equal(t, inject.ReasonInjected, out.Report.Workloads[0].Reason)
	assert.Equal(t, "/spec/template", out.Report.Workloads[0].Pod)
}

// flowPod is a Pod whose name stands in no quotes.
const flowPod = "{apiVersion: v1, kind: Pod, metadata: {name: NAME, labels: {pipeline-storage: " +
	"enabled}}, spec: {containers: [{name: main}]}}"

// TestEditsListOnOneLineWithQuotesInText edits a list in flow style whose plain text has quotes in it.
func TestEditsListOnOneLineWithQuotesInText(t *testing.T) {
	t.Parallel()
	text := "{apiVersion: config.kubernetes.io/v1, kind: ResourceList, note: it's, about: the '90s, items: [" +
		strings.Replace(flowPod, "NAME", "it's", 1) + "]}\n"
	list := readList(t, text)
	out, err := labelled().RenderResourceList(list)
	require.NoError(t, err)
	edited := string(out.Bytes())
	assert.Contains(t, edited, "note: it's, about: the '90s, items: [{apiVersion: v1, kind: Pod, ")
	assert.Contains(t, edited, `, {"apiVersion": "v1", "kind": "PersistentVolumeClaim", `)
	assert.Contains(t, edited, `], "results": [{"message": "mounted `)
}

// TestRefusesRemovalFromResourceList covers each removal, also for a list that has nothing to remove.
func TestRefusesRemovalFromResourceList(t *testing.T) {
	t.Parallel()
	const refusal = "storage cannot be removed from a ResourceList"
	for name, tc := range map[string]struct {
		remove postrender.Removal
		items  string
	}{
		"from pods":              {postrender.RemovePods, "items:\n- " + flowPod + "\n"},
		"with the objects":       {postrender.RemoveAll, "items:\n- " + flowPod + "\n"},
		"from a list of nothing": {postrender.RemoveAll, "items: []\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			renderer := newRenderer(t, storage.DefaultMountPath)
			renderer.Remove = tc.remove
			out, err := renderer.RenderResourceList(readList(t, listHead+tc.items))

			require.EqualError(t, err, refusal)
			assert.Equal(t, refusal, out.Report.Error)
			assert.Empty(t, out.Report.Workloads, "no item was decided about")
			assert.Empty(t, out.Report.Objects)
			assert.Equal(t, listHead+tc.items+"results:\n- message: \""+refusal+"\"\n  severity: error\n",
				string(out.Bytes()), "the list as it came, with the reason")
		})
	}
}

// TestRefusesItems shows errors that no single pod is the cause of.
func TestRefusesItems(t *testing.T) {
	t.Parallel()
	job := "- apiVersion: batch/v1\n  kind: Job\n  metadata: {name: j}\n  spec: {template: {metadata: " +
		"{labels: {pipeline-storage: enabled}}, spec: {containers: [{name: main}]}}}\n"
	for name, tc := range map[string]struct{ list, exp string }{
		"an item that is no object": {"items: [1]\n", "ResourceList: /items/0 is no object"},
		"an item of the wrong shape": {
			"items:\n- {apiVersion: batch/v1, kind: Job, metadata: {name: j}, spec: {template: {metadata: " +
				"{labels: {pipeline-storage: enabled}}, spec: {containers: 7}}}}\n",
			"Job/j: ",
		},
		"an unmanaged claim of the same name": {
			"items:\n" + job + "- {apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: " +
				"pvc-data-pipeline.rel, namespace: pipelines}}\n",
			"document 2 PersistentVolumeClaim/pvc-data-pipeline.rel: the stream has a PersistentVolumeClaim of this name itself",
		},
		"a style that cannot be edited": {
			"items:\n- apiVersion: v1\n  kind: Pod\n  metadata: {name: p, labels: {pipeline-storage: " +
				"enabled}}\n  spec:\n    containers:\n    - ? name\n      : main\n",
			"document 1 Pod/p: /items/0/spec/containers/0/volumeMounts: line ",
		},
		"a list whose beginning is not found": {
			"items: &items # all\n  [" + flowPod + "]\n",
			"ResourceList: /items/-: ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := labelled().RenderResourceList(readList(t, listHead+tc.list))
			require.ErrorContains(t, err, tc.exp)
			assert.True(t, strings.HasPrefix(string(out.Bytes()), listHead+tc.list), "%s", out.Bytes())
			assert.Contains(t, string(out.Bytes()), "  severity: error\n")
		})
	}
}

// TestWarnsAboutItems shows what differs from a stream: a pod in a ConfigMap is found in its text,
// and a late consumer of a claim is not worth a warning.
func TestWarnsAboutItems(t *testing.T) {
	t.Parallel()
	pod := "apiVersion: v1\n      kind: Pod\n      metadata: {labels: {pipeline-storage: enabled}}\n   " +
		"   spec:\n        containers: []\n"
	cronJob := "{apiVersion: batch/v1, kind: CronJob, metadata: {name: c}, spec: {jobTemplate: {spec: " +
		"{template: {metadata: {labels: " +
		"{pipeline-storage: enabled}}, spec: {containers: [{name: main}]}}}}}}"
	list := listHead + "items:\n- " + cronJob + "\n- apiVersion: v1\n  kind: ConfigMap\n  metadata: " +
		"{name: airflow}\n  data:\n    pod.yaml: |\n      " + pod +
		"- apiVersion: apiextensions.k8s.io/v1\n  kind: CustomResourceDefinition\n  metadata: {name: x}\n " +
		" spec: {containers: [{}]}\n"
	out, err := labelled().RenderResourceList(readList(t, list))
	require.NoError(t, err)
	assert.Empty(t, out.Report.Warnings)
	require.Len(t, out.Report.Workloads, 2)
	assert.Equal(t, inject.ReasonInjected, out.Report.Workloads[0].Reason)
	assert.Equal(t, inject.ReasonPodInConfigMap, out.Report.Workloads[1].Reason)
	assert.Contains(t, string(out.Bytes()), "- message: \"PodInConfigMap: data.pod.yaml holds Pod as text")
}

// FuzzResourceList takes arbitrary bytes for the input of a function: what comes out is a list with
// the items that went in, in their order, or the list as it came.
func FuzzResourceList(f *testing.F) {
	for _, text := range []string{
		"items:\n- " + flowPod + "\n", "items: [" + flowPod + "]\nresults:\n- message: x\n", "items: []\n...\n",
		"items: &a\n- 1\nx: *a\n",
		"functionConfig: {kind: x}\nitems:\n  - " + flowPod + "\n# end", "results: {}\nitems: ~\n",
		"items:\n- kind: List\n  apiVersion: v1\n  items: [" + flowPod + "]\n",
	} {
		f.Add([]byte(listHead + text))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		list, err := postrender.ReadResourceList(stream)
		if err != nil || list == nil {
			return
		}
		out, err := labelled().RenderResourceList(list)
		before, after := itemsOf(t, stream), itemsOf(t, out.Bytes())
		require.GreaterOrEqual(t, len(after), len(before))
		if err != nil {
			require.Equal(t, before, after)
			return
		}
		for i, item := range before {
			was, _ := item.(map[string]any)
			is, _ := after[i].(map[string]any)
			require.Equal(t, was["metadata"], is["metadata"])
		}
	})
}
