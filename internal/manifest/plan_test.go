package manifest_test

import (
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
				"yes", "1e3", "0x1F", "null", "", "a b", "a: b", "- a", "#", "é", "012", "1_000", "100Gi", "/data", "a.b-c_d", "y",
				".5",
			})},
			exp: "a:\n  l:\n  - \"yes\"\n  - \"1e3\"\n  - \"0x1F\"\n  - \"null\"\n  - \"\"\n  - \"a b\"\n  - " +
				"\"a: b\"\n  - \"- a\"\n  - \"#\"\n" +
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
		"other operations": {
			"a: 1\n",
			[]jsonpatch.Operation{{Operation: "remove", Path: "/a"}},
			`/a: operation "remove" is not supported, only add is`,
		},
		"the whole document": {"a: 1\n", []jsonpatch.Operation{add("", 1)}, "the whole document cannot be replaced"},
		"a missing parent":   {"a: 1\n", []jsonpatch.Operation{add("/b/c", 1)}, "/b/c: there is no such place"},
		"a value in the way": {"a: 1\n", []jsonpatch.Operation{add("/a", 2)}, "/a: there is a value already"},
		"a list in the way":  {"a: [1]\n", []jsonpatch.Operation{add("/a", []int{2})}, "/a: there is a value already"},
		"a scalar parent": {"a: 1\n", []jsonpatch.Operation{add("/a/b", 2)}, "/a/b: neither a " +
			"list nor a mapping is there"},
		"the end of a list": {
			"a: [1]\n",
			[]jsonpatch.Operation{add("/a/1", 2)},
			"items are added at the head of a list, in order",
		},
		"no index": {"a: [1]\n", []jsonpatch.Operation{add("/a/x", 2)}, `"x" is no index`},
		"an empty list for a mapping": {
			"a: []\n",
			[]jsonpatch.Operation{add("/a", map[string]int{"b": 1})},
			"an empty value of another type is there",
		},
		"an anchored null": {
			"a: &x ~\nb: *x\n",
			[]jsonpatch.Operation{add("/a", []int{1})},
			"cannot be edited safely",
		},
		"an alias that feeds a place that must stay": {
			"a: &x\n  b: [1]\nc: *x\n", []jsonpatch.Operation{add("/a/b/0", 2)}, "would mean something else, " +
				"as when an alias shares",
		},
		"a first key in long form": {
			"l:\n- ? name\n  : c\n",
			[]jsonpatch.Operation{add("/l/0/a", "v")},
			"cannot be edited safely",
		},
		"a single value over two lines": {
			"l:\n- args: [a,\n    b]\n",
			[]jsonpatch.Operation{add("/l/0/a", "v")},
			"cannot be edited safely",
		},
		"a value that cannot be written": {
			"a: {}\n",
			[]jsonpatch.Operation{add("/a/b", make(chan int))},
			"cannot write a chan int as YAML",
		},
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
		"quotes inside plain text": {
			body: "{items: [it's, the '90s, a:'b, 6\"], note: it's}\n",
			exp:  "{items: [it's, the '90s, a:'b, 6\", {\"name\": \"x\"}], note: it's, \"results\": [{\"name\": \"x\"}]}\n",
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

func remove(paths ...string) []jsonpatch.Operation {
	ops := make([]jsonpatch.Operation, len(paths))
	for i, path := range paths {
		ops[i] = jsonpatch.Operation{Operation: "remove", Path: path}
	}
	return ops
}

// TestRemove shows what goes of a text. The renderer's own tests have many more styles.
func TestRemove(t *testing.T) {
	cases := map[string]struct {
		body string
		ops  []jsonpatch.Operation
		exp  string
	}{
		"no operation changes nothing": {body: "a: 1\n", exp: "a: 1\n"},
		"an item goes with its lines, the comments around it stay": {
			"l:\n# above\n- name: x # on it\n  b: 1\n# about y\n- name: y\n", remove("/l/0"),
			"l:\n# above\n# about y\n- name: y\n",
		},
		"items go from the end of a list": {
			"l:\n- x\n- y\n- z\n", remove("/l/1", "/l/0"), "l:\n- z\n",
		},
		"an item whose dash stands alone": {"l:\n-\n  a: 1\n- b: 1\n", remove("/l/0"), "l:\n- b: 1\n"},
		"a list goes with its key":        {"a:\n  l:\n  - x\n  b: 1\n", remove("/a/l"), "a:\n  b: 1\n"},
		"a key with a comment was there before": {
			"a:\n  l: # none\n  - x\n  b: 1\n", remove("/a/l"), "a:\n  l: # none\n  b: 1\n",
		},
		"so was a quoted key in block style": {"a:\n  'l':\n  - x\n  b: 1\n", remove("/a/l"), "a:\n  'l':\n  b: 1\n"},
		"and a list in flow style": {
			"a:\n  l: [x]\n  m: {k: v} # m\n  n:\n    [ x ]\n", remove("/a/l", "/a/m",
				"/a/n"), "a:\n  l: []\n  m: {} # m\n  n:\n    [  ]\n",
		},
		"in flow style a quoted key at the head goes": {
			`{"l": ["x"], "m": {"k": 1}, "b": 1, "n": ["x"]}`, remove("/l", "/m", "/n"), `{"b": 1, "n": []}`,
		},
		"a plain one stays":          {"a: {l: [x], b: 1}\n", remove("/a/l"), "a: {l: [], b: 1}\n"},
		"the only key in flow style": {`a: {"l": [x]}`, remove("/a/l"), "a: {}"},
		"items of a flow list":       {"l: [w, x, y, z]\n", remove("/l/3", "/l/1", "/l/0"), "l: [y]\n"},
		"with line breaks in it":     {"l: [x,\n  y]\n", remove("/l/0"), "l: [\n  y]\n"},
		"with brackets in quotes": {
			"l: [{a: \"]\\\"\", b: ']''', c: it's}, # ]\n y]\n", remove("/l/0"),
			"l: [ # ]\n y]\n",
		},
		"a value that is no collection": {"a: {b: 1, c: 2}\nd: x # d\ne: f\n", remove("/a/c", "/d"), "a: {b: 1}\ne: f\n"},
		"the first key behind a dash":   {"l:\n- env:\n  - x\n  name: n\n", remove("/l/0/env"), "l:\n- name: n\n"},
		"the second":                    {"l:\n- name: n\n  env:\n  - x\n", remove("/l/0/env"), "l:\n- name: n\n"},
		"without a last line break":     {"l:\n- name: n\n  env:\n  - x", remove("/l/0/env"), "l:\n- name: n"},
		"two things at such an end":     {"a: 1\r\nb:\r\n- x\r\nc:\r\n- x", remove("/b", "/c"), "a: 1"},
		"characters of several bytes":   {"é: [\"é\", ü]\n", remove("/é/0"), "é: [ü]\n"},
		"a list that an alias shares":   {"a: &l\n- x\n- y\nb: *l\n", remove("/a/0", "/b/0"), "a: &l\n- y\nb: *l\n"},
		"all of it":                     {"a: &l [x]\nb: *l\n", remove("/a", "/b"), "a: &l []\nb: *l\n"},
		"a repeated key":                {"l:\n- x\nl:\n- y\n", remove("/l"), "l:\n- x\nl:\n"},
		"what a merge key brings": {
			"a: &a\n  l:\n  - x\n  n: 1\nb:\n  <<: *a\n", remove("/a/l", "/b/l"),
			"a: &a\n  n: 1\nb:\n  <<: *a\n",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tree, err := manifest.Decode([]byte(tc.body))
			require.NoError(t, err)
			edits, err := tree.Remove(tc.ops)
			require.NoError(t, err)
			assert.Equal(t, tc.exp, string(manifest.Splice([]byte(tc.body), edits)))
		})
	}
}

