package app

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	repository = "../../.."
	operations = repository + "/docs/operations.md"
)

var (
	update = flag.Bool("update", false, "write the tables of metrics and flags in docs/operations.md")

	eventRows = regexp.MustCompile(`(?s)\| Reason \| About \|[^\n]*\n\|---[^\n]*\n(.*?)\n\n`)
	firstCell = regexp.MustCompile("(?m)^\\| `(\\w+)`")
)

// generatedTable compares the rows of a table in docs/operations.md with those of the code. The
// header is the beginning of the table's first line. With -update it writes them.
func generatedTable(t *testing.T, header string, rows []string) {
	t.Helper()
	text, err := os.ReadFile(operations)
	require.NoError(t, err)
	before, rest, found := strings.Cut(string(text), "\n"+header)
	require.True(t, found, "docs/operations.md needs a table that begins with %q", header)
	lines := strings.SplitAfter(rest, "\n")
	end := 2 // the header and the line below it
	for end < len(lines) && strings.HasPrefix(lines[end], "|") {
		end++
	}
	if *update {
		before += "\n" + header + lines[0] + lines[1] + strings.Join(rows, "\n") + "\n"
		require.NoError(t, os.WriteFile(operations, []byte(before+strings.Join(lines[end:], "")), 0o644))
		return
	}
	documented := strings.Split(strings.TrimSuffix(strings.Join(lines[2:end], ""), "\n"), "\n")
	for _, row := range rows {
		assert.True(t, slices.Contains(documented, row), "docs/operations.md lacks the row %s", row)
	}
	for _, row := range documented {
		assert.True(t, slices.Contains(rows, row), "docs/operations.md has the row %s, and the code does not", row)
	}
	assert.True(t, slices.Equal(documented, rows), "write the table %s… of docs/operations.md by make generate, or by "+
		"go test ./cmd/webhook/app -run 'Metric|Flag' -update", header)
}

// sources calls a function with each Go file of the program that is no test.
func sources(t *testing.T, each func(path string)) {
	t.Helper()
	for _, directory := range []string{"internal", "cmd", "pkg"} {
		require.NoError(t, filepath.WalkDir(filepath.Join(repository, directory),
			func(path string, _ fs.DirEntry, err error) error {
				if err == nil && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
					each(path)
				}
				return err
			}))
	}
}

// eventReasons returns the values of the constants named reason… in the packages that send Events.
func eventReasons(t *testing.T) []string {
	t.Helper()
	var reasons []string
	sources(t, func(path string) {
		name := filepath.ToSlash(filepath.Dir(path))
		if !slices.ContainsFunc(eventPackages, func(p string) bool { return strings.HasSuffix(name, p) }) {
			return
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 || !strings.HasPrefix(strings.ToLower(spec.Names[0].Name), "reason") {
				return true
			}
			literal, ok := spec.Values[0].(*ast.BasicLit)
			require.True(t, ok, spec.Names[0].Name)
			reason, err := strconv.Unquote(literal.Value)
			require.NoError(t, err)
			reasons = append(reasons, reason)
			return true
		})
	})
	return reasons
}

// eventPackages have the constants of the reasons of Events.
var eventPackages = []string{"internal/diagnose", "internal/drift", "cmd/webhook/app"}

// TestEveryEventReasonIsDocumented compares the table in docs/operations.md with the constants.
func TestEveryEventReasonIsDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(operations)
	require.NoError(t, err)
	table := eventRows.FindSubmatch(text)
	require.NotNil(t, table, "docs/operations.md has a table of Events")
	var rows []string
	for _, match := range firstCell.FindAllSubmatch(table[1], -1) {
		rows = append(rows, string(match[1]))
	}
	assert.ElementsMatch(t, eventReasons(t), rows)
	assert.Greater(t, len(rows), 25)
}
