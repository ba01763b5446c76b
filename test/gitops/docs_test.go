package gitops_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

// TestDocumentCommands runs the commands of docs/gitops.md as a user would, in a directory with the
// examples.
func TestDocumentCommands(t *testing.T) {
	t.Parallel()
	for _, block := range suite.Blocks(t, "docs/gitops.md", "sh") {
		t.Run(strings.Fields(block)[0], func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			require.NoError(t, os.CopyFS(filepath.Join(dir, "examples"), os.DirFS(filepath.Join(root, "examples"))))
			r := shell(t, dir).Run(t.Context(), t, block)
			out := r.Must(t)
			assert.NotContains(t, r.Stderr, "nothing was selected")
			if strings.Contains(block, "rendered/manifests.yaml") {
				rendered, err := os.ReadFile(filepath.Join(dir, "rendered", "manifests.yaml"))
				require.NoError(t, err)
				assert.Contains(t, keys(objects(t, string(rendered))), "PersistentVolumeClaim/pipelines/pvc-data-pipeline.nightly")
				return
			}
			assert.NotEmpty(t, out)
		})
	}
}

// TestDocumentConfigurationLoads checks the first example of the document against its text.
func TestDocumentConfigurationLoads(t *testing.T) {
	t.Parallel()
	blocks := suite.Blocks(t, "docs/gitops.md", "yaml")
	first := slices.IndexFunc(blocks, func(block string) bool {
		return strings.HasPrefix(block, "apiVersion: pipeline-storage")
	})
	require.NotEqual(t, -1, first)
	dir := copied(t, "examples/kustomize")
	write(t, dir, "storage.yaml", blocks[first])
	assert.Equal(t, exampleObjects, keys(objects(t, build(t, dir).Must(t))))
}
