package gitops_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// commandBlock is a block of commands to copy from a document.
var commandBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")

// TestDocumentCommands runs the commands of docs/gitops.md as a user would, in a directory with the
// examples.
func TestDocumentCommands(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, "docs", "gitops.md"))
	require.NoError(t, err)
	blocks := commandBlock.FindAllStringSubmatch(string(text), -1)
	require.NotEmpty(t, blocks)
	for _, block := range blocks {
		t.Run(strings.Fields(block[1])[0], func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			require.NoError(t, os.CopyFS(filepath.Join(dir, "examples"), os.DirFS(filepath.Join(root, "examples"))))
			r := command(t, dir, nil, "bash", "-euo", "pipefail", "-c", block[1])
			out := must(t, r)
			assert.NotContains(t, r.stderr, "nothing was selected")
			if strings.Contains(block[1], "rendered/manifests.yaml") {
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
	text, err := os.ReadFile(filepath.Join(root, "docs", "gitops.md"))
	require.NoError(t, err)
	yaml := regexp.MustCompile("(?s)```yaml\n(apiVersion: pipeline-storage.*?)```").FindSubmatch(text)
	require.NotNil(t, yaml)
	dir := copied(t, "examples/kustomize")
	write(t, dir, "storage.yaml", string(yaml[1]))
	assert.Equal(t, exampleObjects, keys(objects(t, must(t, build(t, dir)))))
}
