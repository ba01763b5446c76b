package postrender_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/pipeline-storage/pipeline-storage/internal/manifest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/postrender"
)

// requireProperties renders a stream and requires of the result what must hold of every result:
// nothing of the input is lost, every changed document means what an independent JSON-patch library
// makes of it, and a second run changes nothing.
func requireProperties(t *testing.T, r *postrender.Renderer, in []byte) *postrender.Output {
	t.Helper()
	out := requireStable(t, r, in)
	requireParity(t, r, out)
	return out
}

// requireStable requires what must hold even where Helm's decoder refuses the stream as it came, so
// that there is nothing to compare a document with.
func requireStable(t *testing.T, r *postrender.Renderer, in []byte) *postrender.Output {
	t.Helper()
	before := bytes.Clone(in)
	out, err := r.Render(in)
	require.Equal(t, before, in, "the input was written to")
	if err != nil {
		require.Empty(t, out.Bytes(), "an error must leave no output")
		require.NotEmpty(t, err.Error())
		return out
	}
	requireLossless(t, out)
	again, err := r.Render(out.Bytes())
	require.NoError(t, err, "the second run")
	require.Equal(t, string(out.Bytes()), string(again.Bytes()), "the second run changed something")
	return out
}

// requireLossless requires that only text was put in, apart from null literals that were filled.
func requireLossless(t *testing.T, out *postrender.Output) {
	t.Helper()
	var restored []byte
	rest, at := out.Bytes(), 0
	for _, e := range out.Edits() {
		n := e.Start - at
		restored = append(restored, rest[:n]...)
		rest = rest[n:]
		require.True(t, bytes.HasPrefix(rest, e.New), "an edit is not at its place")
		rest = rest[len(e.New):]
		taken := out.Stream()[e.Start:e.End]
		require.Contains(t, []string{"", "~", "null", "Null", "NULL"}, string(taken))
		restored = append(restored, taken...)
		at = e.End
	}
	restored = append(restored, rest...)
	require.Equal(t, string(out.Stream()), string(restored), "the input is not whole in the output")
	var written bytes.Buffer
	_, err := out.WriteTo(&written)
	require.NoError(t, err)
	require.Equal(t, string(out.Bytes()), written.String(), "WriteTo and Bytes differ")
}

// requireParity decodes every changed document and compares it with the patched original: decoder
// (go-yaml v2, which Helm uses) and JSON-patch library are others than our own.
func requireParity(t *testing.T, r *postrender.Renderer, out *postrender.Output) {
	t.Helper()
	for _, doc := range manifest.Split(out.Stream()) {
		edits := editsOf(doc, out)
		if len(edits) == 0 {
			continue
		}
		original, err := yaml.YAMLToJSON(doc.Body)
		require.NoError(t, err)
		want, err := jsonpatch.MergePatch(original, []byte("{}"))
		require.NoError(t, err)
		if ops := operations(t, r, original); len(ops) > 0 {
			text, err := json.Marshal(ops)
			require.NoError(t, err)
			patch, err := jsonpatch.DecodePatch(text)
			require.NoError(t, err)
			want, err = patch.Apply(original)
			require.NoError(t, err)
		}
		got, err := yaml.YAMLToJSON(manifest.Splice(doc.Body, edits))
		require.NoError(t, err)
		require.JSONEq(t, string(want), string(got), "document %d", doc.Number)
	}
}

// editsOf returns the edits inside a document's body, apart from storage objects that stand before
// it or behind it.
func editsOf(doc manifest.Document, out *postrender.Output) []manifest.Edit {
	var edits []manifest.Edit
	for _, e := range out.Edits() {
		inside := e.Start >= doc.BodyOffset() && e.Start <= doc.Offset+len(doc.Raw)
		if inside && !isStorage(e.New) {
			e.Start, e.End = e.Start-doc.BodyOffset(), e.End-doc.BodyOffset()
			edits = append(edits, e)
		}
	}
	return edits
}

// isStorage reports whether a text that was put in is storage objects.
func isStorage(text []byte) bool {
	return bytes.Contains(text, []byte("kind: PersistentVolumeClaim")) ||
		bytes.Contains(text, []byte(`"kind": "PersistentVolumeClaim"`))
}

// operations decides again about a document that encoding/json decoded.
func operations(t *testing.T, r *postrender.Renderer, document []byte) []any {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.UseNumber()
	var content map[string]any
	require.NoError(t, decoder.Decode(&content))
	objects, err := kinds.NewTable(r.Config.Kinds).Find(content)
	require.NoError(t, err)
	var ops []any
	for _, object := range objects {
		namespace := object.Namespace
		if namespace == "" {
			namespace = r.Release.Namespace
		}
		request := inject.Request{Release: r.Release, Namespace: namespace, Selector: r.Selector}
		for _, op := range inject.Patch(r.Config, request, object.Pods...).Operations {
			ops = append(ops, op)
		}
	}
	return ops
}

// shared returns the path of data that lies beside the repository, and skips where it does not.
func shared(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join("..", "..", "..", "shared", name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("not covered: the data in ../shared/%s, which is not part of the repository", name)
	}
	return path
}

// sharedFiles lists the streams of a directory of such data.
func sharedFiles(t testing.TB, name string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(shared(t, name), "*.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	return files
}

// workloadsBy counts the decisions of a report.
func workloadsBy(report *postrender.Report, reasons ...inject.Reason) int {
	return len(slices.DeleteFunc(slices.Clone(report.Workloads), func(w postrender.Workload) bool {
		return !slices.Contains(reasons, w.Reason)
	}))
}

// lines splits a stream, apart from a byte order mark: storage objects may stand between it and the
// first line.
func lines(text []byte) []string {
	return strings.Split(strings.TrimPrefix(string(text), "\uFEFF"), "\n")
}

// assertAddedLines asserts that the output has every line of the input, in order, but for lines in
// flow style that got text in their middle.
func assertAddedLines(t *testing.T, out *postrender.Output) {
	t.Helper()
	rest := lines(out.Bytes())
	for _, line := range lines(out.Stream()) {
		i := slices.Index(rest, line)
		if i < 0 {
			assert.True(t, strings.ContainsAny(line, "[{~") || strings.Contains(line, "null"), "changed line: %q", line)
			continue
		}
		rest = rest[i+1:]
	}
}
