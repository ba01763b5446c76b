package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	architecture = "docs/architecture.md"
	module       = "github.com/pipeline-storage/pipeline-storage/"
)

var (
	// row is a line of a table whose first cell is a code span.
	row = regexp.MustCompile("(?m)^\\| `([^`]+)` \\|")
	// span is a code span.
	span = regexp.MustCompile("`([^`\n]+)`")
	// call is a Go name in a diagram, with its package in front.
	call = regexp.MustCompile(`\b([a-z]+)\.(\w+(?:\.\w+)?)\b`)
	// diagram is a block of text that is no program.
	diagram = regexp.MustCompile("(?ms)^```text\n(.*?)^```")
)

// section returns the text of a document below a heading, up to the next heading of its level.
func section(t *testing.T, document, title string) string {
	t.Helper()
	_, text, found := strings.Cut(read(t, document), "\n## "+title+"\n")
	require.True(t, found, "%s has no section %q", document, title)
	text, _, _ = strings.Cut(text, "\n## ")
	return text
}

// goDirectories returns the directories below pkg, internal, cmd, hack, tools and test that have Go
// files.
func goDirectories(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, file := range files(t, ".go") {
		top, _, _ := strings.Cut(file, "/")
		if slices.Contains([]string{"pkg", "internal", "cmd", "hack", "tools", "test"}, top) {
			found = append(found, path.Dir(file))
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// TestMapHasEveryPackage holds the table of packages: a package without a row, and a row without a
// package, fail.
func TestMapHasEveryPackage(t *testing.T) {
	t.Parallel()

	var rows []string
	for _, match := range row.FindAllStringSubmatch(section(t, architecture, "Packages"), -1) {
		rows = append(rows, match[1])
	}
	slices.Sort(rows)
	assert.Equal(t, goDirectories(t), rows)
}

// TestMapNamesFilesThatExist holds "Where do I change …": every path in it is a file or a directory
// of the repository.
func TestMapNamesFilesThatExist(t *testing.T) {
	t.Parallel()

	paths := 0
	for _, match := range span.FindAllStringSubmatch(section(t, architecture, "Where do I change …"), -1) {
		if !strings.Contains(match[1], "/") || strings.ContainsAny(match[1], " *:") {
			continue // a command or a name
		}
		paths++
		_, err := os.Stat(filepath.Join(root, strings.ReplaceAll(match[1], "PROJECT", "argo")))
		require.NoError(t, err)
	}
	assert.Greater(t, paths, 20)
}

// TestMapNamesFunctionsThatExist holds the call paths: every package.Name of a diagram is declared.
func TestMapNamesFunctionsThatExist(t *testing.T) {
	t.Parallel()

	names := declarations(t)
	calls := 0
	for _, drawing := range diagram.FindAllStringSubmatch(read(t, architecture), -1) {
		for _, match := range call.FindAllStringSubmatch(drawing[1], -1) {
			if match[2] == "go" { // a file's name
				continue
			}
			calls++
			assert.Contains(t, names[match[1]], match[2], "%s is not declared", match[0])
		}
	}
	assert.Greater(t, calls, 30)
}

// declarations returns the functions, methods (Type.Method and Method) and types that each package
// of the product declares, by the last element of the package's path; app is the command above it.
func declarations(t *testing.T) map[string][]string {
	t.Helper()
	names := map[string][]string{}
	for _, file := range files(t, ".go") {
		if top, _, _ := strings.Cut(file, "/"); !slices.Contains([]string{"pkg", "internal", "cmd"}, top) ||
			strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, file), nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		name := path.Base(path.Dir(file))
		if name == "app" {
			name = path.Base(path.Dir(path.Dir(file)))
			name = name[strings.LastIndex(name, "-")+1:]
		}
		for _, declaration := range parsed.Decls {
			names[name] = append(names[name], declares(declaration)...)
		}
	}
	return names
}

func declares(declaration ast.Decl) []string {
	switch d := declaration.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil {
			return []string{d.Name.Name}
		}
		return []string{d.Name.Name, receiver(d.Recv.List[0].Type) + "." + d.Name.Name}
	case *ast.GenDecl:
		var names []string
		for _, spec := range d.Specs {
			if named, ok := spec.(*ast.TypeSpec); ok {
				names = append(names, named.Name.Name)
			}
		}
		return names
	default:
		return nil
	}
}

func receiver(expression ast.Expr) string {
	switch e := expression.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	default:
		return ""
	}
}

// TestMapHasTheImports holds the third column: the packages of pkg and internal that a package of the
// product imports. A row whose column is empty is not held.
func TestMapHasTheImports(t *testing.T) {
	t.Parallel()

	rows := 0
	for line := range strings.Lines(section(t, architecture, "Packages")) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		match := row.FindStringSubmatch(line)
		if match == nil || len(cells) != 3 || strings.Contains(cells[2], "its app") || strings.TrimSpace(cells[2]) == "" {
			continue
		}
		rows++
		written := strings.Split(strings.TrimSpace(cells[2]), ", ")
		slices.Sort(written)
		assert.Equal(t, strings.Join(imports(t, match[1]), ", "), strings.Join(written, ", "), "the imports of %s", match[1])
	}
	assert.Greater(t, rows, 15)
}

// imports returns the packages of pkg and internal that the files of a directory import, by the last
// elements of their paths, or "none".
func imports(t *testing.T, directory string) []string {
	t.Helper()
	var found []string
	for _, file := range files(t, ".go") {
		if path.Dir(file) != directory || strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, file), nil, parser.ImportsOnly)
		require.NoError(t, err)
		for _, spec := range parsed.Imports {
			if inModule, ok := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), module); ok {
				if strings.HasPrefix(inModule, "pkg/") || strings.HasPrefix(inModule, "internal/") {
					found = append(found, path.Base(inModule))
				}
			}
		}
	}
	slices.Sort(found)
	if found = slices.Compact(found); len(found) == 0 {
		return []string{"none"}
	}
	return found
}
