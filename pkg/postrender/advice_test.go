package postrender_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/pkg/postrender"
)

// objectHead begins an object of a kind without a row.
const objectHead = "apiVersion: example.com/v1\nkind: Training\nmetadata: {name: t}\nspec:\n"

// pasted is the row that an advice offers; the second group is its list of pods.
var pasted = regexp.MustCompile(`, such as (\{.*pods: (\[.*\]).*\})$`)

// scopeRow is the row of a pod spec that is in no template.
func scopeRow(scope, metadata string) string {
	return `{scope: "` + scope + `", metadata: [` + metadata + `], spec: ".", securityContext: ["securityContext"], ` +
		`affinity: ["affinity"], volumes: "volumes", containers: ["initContainers[*]", "containers[*]"]}`
}

// TestAdviceNamesEveryPlace requires the row that is offered, and that it mounts all pods when people
// paste it.
func TestAdviceNamesEveryPlace(t *testing.T) {
	const containers = "{containers: [{name: main, image: x}]}"
	for name, tt := range map[string]struct{ spec, exp string }{
		"two templates": {
			"  worker: {replicas: 2, spec: " + containers + "}\n  scheduler: {spec: " + containers + ", service: {}}\n",
			`[{podTemplate: "spec.scheduler"}, {podTemplate: "spec.worker"}]`,
		},
		"the labelled one first": {
			"  a: {spec: " + containers + "}\n" +
				"  b: {metadata: {labels: {pipeline-storage: enabled}}, spec: " + containers + "}\n",
			`[{podTemplate: "spec.b"}, {podTemplate: "spec.a"}]`,
		},
		"pod specs without a template": {
			"  template: " + containers + "\n  prefill: {template: " + containers + "}\n",
			"[" + scopeRow("spec.prefill.template", `"$.metadata"`) + ", " + scopeRow("spec.template", `"$.metadata"`) + "]",
		},
		"a pod spec with metadata in it": {
			"  pod: {metadata: {labels: {a: b}}, containers: [{name: main}]}\n",
			"[" + scopeRow("spec.pod", `"metadata", "$.metadata"`) + "]",
		},
		"the object itself": {"  containers: [{name: main, image: x}]\n", `[{podTemplate: "."}]`},
		"items of a list": {
			"  jobs: [{name: a}, {template: {spec: " + containers + "}}, {template: {spec: " + containers + "}}]\n",
			`[{podTemplate: "spec.jobs[*].template"}]`,
		},
		"a key that is no name of a field": {
			"  roles: {Master: {template: {spec: " + containers + "}}}\n", `[{podTemplate: "spec.roles{*}.template"}]`,
		},
		"keys with dots": {
			"  roles: {a.b/c: {spec: " + containers + "}}\n", `[{podTemplate: "spec.roles{*}"}]`,
		},
		"keys of values that are alike": {
			"  groups: {small: {template: {spec: " + containers + "}}, large: {n: 1, template: {spec: " + containers + "}}}\n",
			`[{podTemplate: "spec.groups{*}.template"}]`,
		},
		"fields of values that are not": {
			"  parts: {small: {template: {spec: " + containers + "}}, large: {spec: " + containers + "}}\n",
			`[{podTemplate: "spec.parts.large"}, {podTemplate: "spec.parts.small.template"}]`,
		},
		"names of single templates": {
			"  parts: {headTemplate: {spec: " + containers + "}, workerTemplate: {spec: " + containers + "}}\n",
			`[{podTemplate: "spec.parts.headTemplate"}, {podTemplate: "spec.parts.workerTemplate"}]`,
		},
		"pods beside pods": {
			"  containers: [{name: main, image: x}]\n  workerSpec: " + containers + "\n",
			`[{podTemplate: "."}, ` + scopeRow("spec.workerSpec", `"$.metadata"`) + "]",
		},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := newRenderer(t, storage.DefaultMountPath).Render([]byte(objectHead + tt.spec))
			require.NoError(t, err)
			require.Len(t, out.Report.Workloads, 1)
			match := pasted.FindStringSubmatch(out.Report.Workloads[0].Message)
			require.NotNil(t, match, "%s", out.Report.Workloads[0].Message)
			assert.Equal(t, tt.exp, match[2])
			requireAdviceWorks(t, []byte(objectHead+tt.spec), storage.DefaultMountPath)
		})
	}
}

