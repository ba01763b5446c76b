package alternatives_test

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

const document = "../../docs/alternatives.md"

// TestDocumentHasTheTables makes the tables of testdata/NAME.out.yaml. It needs no control plane: TestAlternatives
// holds these files to what happens.
func TestDocumentHasTheTables(t *testing.T) {
	seen := make([]observed, 0, len(alternatives))
	for _, a := range alternatives {
		data, err := os.ReadFile(filepath.Join("testdata", a.name+".out.yaml"))
		require.NoError(t, err)
		var o observed
		require.NoError(t, yaml.UnmarshalStrict(data, &o))
		seen = append(seen, o)
	}
	text, err := os.ReadFile(document)
	require.NoError(t, err)
	expected := string(text)
	for name, table := range map[string]string{"pods": podTable(t, seen), "facts": factTable(seen)} {
		begin, end := "<!-- "+name+" -->\n", "<!-- /"+name+" -->"
		before, rest, begins := strings.Cut(expected, begin)
		_, after, ends := strings.Cut(rest, end)
		require.True(t, begins && ends, "%s has no place for %s", document, name)
		expected = before + begin + table + end + after
	}
	if *update {
		require.NoError(t, os.WriteFile(document, []byte(expected), 0o644))
		return
	}
	assert.Equal(t, expected, string(text), "if this is intended: go test ./test/alternatives -update")
}

func header(first string) string {
	titles := make([]string, 0, len(alternatives))
	for _, a := range alternatives {
		titles = append(titles, a.title)
	}
	return fmt.Sprintf("\n| %s | %s |\n|%s\n", first, strings.Join(titles, " | "), strings.Repeat("---|", len(titles)+1))
}

func podTable(t *testing.T, seen []observed) string {
	t.Helper()
	var table strings.Builder
	table.WriteString(header("The pod"))
	for _, p := range pods(t) {
		row(&table, p.Annotations["case"], seen, func(o observed) string { return o.Pods[p.Name] })
	}
	return table.String() + "\n"
}

func factTable(seen []observed) string {
	var table strings.Builder
	table.WriteString(header(""))
	for _, f := range factRows {
		row(&table, f.title, seen, func(o observed) string { return o.Facts[f.key] })
	}
	return table.String() + "\n"
}

// row writes a row with a cell of each alternative. What has not run here is not in its file. The sentence
// of a refusal is not repeated in the next column.
func row(table *strings.Builder, title string, seen []observed, cell func(observed) string) {
	cells := make([]string, 0, len(seen))
	for i, o := range seen {
		text := cmp.Or(cell(o), "not run here")
		if strings.HasPrefix(text, "refused: ") && i > 0 && text == cell(seen[i-1]) {
			text = "refused: the same sentence"
		}
		cells = append(cells, text)
	}
	fmt.Fprintf(table, "| %s | %s |\n", title, strings.Join(cells, " | "))
}
