package manifest_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gomodules.xyz/jsonpatch/v2"

	"github.com/pipeline-storage/pipeline-storage/internal/manifest"
)

func add(path string, value any) jsonpatch.Operation {
	return jsonpatch.Operation{Operation: "add", Path: path, Value: value}
}

// TestApply shows where text is put in. The renderer's own tests have many more styles.
func TestApply(t *testing.T) {
	item := map[string]string{"name": "x"}
	cases := map[string]struct {
		body string
		ops  []jsonpatch.Operation
		exp  string
	}{
		"no operation changes nothing": {body: "a: 1\n", exp: "a: 1\n"},
		"a key goes in front of the first": {
			body: "spec:\n  # about b\n  b: 1\n",
			ops:  []jsonpatch.Operation{add("/spec/a", "v")},
			exp:  "spec:\n  a: v\n  # about b\n  b: 1\n",
		},
		"in a list item it goes behind the first key": {
			body: "l:\n- name: c # c\n  # about image\n  image: i\n",
			ops:  []jsonpatch.Operation{add("/l/0/a", "v")},
			exp:  "l:\n- name: c # c\n  a: v\n  # about image\n  image: i\n",
		},
		"or above the second, when the first ends later": {
			body: "l:\n- args: [a,\n    b]\n  name: c\n",
			ops:  []jsonpatch.Operation{add("/l/0/a", "v")},
			exp:  "l:\n- args: [a,\n    b]\n  a: v\n  name: c\n",
		},
		"at one place, what is deeper comes first": {
			body: "l:\n- c:\n  - name: x\n  name: y\n",
			ops:  []jsonpatch.Operation{add("/l/0/a", "v"), add("/l/0/c/0/b", "w")},
			exp:  "l:\n- c:\n  - name: x\n    b: w\n  a: v\n  name: y\n",
		},
		"items go to the head of a list, in order": {
			body: "l:\n# about y\n- name: y\n",
			ops:  []jsonpatch.Operation{add("/l/0", item), add("/l/1", map[string]string{"name": "z"})},
			exp:  "l:\n- name: x\n- name: z\n# about y\n- name: y\n",
		},
		"a bare null is filled on the next line": {
			body: "a:\n  l: # none\n  b: 1\n",
			ops:  []jsonpatch.Operation{add("/a/l", []any{item})},
			exp:  "a:\n  l: # none\n  - name: x\n  b: 1\n",
		},
		"a null literal gives way": {
			body: "a: {l: ~, m: null}\n",
			ops:  []jsonpatch.Operation{add("/a/l", []any{item}), add("/a/m", []any{item})},
			exp:  "a: {l: [{\"name\": \"x\"}], m: [{\"name\": \"x\"}]}\n",
		},
		"two keys into an empty mapping": {
			body: "a: {}\n",
			ops:  []jsonpatch.Operation{add("/a/x", 1), add("/a/y", true)},
			exp:  "a: {\"x\": 1, \"y\": true}\n",
		},
		"an escaped pointer": {
			body: "a/b:\n  c~d:\n    e: 1\n",
			ops:  []jsonpatch.Operation{add("/a~1b/c~0d/f", "v")},
			exp:  "a/b:\n  c~d:\n    f: v\n    e: 1\n",
		},
		"anchored flow collections": {
			body: "a: &x [1]\nb: !!map {c: 1}\n",
			ops:  []jsonpatch.Operation{add("/a/0", "v"), add("/b/d", "v")},
			exp:  "a: &x [\"v\", 1]\nb: !!map {\"d\": \"v\", c: 1}\n",
		},
		"strings that a decoder could mistake are quoted": {
			body: "a:\n  z: 1\n",
			ops: []jsonpatch.Operation{add("/a/l", []string{
				"yes", "1e3", "0x1F", "null", "", "a b", "a: b", "- a", "#", "é", "012", "1_000", "100Gi", "/data", "a.b-c_d", "y", ".5",
			})},
			exp: "a:\n  l:\n  - \"yes\"\n  - \"1e3\"\n  - \"0x1F\"\n  - \"null\"\n  - \"\"\n  - \"a b\"\n  - \"a: b\"\n  - \"- a\"\n  - \"#\"\n" +
				"  - \"é\"\n  - \"012\"\n  - \"1_000\"\n  - 100Gi\n  - /data\n  - a.b-c_d\n  - \"y\"\n  - \".5\"\n  z: 1\n",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tree, err := manifest.Decode([]byte(tc.body))
			require.NoError(t, err)
			edits, err := tree.Apply(tc.ops)
			require.NoError(t, err)
			assert.Equal(t, tc.exp, string(manifest.Splice([]byte(tc.body), edits)))
		})
	}
}

