package helm_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/pkg/postrender"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

// committedChart is a chart whose templates were rendered with storage for a release, as users with
// committed manifests have it.
func committedChart(t *testing.T, h tool, release, namespace string) string {
	t.Helper()
	text := h.Must(t, append([]string{"template", release, example("etl-cronjob")}, h.storage(release, namespace)...)...)
	chart := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(chart, "templates"), 0o755))
	require.NoError(t,
		os.WriteFile(filepath.Join(chart, "Chart.yaml"), []byte("apiVersion: v2\nname: committed\nversion: 0.1.0\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(chart, "templates", "all.yaml"), []byte(text), 0o644))
	return chart
}

// TestRemovalRetainsStorageInCluster removes the storage from a release whose manifests have it:
// the pods lose it, Helm no longer manages the objects, and the very same objects remain in the
// cluster.
func TestRemovalRetainsStorageInCluster(t *testing.T) {
	withBoth(t, func(t *testing.T, h tool) {
		namespace := newNamespace(t)
		chart, storage := committedChart(t, h, "rel", namespace), storageOf("rel", namespace)
		h.Must(t, "install", "rel", chart, "--namespace", namespace, suite.Unvalidated)
		uids := storage.uids(t)
		assert.Contains(t, volumesOf(t, get(t, cronjobs, namespace, "rel-etl")), "pvc-data-pipeline.rel")

		h.Must(t, validated(h.upgrade("rel", chart, namespace, "--remove"))...)
		assert.NotContains(t, volumesOf(t, get(t, cronjobs, namespace, "rel-etl")), "pvc-data-pipeline.rel")
		assert.Contains(t, h.Must(t, "get", "manifest", "rel", "--namespace", namespace), "kind: PersistentVolumeClaim",
			"unless a flag requests it")
		assert.Equal(t, uids, storage.uids(t))

		report := filepath.Join(t.TempDir(), "report.json")
		h.Must(t, h.upgrade("rel", chart, namespace, "--remove=all", "--report="+report)...)
		manifest := h.Must(t, "get", "manifest", "rel", "--namespace", namespace)
		assert.NotContains(t, manifest, "PersistentVolumeClaim")
		assert.NotContains(t, manifest, "StorageClass")
		assert.Equal(t, uids, storage.uids(t), "the claim and its class are retained")
		written := readReport(t, report)
		assert.Equal(t, []inject.Reason{inject.ReasonRemoved}, reasons(written)["CronJob/rel-etl"])
		require.Len(t, written.Objects, 2)
		for _, object := range written.Objects {
			assert.Equal(t, postrender.Removed, object.Action, object.Kind)
		}

		h.Must(t, "uninstall", "rel", "--namespace", namespace)
		assert.Equal(t, uids, storage.uids(t))
	})
}

// TestRemovalRestoresChartByteForByte compares with what Helm prints without a post-renderer.
func TestRemovalRestoresChartByteForByte(t *testing.T) {
	t.Parallel()
	for _, name := range examples {
		plain := helm3(t).Must(t, "template", "rel", example(name), "--namespace", "team")
		renderer := func(remove postrender.Removal) *postrender.Renderer {
			return &postrender.Renderer{
				Config: storage.Default(), Release: storage.Release{Name: "rel", Namespace: "team"},
				Remove: remove,
			}
		}
		rendered, err := renderer(postrender.RemoveNothing).Render([]byte(plain))
		require.NoError(t, err)
		require.True(t, rendered.Changed(), name)
		back, err := renderer(postrender.RemoveAll).Render(rendered.Bytes())
		require.NoError(t, err)
		assert.Equal(t, plain, string(back.Bytes()), name)
	}
}
