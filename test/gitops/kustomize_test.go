package gitops_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

// build builds a kustomization with the functions that it names.
func build(t *testing.T, dir string) suite.Result {
	t.Helper()
	return shell(t, dir).Exec(t.Context(), t, "kustomize", "build", "--enable-alpha-plugins", "--enable-exec", dir)
}

// edit replaces text of a file, which must have it.
func edit(t *testing.T, dir, name string, oldAndNew ...string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	require.NoError(t, err)
	for i := 0; i < len(oldAndNew); i += 2 {
		require.Contains(t, string(text), oldAndNew[i])
	}
	write(t, dir, name, strings.NewReplacer(oldAndNew...).Replace(string(text)))
}

// mounts are the claims and mount paths of a workload.
func mounts(t *testing.T, workload *unstructured.Unstructured) map[string]string {
	t.Helper()
	require.NotNil(t, workload)
	found := map[string]string{}
	claims := map[any]string{}
	volumes, _, err := unstructured.NestedSlice(workload.Object, "spec", "template", "spec", "volumes")
	require.NoError(t, err)
	for _, v := range volumes {
		volume := v.(map[string]any)
		claims[volume["name"]], _, _ = unstructured.NestedString(volume, "persistentVolumeClaim", "claimName")
	}
	containers, _, err := unstructured.NestedSlice(workload.Object, "spec", "template", "spec", "containers")
	require.NoError(t, err)
	for _, c := range containers {
		list, _, _ := unstructured.NestedSlice(c.(map[string]any), "volumeMounts")
		for _, m := range list {
			mount := m.(map[string]any)
			found[claims[mount["name"]]], _ = mount["mountPath"].(string)
		}
	}
	return found
}

func keys(objects map[string]*unstructured.Unstructured) []string {
	return slices.Sorted(maps.Keys(objects))
}

var exampleObjects = []string{
	"Deployment/pipelines/nightly-api", "Job/pipelines/nightly-train",
	"PersistentVolumeClaim/pipelines/pvc-data-pipeline.nightly", "StorageClass//fast.pipelines.nightly",
}

// The example: kustomize's own transformers first, then the function.
func TestFunctionMountsKustomizeOutput(t *testing.T) {
	t.Parallel()
	r := build(t, copied(t, "examples/kustomize"))
	built := objects(t, r.Must(t))
	assert.Empty(t, r.Stderr)
	assert.Equal(t, exampleObjects, keys(built))
	for _, name := range exampleObjects[:2] {
		assert.Equal(t, map[string]string{"pvc-data-pipeline.nightly": "/data"}, mounts(t, built[name]), name)
	}
	for name, object := range built {
		for key := range object.GetAnnotations() {
			assert.NotContains(t, key, "config.kubernetes.io", "%s: kustomize's own annotations go as they came", name)
		}
	}
}

// The output of a build is built again: nothing changes.
func TestSecondBuildChangesNothing(t *testing.T) {
	t.Parallel()
	dir := copied(t, "examples/kustomize")
	once := build(t, dir).Must(t)
	write(t, dir, "once.yaml", once)
	write(t, dir, "kustomization.yaml", "resources: [once.yaml]\ntransformers: [storage.yaml]\n")
	assert.Equal(t, once, build(t, dir).Must(t))
}

// Each namespace in which pods mount the claim gets one.
func TestEachNamespaceGetsClaim(t *testing.T) {
	t.Parallel()
	dir := copied(t, "examples/kustomize")
	edit(t, dir, "kustomization.yaml", "namespace: pipelines\n", "")
	edit(t, dir, "base/api.yaml", "  name: api\nspec", "  name: api\n  namespace: serving\nspec")
	built := keys(objects(t, build(t, dir).Must(t)))
	assert.Contains(t, built, "PersistentVolumeClaim/serving/pvc-data-pipeline.nightly")
	assert.Contains(t, built, "PersistentVolumeClaim/pipelines/pvc-data-pipeline.nightly")
	assert.Len(t, built, 5, "and one class")
}

