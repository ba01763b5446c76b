package manifest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gomodules.xyz/jsonpatch/v2"

	"github.com/pipeline-storage/pipeline-storage/internal/manifest"
)

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
			"l:\n# above\n- name: x # on it\n  b: 1\n# about y\n- name: y\n", remove("/l/0"), "l:\n# above\n# about y\n- name: y\n",
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
			"a:\n  l: [x]\n  m: {k: v} # m\n  n:\n    [ x ]\n", remove("/a/l", "/a/m", "/a/n"), "a:\n  l: []\n  m: {} # m\n  n:\n    [  ]\n",
		},
		"in flow style a quoted key at the head goes": {
			`{"l": ["x"], "m": {"k": 1}, "b": 1, "n": ["x"]}`, remove("/l", "/m", "/n"), `{"b": 1, "n": []}`,
		},
		"a plain one stays":             {"a: {l: [x], b: 1}\n", remove("/a/l"), "a: {l: [], b: 1}\n"},
		"the only key in flow style":    {`a: {"l": [x]}`, remove("/a/l"), "a: {}"},
		"items of a flow list":          {"l: [w, x, y, z]\n", remove("/l/3", "/l/1", "/l/0"), "l: [y]\n"},
		"with line breaks in it":        {"l: [x,\n  y]\n", remove("/l/0"), "l: [\n  y]\n"},
		"with brackets in quotes":       {"l: [{a: \"]\\\"\", b: ']''', c: it's}, # ]\n y]\n", remove("/l/0"), "l: [ # ]\n y]\n"},
		"a value that is no collection": {"a: {b: 1, c: 2}\nd: x # d\ne: f\n", remove("/a/c", "/d"), "a: {b: 1}\ne: f\n"},
		"the first key behind a dash":   {"l:\n- env:\n  - x\n  name: n\n", remove("/l/0/env"), "l:\n- name: n\n"},
		"the second":                    {"l:\n- name: n\n  env:\n  - x\n", remove("/l/0/env"), "l:\n- name: n\n"},
		"without a last line break":     {"l:\n- name: n\n  env:\n  - x", remove("/l/0/env"), "l:\n- name: n"},
		"two things at such an end":     {"a: 1\r\nb:\r\n- x\r\nc:\r\n- x", remove("/b", "/c"), "a: 1"},
		"characters of several bytes":   {"é: [\"é\", ü]\n", remove("/é/0"), "é: [ü]\n"},
		"a list that an alias shares":   {"a: &l\n- x\n- y\nb: *l\n", remove("/a/0", "/b/0"), "a: &l\n- y\nb: *l\n"},
		"all of it":                     {"a: &l [x]\nb: *l\n", remove("/a", "/b"), "a: &l []\nb: *l\n"},
		"a repeated key":                {"l:\n- x\nl:\n- y\n", remove("/l"), "l:\n- x\nl:\n"},
		"what a merge key brings":       {"a: &a\n  l:\n  - x\n  n: 1\nb:\n  <<: *a\n", remove("/a/l", "/b/l"), "a: &a\n  n: 1\nb:\n  <<: *a\n"},
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
		"other operations":                           {"a: 1\n", []jsonpatch.Operation{add("/a", 1)}, `/a: operation "add" is not supported, only remove is`},
		"the whole document":                         {"a: 1\n", remove(""), "the whole document cannot be removed"},
		"a missing parent":                           {"a: 1\n", remove("/b/c"), "/b/c: there is no such place"},
		"a missing key":                              {"a: 1\n", remove("/b"), "/b: there is no such key"},
		"a missing item":                             {"a: [1]\n", remove("/a/1"), "/a/1: there is no such item"},
		"a scalar parent":                            {"a: 1\n", remove("/a/b"), "/a/b: there is no such key"},
		"items from the head":                        {"a: [1, 2, 3]\n", remove("/a/0", "/a/1"), "line 1: this style of YAML cannot be edited safely: the edited text would mean something else"},
		"an alias that feeds a place that must stay": {"a: &x\n  b: [1, 2]\nc: *x\n", remove("/a/b/0"), "line 2: this style of YAML"},
		"an anchor that is needed":                   {"a:\n- &x 1\n- 2\nb: *x\n", remove("/a/0"), "line 2: this style of YAML cannot be edited safely"},
		"text in a block":                            {"a:\n- b: |\n    x\n- c\n", remove("/a/0"), "line 2: this style of YAML cannot be edited safely: write it in plain block style"},
		"plain text over two lines":                  {"a:\n- x\n  y\n- c\n", remove("/a/0"), "line 2: this style of YAML"},
		"a list in a list":                           {"a:\n- - x\n  - y\n", remove("/a/0/0"), "line 2: this style of YAML"},
		"the only key behind a dash":                 {"a:\n- b:\n  - x\n", remove("/a/0/b"), "line 2: this style of YAML"},
		"a comment behind the first key":             {"a:\n- b:\n  - x\n  # about c\n  c: 1\n", remove("/a/0/b"), "line 2: this style of YAML"},
		"a comment in front of a comma":              {"a: [x # x\n, y]\n", remove("/a/0"), "line 1: this style of YAML"},
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

// TestRemoveTakesOutWhatApplyPutIn holds the two to each other, at every place of a few styles.
func TestRemoveTakesOutWhatApplyPutIn(t *testing.T) {
	item := map[string]any{"name": "x: y", "deep": map[string]any{"a": true}}
	bodies := []string{
		"s:\n  l:\n  - a: 1\n  k: v\n", "s:\n    l:\n      # first\n      -  a: 1\n", "s:\r\n  l:\r\n  - a: 1\r\n", "s: {l: [ {a: 1}], k: v}\n",
		"{\n  \"s\": {\n    \"l\": [\n      {\"a\": 1}\n    ]\n  }\n}\n", "s: {l: []}\n", "s:\n  l: []\n  k: v", "s:\n  k: v",
		"t:\n- &s {}\ns: *s\n", "s: {}\n", "s:\n  l: [{}]\n", "s: &s\n  <<: {k: v}\n  l:\n  - a: 1",
	}
	for _, body := range bodies {
		for _, tc := range []struct{ put, take []jsonpatch.Operation }{
			{[]jsonpatch.Operation{add("/s/l/0", item), add("/s/l/1", "b")}, remove("/s/l/1", "/s/l/0")},
			{[]jsonpatch.Operation{add("/s/l", []any{item, item})}, remove("/s/l")},
			{[]jsonpatch.Operation{add("/s/x", []any{item}), add("/s/y", map[string]any{"z": item})}, remove("/s/x", "/s/y")},
			{[]jsonpatch.Operation{add("/s/l/0/m", []any{item})}, remove("/s/l/0/m")},
		} {
			tree, err := manifest.Decode([]byte(body))
			require.NoError(t, err)
			edits, err := tree.Apply(tc.put)
			if err != nil {
				continue
			}
			edited := manifest.Splice([]byte(body), edits)
			tree, err = manifest.Decode(edited)
			require.NoError(t, err)
			edits, err = tree.Remove(tc.take)
			require.NoError(t, err, "%s", edited)
			assert.Equal(t, body, string(manifest.Splice(edited, edits)), "%s", edited)
		}
	}
}
