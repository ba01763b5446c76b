package words_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"
)

// longestSentence is how many words a sentence of a document has at most. Source: docs/glossary.md,
// Style. A code span is one word.
const longestSentence = 25

// TestSentencesAreShort: a document is read once, by people who are looking for something.
func TestSentencesAreShort(t *testing.T) {
	t.Parallel()

	for _, file := range tracked(t) {
		if filepath.Ext(file) != ".md" {
			continue
		}
		content, err := os.ReadFile(filepath.Join(root, file))
		require.NoError(t, err)
		for _, s := range sentences(content) {
			if n := len(strings.Fields(s.text)); n > longestSentence {
				assert.Fail(t, "a sentence too long", "%s:%d: %d words: %s", file, s.line, n, s.text)
			}
		}
	}
}

// sentence is one of a document's, with the line of its paragraph.
type sentence struct {
	line int
	text string
}

// sentenceEnd is a full stop, a question or an exclamation character.
var sentenceEnd = regexp.MustCompile(`[.?!]["')]*(?:\s+|$)`)

// sentences returns the sentences of paragraphs and list items. Headings, tables, code and HTML have none.
func sentences(content []byte) []sentence {
	var all []sentence
	document := goldmark.New(goldmark.WithExtensions(extension.Table)).Parser().Parse(text.NewReader(content))
	walk(document, func(n ast.Node) {
		if n.Kind() != ast.KindParagraph && n.Kind() != ast.KindTextBlock {
			return
		}
		line := strings.Count(string(content[:n.Lines().At(0).Start]), "\n") + 1
		for _, s := range sentenceEnd.Split(plain(n, content), -1) {
			all = append(all, sentence{line, s})
		}
	})
	return all
}

func walk(n ast.Node, do func(ast.Node)) {
	do(n)
	for child := n.FirstChild(); child != nil; child = child.NextSibling() {
		walk(child, do)
	}
}

// plain returns the text of a paragraph, in which a code span and an address are a word each.
func plain(n ast.Node, content []byte) string {
	var b strings.Builder
	walk(n, func(n ast.Node) {
		switch n := n.(type) {
		case *ast.Text:
			if n.Parent().Kind() == ast.KindCodeSpan {
				return
			}
			b.Write(n.Segment.Value(content))
			if n.SoftLineBreak() || n.HardLineBreak() {
				b.WriteByte(' ')
			}
		case *ast.CodeSpan, *ast.AutoLink:
			b.WriteString("CODE")
		}
	})
	return b.String()
}

// TestFindsLongSentences: a check that finds nothing would pass for any text.
func TestFindsLongSentences(t *testing.T) {
	t.Parallel()

	found := sentences([]byte("# A heading\n\nOne. Two `a b c` [three\nfour](x).\n\n" +
		"| a | b |\n|---|---|\n| c. | d |\n\n- Five?\n"))
	assert.Equal(t, `[{3 One} {3 Two CODE three four} {3 } {10 Five} {10 }]`, fmt.Sprint(found))
}
