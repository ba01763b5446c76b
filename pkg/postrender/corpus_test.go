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
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/pkg/postrender"
)

// newRenderer selects every pod and mounts at a path that no chart uses.
func newRenderer(t testing.TB, mountPath string) *postrender.Renderer {
	t.Helper()
	config, _, err := storage.New(func(c *storage.Config) error {
		c.Profiles[0].Mount.Path = mountPath
		return nil
	})
	require.NoError(t, err)
	return &postrender.Renderer{
		Config:   config,
		Release:  storage.Release{Name: "rel", Namespace: "pipelines"},
		Selector: labels.Everything(),
	}
}

func TestInjectsRealChartsWithoutLoss(t *testing.T) {
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

// TestRealChartsWithTheDefaultPath shows which charts use /data themselves: they are refused with
// the container's name.
func TestRealChartsWithTheDefaultPath(t *testing.T) {
	for _, file := range sharedFiles(t, "corpus") {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			in, err := os.ReadFile(file)
			require.NoError(t, err)
			r := newRenderer(t, storage.DefaultMountPath)
			if _, err := r.Render(in); err != nil {
				assert.Regexp(t, `^document \d+ \w+/\S+: container "[^"]+": mount path /data is taken by volume "[^"]+"`,
					err.Error())
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
	require.True(t, ok, "docs/corpus.md has no line %q", tableBegin)
	_, tail, ok := strings.Cut(rest, tableEnd)
	require.True(t, ok, "docs/corpus.md has no line %q", tableEnd)
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
	b.WriteString("| Stream | Documents | Changed | Injected | Already | Label only | Left alone, with " +
		"a reason | Refused with /data |\n" +
		"|---|--:|--:|--:|--:|--:|---|---|\n")
	var all row
	for _, file := range sharedFiles(t, "corpus") {
		in, err := os.ReadFile(file)
		require.NoError(t, err)
		out, err := newRenderer(t, "/mnt/pipeline").Render(in)
		require.NoError(t, err)
		docs := manifest.Split(in)
		r := row{documents: docs[len(docs)-1].Number, report: out.Report}
		for _, doc := range docs {
			if len(editsOf(doc, out)) > 0 {
				r.changed++
			}
		}
		b.WriteString(r.line(strings.TrimSuffix(filepath.Base(file), ".yaml"), withDefaultPath(t, in)))
		all.documents, all.changed = all.documents+r.documents, all.changed+r.changed
		all.report.Workloads = append(all.report.Workloads, r.report.Workloads...)
	}
	b.WriteString(all.line("**all**", ""))
	return b.String()
}

// row is what came of a stream.
type row struct {
	documents, changed int
	report             postrender.Report
}

func (r *row) line(name, refused string) string {
	return fmt.Sprintf("| %s | %d | %d | %d | %d | %d | %s | %s |\n", name, r.documents, r.changed,
		r.report.Count(inject.ReasonInjected),
		r.report.Count(inject.ReasonAlreadyMounted), r.report.Count(inject.ReasonLabelled), others(&r.report), refused)
}

// withStorage are the reasons of pods that have their storage, or will have it from the webhook.
var withStorage = []inject.Reason{inject.ReasonInjected, inject.ReasonAlreadyMounted, inject.ReasonLabelled}

// others lists the pods that were left alone, by reason and kind.
func others(report *postrender.Report) string {
	return countKinds(report, func(w *postrender.Workload) string {
		if slices.Contains(withStorage, w.Reason) {
			return ""
		}
		return string(w.Reason) + " " + w.Kind
	})
}

// countKinds counts the pods by a description. Pods with an empty description do not count.
func countKinds(report *postrender.Report, describe func(*postrender.Workload) string) string {
	counts := map[string]int{}
	for i := range report.Workloads {
		if what := describe(&report.Workloads[i]); what != "" {
			counts[what]++
		}
	}
	var parts []string
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", what, counts[what]))
	}
	return strings.Join(parts, ", ")
}

// withDefaultPath lists the pods that are refused when the mount path is the default, which some
// charts use themselves.
func withDefaultPath(t *testing.T, in []byte) string {
	out, err := newRenderer(t, storage.DefaultMountPath).Render(in)
	refused := countKinds(&out.Report, func(w *postrender.Workload) string {
		if !w.Reason.Refuses() {
			return ""
		}
		assert.Regexp(t, `mount path /data is taken by volume "[^"]+": choose another `, w.Message, "%s/%s", w.Kind, w.Name)
		return w.Kind
	})
	assert.Equal(t, err != nil, refused != "")
	return refused
}
