package manifest

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// TestClosingBracket has text that looks like a closing bracket, a quote or a comment, and is not one.
func TestClosingBracket(t *testing.T) {
	t.Parallel()
	for name, collection := range map[string]string{
		"nested":                         `[a, [b, {c: d}], {}]`,
		"brackets in quotes":             `["]", ']', "\"]", ''']']`,
		"an apostrophe in plain text":    `[it's, b]`,
		"a quote behind a space in it":   `[the '90s, 6 " long]`,
		"a quote behind a colon in it":   `[a:'b, c]`,
		"a quoted value behind a colon":  `{"a":"]", 'b':']'}`,
		"a quoted key in long form":      `{? "]" : a, ?']' : b}`,
		"a quote behind a tag":           `[!!str "]", !!str it's]`,
		"a quote behind an anchor":       `[&a "]", *a , &b it's]`,
		"an alias at the end":            `{a: &x b, c: *x}`,
		"brackets in a comment":          "[a, # ] it's\n b]",
		"a comment behind plain text":    "[a # ]\n, b]",
		"a hash in plain text":           `[a#, b]`,
		"plain text on two lines":        "[it\n 's]",
		"keys without a value":           `{a: , b, "c": }`,
		"plain text behind quoted text":  `['a', b'c]`,
		"an address":                     `[http://a:80/'b, c]`,
		"a dash in front of plain quote": `[-'a, b]`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, yaml.Unmarshal([]byte(collection), &yaml.Node{}))
			end, ok := closingBracket([]byte(collection+"]'\"}"), 1)
			assert.True(t, ok)
			assert.Equal(t, len(collection), end)
		})
	}
}

func TestClosingBracketIsMissing(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"[", "[a", "[a, # ]", `["a]`, "['a]", "[[a]", "[!", "[&a"} {
		_, ok := closingBracket([]byte(text), 1)
		assert.False(t, ok, text)
	}
}