// TestAdviceIsAboutKnownKindsToo has pods where the row of a kind does not look.
func TestAdviceIsAboutKnownKindsToo(t *testing.T) {
	const object = objectHead + "  head: {spec: {containers: [{name: main, image: x}]}}\n" +
		"  roles: {A: {spec: {containers: [{name: main, image: x}]}}}\n"
	r := newRenderer(t, storage.DefaultMountPath)
	r.Config = configWith(t, storage.DefaultMountPath,
		`{group: example.com, kind: Training, deferred: true, pods: [{podTemplate: spec.head, replicas: ["$.spec.count"]}]}`)
	out, err := r.Render([]byte(object))
	require.NoError(t, err)
	require.Len(t, out.Report.Workloads, 2)
	assert.Equal(t, inject.ReasonUnsupportedKind, out.Report.Workloads[0].Reason)
	assert.Equal(t, "it seems to hold pods at spec.roles{*}, where the row of its kind finds none: replace that row by "+
		`one under kinds: in the configuration file, such as {group: "example.com", kind: "Training", pods: [{podTemplate: `+
		`"spec.head", replicas: ["$.spec.count"]}, {podTemplate: "spec.roles{*}"}], deferred: true}`,
		out.Report.Workloads[0].Message)
	assert.Equal(t, inject.ReasonInjected, out.Report.Workloads[1].Reason)
	r.Config = configWith(t, storage.DefaultMountPath, pasted.FindStringSubmatch(out.Report.Workloads[0].Message)[1])
	out = requireProperties(t, r, []byte(object))
	assert.Equal(t, 2, out.Report.Count(inject.ReasonInjected))
	assert.Len(t, out.Report.Workloads, 2)
}

// TestAdviceOfRealResourcesWorks pastes every advice about the corpus and about the cases from the
// field.
func TestAdviceOfRealResourcesWorks(t *testing.T) {
	advised := 0
	for _, file := range append(sharedFiles(t, "corpus"), sharedFiles(t, "cases")...) {
		in, err := os.ReadFile(file)
		require.NoError(t, err)
		t.Run(filepath.Base(file), func(t *testing.T) { advised += requireAdviceWorks(t, in, "/mnt/pipeline") })
	}
	assert.NotZero(t, advised, "no advice was tested")
}

// requireAdviceWorks pastes the rows that a report offers, and requires that they mount all of the
// pods that they are about. It returns how many rows it pasted.
func requireAdviceWorks(t *testing.T, in []byte, mountPath string) int {
	t.Helper()
	r := newRenderer(t, mountPath)
	before, err := r.Render(in)
	if err != nil {
		return 0
	}
	rows := map[string]bool{}
	advised := map[string]bool{}
	for _, w := range before.Report.Workloads {
		if match := pasted.FindStringSubmatch(w.Message); match != nil {
			rows[match[1]] = true
			advised[w.Kind+"/"+w.Name] = true
		}
	}
	var all []string
	for row := range rows {
		all = append(all, row)
	}
	if len(all) == 0 {
		return 0
	}
	r.Config = configWith(t, mountPath, all...)
	after := requireProperties(t, r, in)
	require.Empty(t, after.Report.Error)
	for object := range advised {
		assertMounted(t, after, object)
	}
	return len(all)
}

// assertMounted asserts that all pods of an object are mounted, and that nothing is advised about it.
func assertMounted(t *testing.T, out *postrender.Output, object string) {
	t.Helper()
	pods := 0
	for _, w := range out.Report.Workloads {
		if w.Kind+"/"+w.Name == object {
			pods++
			assert.Equal(t, inject.ReasonInjected, w.Reason, "%s: %s", object, w.Message)
		}
	}
	assert.NotZero(t, pods, object)
}

// configWith is a configuration with rows.
func configWith(t *testing.T, mountPath string, rows ...string) *storage.Config {
	t.Helper()
	config, _, err := storage.Load([]byte("apiVersion: pipeline-storage.io/v1alpha1\nkind: StorageConfig\n" +
		"profiles: [{name: default, mount: {path: " + mountPath + "}}]\nkinds:\n- " + strings.Join(rows, "\n- ") + "\n"))
	require.NoError(t, err)
	return config
}