func TestRemoveRefuses(t *testing.T) {
	cases := map[string]struct {
		body string
		ops  []jsonpatch.Operation
		exp  string
	}{
		"other operations": {
			"a: 1\n",
			[]jsonpatch.Operation{add("/a", 1)},
			`/a: operation "add" is not supported, only remove is`,
		},
		"the whole document": {"a: 1\n", remove(""), "the whole document cannot be removed"},
		"a missing parent":   {"a: 1\n", remove("/b/c"), "/b/c: there is no such place"},
		"a missing key":      {"a: 1\n", remove("/b"), "/b: there is no such key"},
		"a missing item":     {"a: [1]\n", remove("/a/1"), "/a/1: there is no such item"},
		"a scalar parent":    {"a: 1\n", remove("/a/b"), "/a/b: there is no such key"},
		"items from the head": {
			"a: [1, 2, 3]\n", remove("/a/0", "/a/1"),
			"line 1: this style of YAML cannot be edited safely: the edited text would mean something else",
		},
		"an alias that feeds a place that must stay": {
			"a: &x\n  b: [1, 2]\nc: *x\n", remove("/a/b/0"),
			"line 2: this style of YAML",
		},
		"an anchor that is needed": {
			"a:\n- &x 1\n- 2\nb: *x\n", remove("/a/0"),
			"line 2: this style of YAML cannot be edited safely",
		},
		"text in a block": {
			"a:\n- b: |\n    x\n- c\n", remove("/a/0"),
			"line 2: this style of YAML cannot be edited safely: write it in plain block style",
		},
		"plain text over two lines":  {"a:\n- x\n  y\n- c\n", remove("/a/0"), "line 2: this style of YAML"},
		"a list in a list":           {"a:\n- - x\n  - y\n", remove("/a/0/0"), "line 2: this style of YAML"},
		"the only key behind a dash": {"a:\n- b:\n  - x\n", remove("/a/0/b"), "line 2: this style of YAML"},
		"a comment behind the first key": {
			"a:\n- b:\n  - x\n  # about c\n  c: 1\n",
			remove("/a/0/b"), "line 2: this style of YAML",
		},
		"a comment in front of a comma": {"a: [x # x\n, y]\n", remove("/a/0"), "line 1: this style of YAML"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tree, err := manifest.Decode([]byte(tc.body))
			require.NoError(t, err)
			edits, err := tree.Remove(tc.ops)
			require.ErrorContains(t, err, tc.exp)
			assert.Empty(t, edits)
		})
	}
}

