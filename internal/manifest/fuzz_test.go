package manifest_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"gomodules.xyz/jsonpatch/v2"

	"github.com/pipeline-storage/pipeline-storage/internal/manifest"
)

// addSeeds gives a fuzzer the streams of the renderer's own tests.
func addSeeds(f *testing.F, add func([]byte)) {
	f.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "pkg", "postrender", "testdata", "render", "*.yaml"))
	require.NoError(f, err)
	require.NotEmpty(f, files)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(f, err)
		add(text)
	}
}

// FuzzSplit cuts arbitrary bytes. The documents join up to the stream, and no document hides its kind.
func FuzzSplit(f *testing.F) {
	addSeeds(f, func(text []byte) { f.Add(text) })
	for _, text := range []string{
		"a: 1\nkind: Pod\t# x", "a: 1\n!x kind: Pod", "a: 1\n&a kind: Pod", "a: 1\u0085kind: Pod", "a: 1\u2028kind: Pod",
		"a: 1\u2029kind: Pod",
		"a: &k kind\n*k : Pod", "kind: \"Po\\\nd\"",
		`{"kind":"Pod"}{"kind":"Pod"}`, "{}\n \r\n{\"kind\" :\t\"Pod\"}", `{"a":"\"}{"}{}`, "{\"a\":1}\n---\n{}{}",
		`{"<<":{"kind":"Pod"}}{}`, `{"a","kind":"Pod"}{}`, "kind: A\n...\nkind: Pod", "  a: b\nkind: Pod", "---\t\nkind: Pod",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		var joined []byte
		number := 0
		for _, doc := range manifest.Split(stream) {
			require.Equal(t, len(joined), doc.Offset)
			require.True(t, bytes.HasSuffix(doc.Raw, doc.Body))
			require.GreaterOrEqual(t, doc.Number, number)
			number = doc.Number
			joined = append(joined, doc.Raw...)
			requireKindSeen(t, doc)
		}
		require.True(t, bytes.Equal(stream, joined))
	})
}

// word is what a kind may be: an identifier.
var word = regexp.MustCompile(`^\w+$`)

// requireKindSeen requires that the scan found the kind that parsing finds, or that its header is unsure.
func requireKindSeen(t *testing.T, doc manifest.Document) {
	t.Helper()
	tree, err := manifest.Decode(doc.Body)
	if err != nil {
		return
	}
	content, _ := tree.Value().(map[string]any)
	if kind, ok := content["kind"].(string); ok && word.MatchString(kind) && !doc.Header.Unsure {
		require.True(t, slices.Contains(doc.Header.Kinds, kind), "kind %q is not among %q of %q", kind,
			doc.Header.Kinds, doc.Body)
	}
}

// FuzzApply adds a value at an arbitrary place of an arbitrary document: it works and nothing is
// lost, or it is refused.
func FuzzApply(f *testing.F) {
	pointers := []string{
		"/spec/volumes", "/spec/volumes/0",
		"/spec/template/spec/containers/0/volumeMounts", "/spec/containers/0", "/metadata/labels", "/spec/containers/0/env/0",
		"/items/-",
	}
	addSeeds(f, func(text []byte) {
		for _, doc := range manifest.Split(text) {
			for _, pointer := range pointers {
				f.Add(doc.Body, pointer, "pipeline-storage", true)
				f.Add(doc.Body, pointer, "a: b\n- c", false)
			}
		}
	})
	f.Fuzz(func(t *testing.T, body []byte, pointer, name string, list bool) {
		if pointer == "" || pointer[0] != '/' {
			return
		}
		tree, err := manifest.Decode(body)
		if err != nil {
			return
		}
		var value any = map[string]any{"name": name, "nested": map[string]any{"list": []any{name, true, 7}}}
		if list {
			value = []any{value}
		}
		ops := []jsonpatch.Operation{{Operation: "add", Path: pointer, Value: value}}
		before := bytes.Clone(body)
		edits, err := tree.Apply(ops)
		require.Equal(t, before, body)
		if err != nil {
			return
		}
		requireRestored(t, body, edits)
	})
}
