package strictyaml_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/internal/strictyaml"
)

type content struct {
	Name  string            `json:"name"`
	Count int64             `json:"count"`
	Items []item            `json:"items"`
	More  map[string]string `json:"more"`
}

type item struct {
	On bool `json:"on"`
}

func TestReadsOneDocument(t *testing.T) {
	t.Parallel()
	var c content
	document, err := strictyaml.Read(
		[]byte("name: 2026-01-01\ncount: 0x1f\nitems: &i [{on: true}]\nmore: {a: b}\n---\n"),
		"File",
		&c,
	)
	require.NoError(t, err)
	assert.Equal(
		t,
		content{Name: "2026-01-01", Count: 31, Items: []item{{On: true}}, More: map[string]string{"a": "b"}},
		c,
	)
	assert.Equal(t, 3, document.Line("items[0].on"))
	assert.Equal(t, 4, document.Line("more.missing.field"), "the nearest parent counts")
	text, line, found := document.Value("more.a")
	assert.True(t, found)
	assert.Equal(t, "b", text)
	assert.Equal(t, 4, line)
	_, _, found = document.Value("items[1]")
	assert.False(t, found)
}

func TestReportsMistakesWithTheirLines(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ text, exp string }{
		"no document":           {"# nothing\n", "the file is empty"},
		"text that is not YAML": {"name: [\n", "not a YAML document: line 1"},
		"a list":                {"- a\n", "line 1: a File is a mapping of fields"},
		"a second document":     {"name: a\n---\nname: b\n", "line 3: a second document: a file holds one File"},
		"a repeated field":      {"name: a\nname: b\n", `line 2: mapping key "name" already defined at line 1`},
		"an unknown field":      {"name: a\nitems:\n- off: true\n", `line 3: unknown field "items[0].off"`},
		"a number for text": {
			"more:\n  a: b\n  c: 7\n",
			"line 3: more.c: expected text (put it in quotes), not a number",
		},
		"text for a number":    {"count: many\n", "line 1: count: expected a whole number, not text"},
		"a mapping for a list": {"items: {}\n", "line 1: items: expected a list, not a mapping"},
		"a value of the wrong row": {
			"items:\n- {on: true}\n- {on: 'yes'}\n",
			"line 3: items[1].on: expected true or false, not text",
		},
		"a number that JSON lacks": {"count: .inf\n", "line 1: .inf is not a number that can be used here"},
		"a field without a name":   {"7: a\n", `line 1: the name of a field must be text, which "7" is not`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			document, err := strictyaml.Read([]byte(tt.text), "File", &content{})
			require.ErrorContains(t, err, tt.exp)
			assert.Nil(t, document)
		})
	}
}
