package manifest_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/internal/manifest"
)

func TestDecode(t *testing.T) {
	cases := map[string]struct {
		body string
		exp  any
	}{
		"nothing": {"# only a comment\n", nil},
		"scalars keep their text": {
			"[1.10, 0644, 1e400, true, ~, x, \"1\"]",
			[]any{json.Number("1.10"), json.Number("0644"), "1e400", true, nil, "x", "1"},
		},
		"plain booleans of YAML 1.1": {"[y, NO, 'on', \"off\", !!str yes]", []any{true, false, "on", "off", "yes"}},
		"the last of repeated keys":  {"{a: 1, a: 2}", map[string]any{"a": json.Number("2")}},
		"aliases": {
			"{a: &x [1], b: *x}",
			map[string]any{"a": []any{json.Number("1")}, "b": []any{json.Number("1")}},
		},
		"merge keys, own keys win": {
			"a: &a {k: 1, l: 2}\nb: {<<: *a, l: 3}\n",
			map[string]any{
				"a": map[string]any{"k": json.Number("1"), "l": json.Number("2")},
				"b": map[string]any{"k": json.Number("1"), "l": json.Number("3")},
			},
		},
		"of merged mappings the first wins": {
			"b: {<<: [{k: 1}, {k: 2, l: 2}]}\n",
			map[string]any{"b": map[string]any{"k": json.Number("1"), "l": json.Number("2")}},
		},
		"nothing but markers and comments behind the root": {
			"a: 1\n... # x\n# y\n...\n", map[string]any{"a": json.Number("1")},
		},
		"the directives of the next document": {
			"a: 1\n...\n# x\n%YAML 1.1\n%TAG ! tag:x,2000:\n\n", map[string]any{"a": json.Number("1")},
		},
		"a directive of the next document that no reader has a use for": {
			"a: 1\n... # x\n# y\n\n%OWN 0\n", map[string]any{"a": json.Number("1")},
		},
		"the directives of the next document behind flow style": {
			"{a: 1}\n%YAML 1.1\n", map[string]any{"a": json.Number("1")},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tree, err := manifest.Decode([]byte(tc.body))
			require.NoError(t, err)
			assert.Equal(t, tc.exp, tree.Value())
		})
	}
}

// TestDecodeRefusesSecondValue has texts of which every parser in front of Kubernetes drops a part.
func TestDecodeRefusesSecondValue(t *testing.T) {
	for name, tc := range map[string]struct {
		body    string
		expLine int
	}{
		"JSON objects":                        {"{\"a\":1}\n{\"b\":2}\n", 2},
		"JSON objects on one line":            {"{\"a\":1}{\"b\":2}", 1},
		"YAML on the line of a JSON object":   {"# c\n{\"a\":1}b: 2\n", 2},
		"YAML that is broken behind JSON":     {"{\"a\":1}\n\nb: [: x\n@", 3},
		"a mapping behind one in flow style":  {"{a: 1}\nb: 2\n", 2},
		"a scalar behind a list":              {"[a]\n\"x\"", 2},
		"text behind an end marker":           {"a: 1\n...\n\nb: 2\n", 4},
		"text on the line of an end marker":   {"a: 1\n... b\n", 2},
		"a second document behind a comment":  {"a: 1\n...\n# x\n{b: 2}\n", 4},
		"text behind an indented root":        {"  a: 1\nb: 2\n", 2},
		"text behind a quoted scalar":         {"'a'\nb: 2\n", 2},
		"text behind a block scalar":          {"--- |\n a\nb: 2\n", 3},
		"null":                                {"{a: 1}\nnull\n", 2},
		"text that cannot be parsed":          {"{a: 1}\n\n{b: [\n", 3},
		"a separator that Split does not see": {"a: 1\r---\rb: 2", 2},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := manifest.Decode([]byte(strings.TrimPrefix(tc.body, "---")))
			var second *manifest.SecondValueError
			require.ErrorAs(t, err, &second)
			assert.Equal(t, tc.expLine, second.Line)
			require.ErrorContains(t, err, "put a line --- in front of it, or remove it")
			assert.Equal(t, tc.expLine > 0, strings.HasPrefix(err.Error(), "line "))
		})
	}
}

func TestDecodeErrorsQuoteNoText(t *testing.T) {
	cases := map[string]struct{ body, exp string }{
		"bad indentation":               {"a: hunter2\n b: c\n", "line 2: mapping values are not allowed in this context"},
		"a tab":                         {"a:\n\thunter2: c\n", "line 2: found character that cannot start any token"},
		"a directive inside a document": {"a: 1\n%OWN hunter2\n", "line 2: found unknown directive name"},
		"an unknown anchor":             {"a: *hunter2\n", "unknown anchor"},
		"binary":                        {"hunter2: \x00\x01\n", "control characters are not allowed"},
		"broken UTF-8":                  {"hunter2: \xff\xfe\n", "invalid leading UTF-8 octet"},
		"truncated":                     {"a: {hunter2: [1, 2", "line 1: did not find expected ',' or ']'"},
		"a complex key":                 {"? [hunter2]\n: b\n", "line 1: a key is no plain text"},
		"an alias of itself":            {"a: &hunter2 [*hunter2]\n", "line 1: an alias contains itself"},
		"a merge of a list of scalars":  {"a: {<<: [hunter2]}\n", "line 1: a merge key needs a mapping"},
		"a late merge key": {"x: &x {b: 1}\na: {b: hunter2, <<: *x}\n", "line 2: a merge key " +
			"stands behind a key that it sets again: move it to the front"},
		"depth without end": {strings.Repeat("[", 20_000), "exceeded max depth"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := manifest.Decode([]byte(tc.body))
			require.ErrorContains(t, err, tc.exp)
			assert.NotContains(t, err.Error(), "hunter2")
		})
	}
}
