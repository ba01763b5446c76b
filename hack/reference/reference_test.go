package reference

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const pages = "../../docs/reference"

// TestReferenceIsGenerated: each page is as make generate writes it, and there is no other.
func TestReferenceIsGenerated(t *testing.T) {
	t.Parallel()
	files, err := Markdown()
	require.NoError(t, err)
	entries, err := os.ReadDir(pages)
	require.NoError(t, err)
	assert.Len(t, entries, len(files))
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(pages, name))
		require.NoError(t, err, "make generate writes it")
		assert.Equal(t, string(want), string(got), "make generate writes %s", name)
	}
}

func TestManPages(t *testing.T) {
	t.Parallel()
	files, err := Man("1.2.3")
	require.NoError(t, err)
	page := string(files["postrender.1"])
	assert.Contains(t, page, `"pipeline-storage 1.2.3"`)
	assert.Contains(t, page, "existing-claim")
	assert.Contains(t, files, "kubectl-pipeline-storage-status.1")
	for name, text := range files {
		assert.True(t, strings.HasSuffix(name, ".1"), name)
		assert.NotContains(t, string(text), "Auto generated", name)
	}
}
