package manifest_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gomodules.xyz/jsonpatch/v2"

	"github.com/pipeline-storage/pipeline-storage/internal/manifest"
)

// roundTripBodies have a list at /s/l, or room for one, in a few styles.
var roundTripBodies = map[string]string{
	"block":                     "s:\n  l:\n  - a: 1\n  k: v\n",
	"block, indented":           "s:\n    l:\n      # first\n      -  a: 1\n",
	"block, CR LF":              "s:\r\n  l:\r\n  - a: 1\r\n",
	"block, no last line break": "s:\n  k: v",
	"block, an empty list":      "s:\n  l: []\n  k: v",
	"block, an empty item":      "s:\n  l: [{}]\n",
	"block, a merge key":        "s: &s\n  <<: {k: v}\n  l:\n  - a: 1",
	"block, an alias":           "t:\n- &s {}\ns: *s\n",
	"flow":                      "s: {l: [ {a: 1}], k: v}\n",
	"flow, quotes in plain":     "s: {l: [ {a: it's}], k: the '90s}\n",
	"flow, an empty list":       "s: {l: []}\n",
	"flow, an empty mapping":    "s: {}\n",
	"JSON":                      "{\n  \"s\": {\n    \"l\": [\n      {\"a\": 1}\n    ]\n  }\n}\n",
}

// TestRemoveUndoesApply adds at several places of every style and removes it again.
func TestRemoveUndoesApply(t *testing.T) {
	t.Parallel()
	item := map[string]any{"name": "x: y", "deep": map[string]any{"a": true}}
	operations := map[string]struct{ add, remove []jsonpatch.Operation }{
		"items": {
			[]jsonpatch.Operation{add("/s/l/0", item), add("/s/l/1", "b")},
			remove("/s/l/1", "/s/l/0"),
		},
		"a list": {
			[]jsonpatch.Operation{add("/s/l", []any{item, item})},
			remove("/s/l"),
		},
		"keys": {
			[]jsonpatch.Operation{add("/s/x", []any{item}), add("/s/y", map[string]any{"z": item})},
			remove("/s/x", "/s/y"),
		},
		"a key of an item": {
			[]jsonpatch.Operation{add("/s/l/0/m", []any{item})},
			remove("/s/l/0/m"),
		},
	}
	without := 0 // not every body has every place
	for style, body := range roundTripBodies {
		for name, ops := range operations {
			tree, err := manifest.Decode([]byte(body))
			require.NoError(t, err, style)
			edits, err := tree.Apply(ops.add)
			if err != nil {
				without++
				continue
			}
			t.Run(style+", "+name, func(t *testing.T) {
				t.Parallel()
				edited := manifest.Splice([]byte(body), edits)
				requireRestored(t, []byte(body), edits)
				tree, err = manifest.Decode(edited)
				require.NoError(t, err)
				edits, err = tree.Remove(ops.remove)
				require.NoError(t, err, "%s", edited)
				assert.Equal(t, body, string(manifest.Splice(edited, edits)), "%s", edited)
			})
		}
	}
	assert.Equal(t, 18, without)
}

// TestDecodeReadsWhatEncodeWrites has strings that a decoder could mistake for something else.
func TestDecodeReadsWhatEncodeWrites(t *testing.T) {
	t.Parallel()
	value := map[string]any{
		"kind": "K", "apiVersion": "v1", "empty": map[string]any{"list": []any{}, "map": map[string]any{}},
		"scalars": []any{true, nil, json.Number("7"), json.Number("1.50"), "", "yes", "~", "0x1F", "1e3"},
		"text":    []any{"it's", "a: b", "- a", "# no", "a\nb\u0085\u2028\x7f", "\uFEFF", "é", "\"]", "100Gi"},
		"nested":  []any{[]any{"a", []any{}}, map[string]any{"on": map[string]any{"n": []any{"y"}}}},
	}
	text, err := manifest.Encode(value)
	require.NoError(t, err)
	tree, err := manifest.Decode(text)
	require.NoError(t, err)
	assert.Equal(t, value, tree.Value(), "%s", text)
}

// requireRestored requires that undoing the edits returns the text, and that only nulls were
// replaced.
func requireRestored(t *testing.T, body []byte, edits []manifest.Edit) {
	t.Helper()
	var restored []byte
	rest, end := manifest.Splice(body, edits), 0
	for _, e := range edits {
		n := e.Start - end
		restored = append(restored, rest[:n]...)
		rest = rest[n+len(e.New):]
		replaced := body[e.Start:e.End]
		require.Contains(t, []string{"", "~", "null", "Null", "NULL"}, string(replaced))
		restored = append(restored, replaced...)
		end = e.End
	}
	require.True(t, bytes.Equal(body, append(restored, rest...)))
}