func TestApplyRefuses(t *testing.T) {
	cases := map[string]struct {
		body string
		ops  []jsonpatch.Operation
		exp  string
	}{
		"other operations":            {"a: 1\n", []jsonpatch.Operation{{Operation: "remove", Path: "/a"}}, `/a: operation "remove" is not supported, only add is`},
		"the whole document":          {"a: 1\n", []jsonpatch.Operation{add("", 1)}, "the whole document cannot be replaced"},
		"a missing parent":            {"a: 1\n", []jsonpatch.Operation{add("/b/c", 1)}, "/b/c: there is no such place"},
		"a value in the way":          {"a: 1\n", []jsonpatch.Operation{add("/a", 2)}, "/a: there is a value already"},
		"a list in the way":           {"a: [1]\n", []jsonpatch.Operation{add("/a", []int{2})}, "/a: there is a value already"},
		"a scalar parent":             {"a: 1\n", []jsonpatch.Operation{add("/a/b", 2)}, "/a/b: neither a list nor a mapping is there"},
		"the end of a list":           {"a: [1]\n", []jsonpatch.Operation{add("/a/1", 2)}, "items are added at the head of a list, in order"},
		"no index":                    {"a: [1]\n", []jsonpatch.Operation{add("/a/x", 2)}, `"x" is no index`},
		"an empty list for a mapping": {"a: []\n", []jsonpatch.Operation{add("/a", map[string]int{"b": 1})}, "an empty value of another type is there"},
		"an anchored null":            {"a: &x ~\nb: *x\n", []jsonpatch.Operation{add("/a", []int{1})}, "cannot be edited safely"},
		"an alias that feeds a place that must stay": {
			"a: &x\n  b: [1]\nc: *x\n", []jsonpatch.Operation{add("/a/b/0", 2)}, "would mean something else, as when an alias shares",
		},
		"a first key in long form":       {"l:\n- ? name\n  : c\n", []jsonpatch.Operation{add("/l/0/a", "v")}, "cannot be edited safely"},
		"a single value over two lines":  {"l:\n- args: [a,\n    b]\n", []jsonpatch.Operation{add("/l/0/a", "v")}, "cannot be edited safely"},
		"a value that cannot be written": {"a: {}\n", []jsonpatch.Operation{add("/a/b", make(chan int))}, "cannot write a chan int as YAML"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tree, err := manifest.Decode([]byte(tc.body))
			require.NoError(t, err)
			_, err = tree.Apply(tc.ops)
			assert.ErrorContains(t, err, tc.exp)
		})
	}
}

func TestDecode(t *testing.T) {
	cases := map[string]struct {
		body string
		exp  any
	}{
		"nothing":                           {"# only a comment\n", nil},
		"scalars keep their text":           {"[1.10, 0644, 1e400, true, ~, x, \"1\"]", []any{json.Number("1.10"), json.Number("0644"), "1e400", true, nil, "x", "1"}},
		"plain booleans of YAML 1.1":        {"[y, NO, 'on', \"off\", !!str yes]", []any{true, false, "on", "off", "yes"}},
		"the last of repeated keys":         {"{a: 1, a: 2}", map[string]any{"a": json.Number("2")}},
		"aliases":                           {"{a: &x [1], b: *x}", map[string]any{"a": []any{json.Number("1")}, "b": []any{json.Number("1")}}},
		"merge keys, own keys win":          {"a: &a {k: 1, l: 2}\nb: {<<: *a, l: 3}\n", map[string]any{"a": map[string]any{"k": json.Number("1"), "l": json.Number("2")}, "b": map[string]any{"k": json.Number("1"), "l": json.Number("3")}}},
		"of merged mappings the first wins": {"b: {<<: [{k: 1}, {k: 2, l: 2}]}\n", map[string]any{"b": map[string]any{"k": json.Number("1"), "l": json.Number("2")}}},
		"only the first document":           {"a: 1\n...\nb: 2\n", map[string]any{"a": json.Number("1")}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tree, err := manifest.Decode([]byte(tc.body))
			require.NoError(t, err)
			assert.Equal(t, tc.exp, tree.Value())
		})
	}
}

func TestDecodeRefusesWithoutAWordOfTheText(t *testing.T) {
	cases := map[string]struct{ body, exp string }{
		"bad indentation":              {"a: hunter2\n b: c\n", "line 2: mapping values are not allowed in this context"},
		"a tab":                        {"a:\n\thunter2: c\n", "line 2: found character that cannot start any token"},
		"an unknown anchor":            {"a: *hunter2\n", "unknown anchor"},
		"binary":                       {"hunter2: \x00\x01\n", "control characters are not allowed"},
		"broken UTF-8":                 {"hunter2: \xff\xfe\n", "invalid leading UTF-8 octet"},
		"truncated":                    {"a: {hunter2: [1, 2", "line 1: did not find expected ',' or ']'"},
		"a complex key":                {"? [hunter2]\n: b\n", "line 1: a key is no plain text"},
		"an alias of itself":           {"a: &hunter2 [*hunter2]\n", "line 1: an alias contains itself"},
		"a merge of a list of scalars": {"a: {<<: [hunter2]}\n", "line 1: a merge key needs a mapping"},
		"a late merge key":             {"x: &x {b: 1}\na: {b: hunter2, <<: *x}\n", "line 2: a merge key stands behind a key that it sets again: move it to the front"},
		"depth without end":            {strings.Repeat("[", 20_000), "exceeded max depth"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := manifest.Decode([]byte(tc.body))
			require.ErrorContains(t, err, tc.exp)
			assert.NotContains(t, err.Error(), "hunter2")
		})
	}
}
