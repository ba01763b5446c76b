package manifest_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gomodules.xyz/jsonpatch/v2"

	"github.com/pipeline-storage/pipeline-storage/internal/manifest"
)

// TestAppend shows where the end of a list and of a document is.
func TestAppend(t *testing.T) {
	t.Parallel()
	item := map[string]string{"name": "x"}
	both := []jsonpatch.Operation{add("/items/-", item), add("/results", []any{item})}
	cases := map[string]struct {
		body string
		ops  []jsonpatch.Operation // default: both
		exp  string
	}{
		"in front of the next root key": {
			body: "kind: L\nitems:\n- a: 1\n  # about b\n  b: 2\nconfig:\n  c: 1\n",
			exp:  "kind: L\nitems:\n- a: 1\n  # about b\n  b: 2\n- name: x\nconfig:\n  c: 1\nresults:\n- name: x\n",
		},
		"at the end of the document, items first": {
			body: "kind: L\nitems:\n  - a: 1",
			exp:  "kind: L\nitems:\n  - a: 1\n  - name: x\nresults:\n  - name: x",
		},
		"two items keep their order": {
			body: "items:\n- 1\n", ops: []jsonpatch.Operation{add("/items/-", 2), add("/items/-", 3)},
			exp: "items:\n- 1\n- 2\n- 3\n",
		},
		"in front of the marker that ends a document": {
			body: "items:\n- 1\n...\n",
			exp:  "items:\n- 1\n- name: x\nresults:\n- name: x\n...\n",
		},
		"behind a block scalar that keeps its blank lines and looks like a comment": {
			body: "items:\n- a: |+\n    # x\n\nz: 1\n",
			exp:  "items:\n- a: |+\n    # x\n\n- name: x\nz: 1\nresults:\n- name: x\n",
		},
		"an empty list": {
			body: "items: []\nz: 1\n",
			exp:  "items: [{\"name\": \"x\"}]\nz: 1\nresults:\n- name: x\n",
		},
		"JSON, with brackets in its texts": {
			body: `{"items": [{"a": "]\"}"}, {"b": [1]}], "z": "it's"}` + "\n",
			exp:  `{"items": [{"a": "]\"}"}, {"b": [1]}, {"name": "x"}], "z": "it's", "results": [{"name": "x"}]}` + "\n",
		},
		"JSON on many lines": {
			body: "{\n  \"items\": [\n    {\"a\": 1}\n  ]\n}\n",
			exp:  "{\n  \"items\": [\n    {\"a\": 1}, {\"name\": \"x\"}\n  ], \"results\": [{\"name\": \"x\"}]\n}\n",
		},
		"flow style with a comment": {
			body: "items: [a, # ]\n  b ]\n",
			exp:  "items: [a, # ]\n  b, {\"name\": \"x\"} ]\nresults:\n- name: x\n",
		},
		"line ends of Windows": {
			body: "items:\r\n- 1\r\nz: 1\r\n",
			exp:  "items:\r\n- 1\r\n- name: x\r\nz: 1\r\nresults:\r\n- name: x\r\n",
		},
		"a list that is there gets more": {
			body: "results:\n- a: 1\nitems: []\n", ops: []jsonpatch.Operation{add("/results/-", item)},
			exp: "results:\n- a: 1\n- name: x\nitems: []\n",
		},
		"a null gives way": {
			body: "items: []\nresults:\nz: 1\n", ops: []jsonpatch.Operation{add("/results", []any{item})},
			exp: "items: []\nresults:\n- name: x\nz: 1\n",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tc.ops == nil {
				tc.ops = both
			}
			tree, err := manifest.Decode([]byte(tc.body))
			require.NoError(t, err)
			edits, err := tree.ApplyWithLast("results", tc.ops)
			require.NoError(t, err)
			assert.Equal(t, tc.exp, string(manifest.Splice([]byte(tc.body), edits)))
		})
	}
}

// TestAppendRefuses shows what is refused rather than written wrongly.
func TestAppendRefuses(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"a list below the root":        "a:\n  items:\n  - 1\n  b: 1\n",
		"a list behind an alias":       "a: &a\n- 1\nitems: *a\n",
		"a quote inside a plain word":  "items: [it's, b]\n",
		"a comma behind the last item": "items: [a, ]\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := "/items/-"
			if strings.HasPrefix(body, "a:\n") {
				path = "/a/items/-"
			}
			tree, err := manifest.Decode([]byte(body))
			require.NoError(t, err)
			_, err = tree.Apply([]jsonpatch.Operation{add(path, "x")})
			require.ErrorContains(t, err, "cannot be edited safely")
		})
	}
}
