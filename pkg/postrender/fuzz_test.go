package postrender_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
)

// FuzzRun renders arbitrary streams with the whole renderer and requires every property of its output.
func FuzzRun(f *testing.F) {
	files, err := filepath.Glob(filepath.Join("testdata", "render", "*.yaml"))
	require.NoError(f, err)
	require.NotEmpty(f, files)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		requireProperties(t, newRenderer(t, inject.DefaultMountPath), stream)
	})
}