// A conflict stops the build with its message, and so does a mistake in the configuration.
func TestKustomizeShowsReason(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		file string
		edit []string
		exp  string
	}{
		"a conflict": {
			"base/api.yaml",
			[]string{
				"        args:", "        volumeMounts: [{name: scratch, mountPath: /data}]\n        args:", "    spec:\n",
				"    spec:\n      volumes: [{name: scratch, emptyDir: {}}]\n",
			},
			`error: document 1 Deployment/nightly-api: container "api": mount path /data is taken by volume "scratch": choose ` +
				`another by mount.path, --mount-path or the pod annotation pipeline-storage.io/mount-path`,
		},
		"a mistake": {
			"storage.yaml",
			[]string{"size: 50Gi", "size: lots"},
			`error: functionConfig: profiles[0].claim.size: "lots" is not a quantity`,
		},
		"no namespace": {
			"storage.yaml",
			[]string{"  namespace: pipelines\n", ""},
			"write them as metadata.name and metadata.namespace of the StorageConfig that is the functionConfig",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := copied(t, "examples/kustomize")
			edit(t, dir, tc.file, tc.edit...)
			r := build(t, dir)
			require.Error(t, r.Err)
			assert.Empty(t, r.Stdout)
			assert.Contains(t, r.Stderr, tc.exp)
		})
	}
}

// Warnings reach the user who builds.
func TestKustomizeShowsWarnings(t *testing.T) {
	t.Parallel()
	dir := copied(t, "examples/kustomize")
	edit(t, dir, "storage.yaml", "accessModes: [ReadWriteMany]", "accessModes: [ReadWriteOnce]",
		"backend: nfs\n    parameters:\n      server: nfs.example.com\n      share: /exports/pipelines", "backend: aws-ebs")
	r := build(t, dir)
	assert.Len(t, objects(t, r.Must(t)), 4)
	assert.Contains(t, r.Stderr, `warning: profile "default": its volume can be mounted on one node only`)
}

// Arguments of the function are flags, which go before the metadata.
func TestArgumentsAreFlags(t *testing.T) {
	t.Parallel()
	dir := copied(t, "examples/kustomize")
	edit(t, dir, "storage.yaml", "        path: postrender\n",
		"        path: postrender\n        args: [--release=other, --size=1Ti]\n")
	built := objects(t, build(t, dir).Must(t))
	claim := built["PersistentVolumeClaim/pipelines/pvc-data-pipeline.other"]
	require.NotNil(t, claim, "%v", keys(built))
	size, _, _ := unstructured.NestedString(claim.Object, "spec", "resources", "requests", "storage")
	assert.Equal(t, "1Ti", size)
}

// Limitations of kustomize in the document, so that it can be changed when kustomize is.
func TestKustomizeLimitations(t *testing.T) {
	t.Parallel()
	dir := copied(t, "examples/kustomize")
	r := shell(t, dir).Exec(t.Context(), t, "kustomize", "build", "--enable-alpha-plugins", dir)
	assert.NotContains(t, r.Must(t), "pvc-data-pipeline", "without --enable-exec the function is skipped")
	assert.Empty(t, r.Stderr, "without a word")

	for _, args := range [][]string{{"kustomize", "build", dir}, {"kubectl", "kustomize", dir}} {
		r := shell(t, dir).Exec(t.Context(), t, args[0], args[1:]...)
		require.Error(t, r.Err, "%v", args)
		assert.Contains(t, r.Stderr, "external plugins disabled", "%v", args)
	}

	edit(t, dir, "storage.yaml", "  storageClass:",
		"  volume: {handle: 'nfs.example.com#/exports/pipelines#'}\n  storageClass:")
	parent := t.TempDir()
	require.NoError(t, os.CopyFS(filepath.Join(parent, "inner"), os.DirFS(dir)))
	write(t, parent, "kustomization.yaml", "namespace: other\nresources: [inner]\n")
	built := objects(t, build(t, parent).Must(t))
	assert.Contains(t, built, "PersistentVolumeClaim/other/pvc-data-pipeline.nightly")
	volume := built["PersistentVolume//pv-data-pipeline.pipelines.nightly"]
	require.NotNil(t, volume, "%v", keys(built))
	namespace, _, _ := unstructured.NestedString(volume.Object, "spec", "claimRef", "namespace")
	assert.Equal(t, "pipelines", namespace, "an overlay on top leaves the claimRef behind")
}
