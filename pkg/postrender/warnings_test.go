package postrender_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/pkg/postrender"
)

func TestWarnsOfStreamWithoutPods(t *testing.T) {
	in := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"
	out, err := labelled().Render([]byte(in))
	require.NoError(t, err)
	assert.Equal(t, in, string(out.Bytes()))
	assert.Equal(t, []string{"nothing was selected: the stream holds no pods"}, out.Report.Warnings)
}

func TestWarnings(t *testing.T) {
	files := func(p *storage.Profile) {
		p.StorageClass.Backend = "nfs"
		p.StorageClass.Parameters = map[string]string{"server": "s", "share": "/x"}
		p.Claim.AccessModes = append(p.Claim.AccessModes, "ReadWriteMany")
	}
	volume := func(zone string) func(*storage.Profile) {
		return func(p *storage.Profile) { p.Volume = &storage.Volume{Handle: "vol-1", Zone: zone} }
	}
	const sharedDisk, zone, late = "set colocate: true to keep them on one node", "volume.zone is empty",
		"helm --wait would time out"
	onePod := func(p *storage.Profile) {
		p.Claim.AccessModes = append(p.Claim.AccessModes, corev1.ReadWriteOncePod)
	}
	cases := map[string]struct {
		renderer *postrender.Renderer
		stream   string
		exp      []string
	}{
		"one pod on a disk":     {labelled(), workload("Deployment", "a"), nil},
		"replicas on a disk":    {labelled(), workload("Deployment", "a", "  replicas: 2\n"), []string{sharedDisk}},
		"parallelism on a disk": {labelled(), workload("Job", "a", "  parallelism: 3\n"), []string{sharedDisk}},
		"a DaemonSet on a disk": {labelled(), workload("DaemonSet", "a"), []string{sharedDisk}},
		"two workloads on a disk": {
			labelled(), workload("Deployment", "a") + workload("Job", "b"),
			[]string{sharedDisk},
		},
		"replicas on one node": {
			labelled(func(p *storage.Profile) { p.Colocate = true }),
			workload("Deployment", "a", "  replicas: 2\n"), nil,
		},
		"replicas on a claim of one pod": {labelled(onePod), workload("Deployment", "a", "  replicas: 2\n"), []string{
			`profile "default": its volume can be mounted by one pod only (ReadWriteOncePod), but several pods in namespace ` +
				`"pipelines" want it: document 1 Deployment/a; ` +
				"all others wait until it ends: use ReadWriteOnce with colocate: true, or a file backend with ReadWriteMany",
		}},
		"colocate on a file system": {
			labelled(files,
				func(p *storage.Profile) { p.Colocate = true }), workload("Deployment", "a", "  replicas: 2\n"),
			[]string{"colocate has no effect"},
		},
		"two namespaces, a disk each": {labelled(), workload("Deployment",
			"a") + strings.Replace(workload("Job", "b"), "  name: b\n", "  name: b\n  namespace: other\n", 1), nil},
		"replicas on a file system": {labelled(files), workload("Deployment", "a", "  replicas: 2\n"), nil},
		"a disk without a zone":     {labelled(volume("")), workload("Deployment", "a"), []string{zone}},
		"a disk with a zone":        {labelled(volume("z")), workload("Deployment", "a"), nil},
		"only a Deployment of no pods": {
			labelled(), workload("Deployment", "a", "  replicas: 0\n"),
			[]string{late},
		},
		"a bound volume needs no waiting": {
			labelled(volume("z")),
			workload("Deployment", "a", "  replicas: 0\n"), nil,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			out, err := tc.renderer.Render([]byte(tc.stream))
			require.NoError(t, err)
			require.Len(t, out.Report.Warnings, len(tc.exp), "%s", out.Report.Warnings)
			for i, exp := range tc.exp {
				assert.Contains(t, out.Report.Warnings[i], exp)
			}
		})
	}
}

func TestWarningsShortenLongLists(t *testing.T) {
	var stream strings.Builder
	for name := range strings.SplitSeq("abcdefgh", "") {
		stream.WriteString(workload("Deployment", name))
	}
	out, err := labelled().Render([]byte(stream.String()))
	require.NoError(t, err)
	require.Len(t, out.Report.Warnings, 1)
	assert.Contains(t, out.Report.Warnings[0], "document 5 Deployment/e, and 3 more; pods on other nodes")
}

// TestWarnsOfSelectedPodsWithoutStorage holds the warnings to selected pods.
func TestWarnsOfSelectedPodsWithoutStorage(t *testing.T) {
	custom := func(labels string) string {
		return "---\napiVersion: x.io/v1\nkind: Training\nmetadata: {name: t}\nspec:\n  template:\n    " +
			"metadata: {labels: {" + labels +
			"}}\n    spec:\n      containers:\n      - name: main\n        image: x\n"
	}
	windows := strings.Replace(workload("Deployment", "w"), "    spec:\n", "    spec:\n      "+
		"nodeSelector: {kubernetes.io/os: windows}\n", 1)
	misspelt := func(p *storage.Profile) { p.Mount.Containers = []string{"mian"} }
	cases := map[string]struct {
		renderer *postrender.Renderer
		stream   string
		exp      string
	}{
		"an unsupported kind with the label": {
			labelled(), custom("pipeline-storage: enabled"),
			"UnsupportedKind: it seems to hold a pod",
		},
		"an unsupported kind without it": {labelled(), custom("app: x"), ""},
		"a workflow inside something else": {
			labelled(), "---\napiVersion: example.com/v1\nkind: Trigger\nmetadata: {labels: " +
				"{pipeline-storage: enabled}, name: s}\n" +
				"spec: {triggers: [{template: {k8s: {source: {resource: {kind: Workflow, spec: {templates: " +
				"[{script: {image: x}}]}}}}}}]}\n",
			"UnsupportedKind: it seems to hold a pod",
		},
		"a workflow of references": {
			labelled(), "---\napiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {labels: " +
				"{pipeline-storage: enabled}, name: w}\n" +
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

func TestRefusedRunHasNoWarningAboutSelection(t *testing.T) {
	out, err := labelled().Render([]byte(workload("Deployment", "a") + scratchAtData))
	require.Error(t, err)
	assert.Empty(t, out.Report.Warnings)
	assert.Equal(t, err.Error(), out.Report.Error)
}

// TestWarnsOfClusterScopedKind is about a claim that serves one namespace, in an object that serves all.
func TestWarnsOfClusterScopedKind(t *testing.T) {
	in := "apiVersion: serving.kserve.io/v1alpha1\nkind: %s\nmetadata: {name: r}\nspec:\n  containers:\n  - name: c\n"
	for kind, exp := range map[string][]string{
		"ServingRuntime": nil,
		"ClusterServingRuntime": {"a ClusterServingRuntime belongs to no namespace: its pods run where it " +
			"is used, and find the claim pvc-data-pipeline.rel in the namespace pipelines only; " +
			"in other namespaces, create the claim first, or label the pods pipeline-storage: enabled " +
			"instead, and the webhook creates it"},
	} {
		out, err := newRenderer(t, storage.DefaultMountPath).Render(fmt.Appendf(nil, in, kind))
		require.NoError(t, err)
		assert.Equal(t, exp, out.Report.Workloads[0].Warnings)
	}
}
