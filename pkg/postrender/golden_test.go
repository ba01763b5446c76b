package postrender_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

var update = flag.Bool("update", false, "write the expected files")

// TestRenderedStreams compares NAME.in.yaml with NAME.out.yaml, or with NAME.err.txt where the
// stream is refused. The properties of every output are required as well, so that -update cannot
// accept a loss.
func TestRenderedStreams(t *testing.T) {
	inputs, err := filepath.Glob(filepath.Join("testdata", "render", "*.in.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, inputs)
	for _, input := range inputs {
		base := strings.TrimSuffix(input, ".in.yaml")
		t.Run(filepath.Base(base), func(t *testing.T) {
			in, err := os.ReadFile(input)
			require.NoError(t, err)
			out := requireProperties(t, newRenderer(t, storage.DefaultMountPath), in)
			if out.Report.Error != "" {
				requireFile(t, base+".err.txt", base+".out.yaml", out.Report.Error+"\n")
				return
			}
			assertAddedLines(t, out)
			requireFile(t, base+".out.yaml", base+".err.txt", string(out.Bytes()))
		})
	}
}

// requireFile compares a text with a file, and requires that its opposite is not there.
func requireFile(t *testing.T, path, opposite, got string) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
		_ = os.Remove(opposite)
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "run the test with -update and look at the difference")
	assert.Equal(t, string(want), got)
	assert.NoFileExists(t, opposite)
}
