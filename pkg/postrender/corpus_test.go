package postrender_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/postrender"
)

// newRenderer selects every pod and mounts at a path that no chart uses.
func newRenderer(t testing.TB, mountPath string) *postrender.Renderer {
	t.Helper()
	config, _, err := inject.New(func(c *inject.Config) error {
		c.Profiles[0].Mount.Path = mountPath
		return nil
	})
	require.NoError(t, err)
	return &postrender.Renderer{
		Config:   config,
		Release:  inject.Release{Name: "rel", Namespace: "pipelines"},
		Selector: labels.Everything(),
	}
}

func TestRealChartsAreInjectedWithoutLoss(t *testing.T) {
	for _, file := range sharedFiles(t, "corpus") {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			in, err := os.ReadFile(file)
			require.NoError(t, err)
			r := newRenderer(t, "/mnt/pipeline")
			_, err = r.Render(in)
			require.NoError(t, err, "no chart uses this path")
			out := requireProperties(t, r, in)
			assertAddedLines(t, out)
			for _, w := range out.Report.Workloads {
				assert.NotEmpty(t, w.Reason)
				assert.NotEqual(t, inject.ReasonNotSelected, w.Reason, "%s/%s", w.Kind, w.Name)
				if w.Reason != inject.ReasonInjected {
					assert.NotEmpty(t, w.Message, "%s/%s", w.Kind, w.Name)
				}
			}
		})
	}
}

// TestRealChartsWithTheDefaultPath shows which charts use /data themselves: they are refused with the container's name.
func TestRealChartsWithTheDefaultPath(t *testing.T) {
	for _, file := range sharedFiles(t, "corpus") {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			in, err := os.ReadFile(file)
			require.NoError(t, err)
			r := newRenderer(t, inject.DefaultMountPath)
			if _, err := r.Render(in); err != nil {
				assert.Regexp(t, `^document \d+ \w+/\S+: container "[^"]+": mount path /data is taken by volume "[^"]+"`, err.Error())
			}
			requireProperties(t, r, in)
		})
	}
}
