package postrender_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/pipeline-storage/pipeline-storage/internal/manifest"
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

const (
	tableBegin = "<!-- corpus -->\n"
	tableEnd   = "<!-- /corpus -->\n"
)

// TestCorpusTable holds the table in docs/corpus.md to what the renderer does today.
func TestCorpusTable(t *testing.T) {
	table := corpusTable(t)
	path := filepath.Join("..", "..", "docs", "corpus.md")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	head, rest, ok := strings.Cut(string(text), tableBegin)
	require.True(t, ok, "docs/corpus.md has no mark %q", tableBegin)
	_, tail, ok := strings.Cut(rest, tableEnd)
	require.True(t, ok, "docs/corpus.md has no mark %q", tableEnd)
	want := head + tableBegin + table + tableEnd + tail
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(want), 0o644))
		return
	}
	assert.Equal(t, want, string(text), "run make generate")
}

// corpusTable counts, for every stream, documents, changed documents and pods by what was decided about them.
func corpusTable(t *testing.T) string {
	var b strings.Builder
	b.WriteString("| Stream | Documents | Changed | Injected | Left alone, with a reason | With /data |\n|---|--:|--:|--:|---|---|\n")
	for _, file := range sharedFiles(t, "corpus") {
		in, err := os.ReadFile(file)
		require.NoError(t, err)
		out, err := newRenderer(t, "/mnt/pipeline").Render(in)
		require.NoError(t, err)
		changed := 0
		for _, doc := range manifest.Split(in) {
			if len(editsOf(doc, out)) > 0 {
				changed++
			}
		}
		docs := manifest.Split(in)
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %s | %s |\n", strings.TrimSuffix(filepath.Base(file), ".yaml"),
			docs[len(docs)-1].Number, changed, out.Report.Count(inject.ReasonInjected), others(&out.Report), withDefaultPath(t, in))
	}
	return b.String()
}

// others lists the pods that were not injected, by reason and kind.
func others(report *postrender.Report) string {
	counts := map[string]int{}
	for _, w := range report.Workloads {
		if w.Reason != inject.ReasonInjected {
			counts[string(w.Reason)+" "+w.Kind]++
		}
	}
	var parts []string
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", what, counts[what]))
	}
	return strings.Join(parts, ", ")
}

// withDefaultPath tells what comes of a stream when the mount path is the default, which some charts use themselves.
func withDefaultPath(t *testing.T, in []byte) string {
	if _, err := newRenderer(t, inject.DefaultMountPath).Render(in); err != nil {
		return fmt.Sprintf("refused: /data is taken in %d", strings.Count(err.Error(), "is taken by volume"))
	}
	return "injected"
}