// countedValue counts how often it is encoded.
type countedValue struct{ encoded *int }

func (v countedValue) MarshalJSON() ([]byte, error) {
	*v.encoded++
	return []byte(`"new"`), nil
}

func TestEncodesEachValueOnce(t *testing.T) {
	t.Parallel()
	tree, err := manifest.Decode([]byte("a:\n- old\n"))
	require.NoError(t, err)
	encoded := 0
	edits, err := tree.Apply([]jsonpatch.Operation{
		jsonpatch.NewOperation("add", "/a/0", countedValue{&encoded}),
	})
	require.NoError(t, err)
	assert.Len(t, edits, 1)
	assert.Equal(t, 1, encoded)
}

// TestValueStaysAsItWasDecoded holds what callers rely on after Apply, whether it succeeds or not.
func TestValueStaysAsItWasDecoded(t *testing.T) {
	t.Parallel()
	for name, ops := range map[string][]jsonpatch.Operation{
		"items of one list":         {add("/list/0", "x"), add("/list/1", "y")},
		"items of a list of lists":  {add("/lists/0/0", "x")},
		"an item in a new list":     {add("/map/new", []any{"x"}), add("/map/new/1", "y")},
		"an item in a null":         {add("/null", []any{"x"}), add("/null/1", "y")},
		"an item at the end":        {add("/list/-", "x"), add("/list/-", "y")},
		"keys of a map in a list":   {add("/maps/0/b", "x"), add("/maps/0/c", "y")},
		"an operation that fails":   {add("/list/0", "x"), add("/none/0", "y")},
		"a key in an added mapping": {add("/map/m", map[string]any{"a": "x"})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := []byte("list: [1, 2]\nlists: [[1]]\nmaps: [{a: 1}]\nmap: {a: 1}\nnull:\n")
			tree, err := manifest.Decode(body)
			require.NoError(t, err)
			_, _ = tree.Apply(ops)
			again, err := manifest.Decode(body)
			require.NoError(t, err)
			assert.Equal(t, again.Value(), tree.Value())
		})
	}
}
