// Package words_test holds every word of the repository to docs/glossary.md.
package words_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const root = "../.."

// under is the directory that is checked: go test ./test/words -args -under internal/claims.
var under = flag.String("under", "", "check this directory only, relative to the repository's root")

// unchecked are files that are about the words themselves, or that state the past.
var unchecked = []string{"docs/glossary.md", "CHANGELOG.md", "test/words/words_test.go"}

// glossary is what docs/glossary.md forbids.
type glossary struct {
	names, sentences *regexp.Regexp // whole words
	allowed          *regexp.Regexp // phrases in which they may stand
	declared         []string       // names of Go declarations
}

// code finds the code spans of Markdown.
var code = regexp.MustCompile("`([^`]+)`")

// readGlossary reads each section: the last cell of its table's rows, or its code spans.
func readGlossary(t *testing.T) glossary {
	t.Helper()

	text, err := os.ReadFile(filepath.Join(root, "docs/glossary.md"))
	require.NoError(t, err)
	sections := map[string]string{}
	for section := range strings.SplitSeq(string(text), "\n## ") {
		title, body, _ := strings.Cut(section, "\n")
		sections[title] = body
	}
	_, phrases, found := strings.Cut(sections["Sentences"], "Phrases that may stand")
	require.True(t, found)
	g := glossary{
		names: wholeWords(lastCells(sections["Names"])), sentences: wholeWords(lastCells(sections["Sentences"])),
		allowed: wholeWords(spans(phrases)),
	}
	forbidden, _, found := strings.Cut(sections["Go names"], "Write what they stand for")
	require.True(t, found)
	g.declared = spans(forbidden)
	return g
}

func spans(text string) []string {
	var all []string
	for _, match := range code.FindAllStringSubmatch(text, -1) {
		all = append(all, match[1])
	}
	return all
}

// lastCells returns the code spans in the last column of the tables.
func lastCells(text string) []string {
	var all []string
	for line := range strings.Lines(text) {
		if cells := strings.Split(strings.TrimSpace(line), " | "); len(cells) == 3 {
			all = append(all, spans(cells[2])...)
		}
	}
	return all
}

func wholeWords(words []string) *regexp.Regexp {
	for i, word := range words {
		words[i] = strings.ReplaceAll(regexp.QuoteMeta(word), " ", `\s+`)
	}
	return regexp.MustCompile(`(?i)\b(?:` + strings.Join(words, "|") + `)\b`)
}

// finds returns the forbidden words of a text.
func (g glossary) finds(text string, sentences bool) []string {
	text = g.allowed.ReplaceAllString(text, "")
	found := g.names.FindAllString(text, -1)
	if sentences {
		found = append(found, g.sentences.FindAllString(text, -1)...)
	}
	return found
}

// hump is where a Go name goes on with another word.
var hump = regexp.MustCompile(`([a-z0-9])([A-Z])|_`)

// words splits a Go name: fenceName becomes fence Name.
func words(name string) string { return hump.ReplaceAllString(name, "$1 $2") }

// TestWords: every name, comment, string and text has the words of the glossary.
func TestWords(t *testing.T) {
	t.Parallel()

	g := readGlossary(t)
	for _, file := range tracked(t) {
		if strings.HasSuffix(file, ".go") {
			checkGo(t, g, file)
			continue
		}
		checkText(t, g, file)
	}
}

// tracked returns the files of the repository, without test data: what users write may have any words.
func tracked(t *testing.T) []string {
	t.Helper()

	var files []string
	require.NoError(t,
		filepath.WalkDir(filepath.Join(root, *under), func(path string, entry os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			name, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			if entry.IsDir() {
				if hidden := strings.HasPrefix(entry.Name(), ".") && name != "."; hidden || slices.Contains(skipped, entry.Name()) {
					return filepath.SkipDir
				}
				return nil
			}
			if name = filepath.ToSlash(name); !slices.Contains(unchecked, name) && slices.Contains(texts, kindOf(name)) {
				files = append(files, name)
			}
			return nil
		}))
	require.NotEmpty(t, files)
	return files
}

var (
	skipped = []string{"testdata", "bin", "dist", "node_modules"}
	texts   = []string{".go", ".md", ".yaml", ".tpl", ".txt", ".sh", ".json", "Makefile", "Dockerfile"}
)

// kindOf returns the extension of a file, or its name when it has none.
func kindOf(name string) string {
	if extension := filepath.Ext(name); extension != "" {
		return extension
	}
	return filepath.Base(name)
}

// checkText checks a file that is not Go. Of documents other than README.md it checks the names only.
func checkText(t *testing.T, g glossary, file string) {
	t.Helper()

	content, err := os.ReadFile(filepath.Join(root, file))
	require.NoError(t, err)
	report(t, g, file, file, false)
	sentences := true
	number := 0
	for line := range strings.Lines(string(content)) {
		number++
		report(t, g, fmt.Sprintf("%s:%d", file, number), line, sentences)
	}
}

func report(t *testing.T, g glossary, place, text string, sentences bool) {
	t.Helper()

	if found := g.finds(text, sentences); len(found) > 0 {
		assert.Fail(t, "words that docs/glossary.md replaces", "%s: %q", place, found)
	}
}

// checkGo checks the comments, the strings and the declared names of a Go file, and the file's own name.
func checkGo(t *testing.T, g glossary, file string) {
	t.Helper()

	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, filepath.Join(root, file), nil, parser.ParseComments|parser.SkipObjectResolution)
	require.NoError(t, err)
	at := func(pos token.Pos) string { return fmt.Sprintf("%s:%d", file, set.Position(pos).Line) }
	report(t, g, file, words(filepath.Base(file)), true)
	for _, group := range parsed.Comments {
		report(t, g, at(group.Pos()), group.Text(), true)
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			report(t, g, at(literal.Pos()), literal.Value, true)
		}
		for _, name := range declares(n) {
			report(t, g, at(name.Pos()), words(name.Name), true)
		}
		return true
	})
	for _, name := range packageNames(parsed) {
		if slices.Contains(g.declared, name.Name) {
			assert.Fail(t, "a Go name that docs/glossary.md replaces", "%s: %s", at(name.Pos()), name.Name)
		}
	}
}

// declares returns the names that a node declares.
func declares(n ast.Node) []*ast.Ident {
	switch n := n.(type) {
	case *ast.FuncDecl:
		return []*ast.Ident{n.Name}
	case *ast.TypeSpec:
		return []*ast.Ident{n.Name}
	case *ast.ValueSpec:
		return n.Names
	case *ast.Field:
		return n.Names
	case *ast.AssignStmt:
		var names []*ast.Ident
		for _, left := range n.Lhs {
			if name, ok := left.(*ast.Ident); ok && n.Tok == token.DEFINE {
				names = append(names, name)
			}
		}
		return names
	default:
		return nil
	}
}

// packageNames returns the names of a file's top-level declarations, methods included.
func packageNames(file *ast.File) []*ast.Ident {
	var names []*ast.Ident
	for _, declaration := range file.Decls {
		switch d := declaration.(type) {
		case *ast.FuncDecl:
			names = append(names, d.Name)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				names = append(names, declares(spec)...)
			}
		}
	}
	return names
}

// TestFindsForbiddenWords: a check that finds nothing would pass for any text.
func TestFindsForbiddenWords(t *testing.T) {
	t.Parallel()

	g := readGlossary(t)
	for text, want := range map[string][]string{
		"the fence holds":                     {"fence"},
		words("newFencePolicy"):               {"Fence"},
		"it is kept for\never":                {"for\never"},
		"a certificate authority signs":       nil,
		"the authority signs":                 {"authority"},
		"an offence, a remark, a told-you-so": {"told"},
	} {
		assert.Equal(t, want, g.finds(text, true), "%s", text)
	}
	assert.Empty(t, g.finds("the API server says no", false), "documents are held to the names only")
	assert.Contains(t, g.declared, "patience")
}
