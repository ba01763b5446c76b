package kinds_test

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
)

const (
	document   = "../../docs/kinds.md"
	kindsBegin = "<!-- kinds -->\n"
	kindsEnd   = "<!-- /kinds -->\n"
)

// TestDocumentHasEveryKind compares the generated part of docs/kinds.md with the table in the code
// and that of the definitions.
func TestDocumentHasEveryKind(t *testing.T) {
	text, err := os.ReadFile(document)
	require.NoError(t, err)
	head, rest, ok := strings.Cut(string(text), kindsBegin)
	require.True(t, ok, "%s has no marker %q", document, kindsBegin)
	_, tail, ok := strings.Cut(rest, kindsEnd)
	require.True(t, ok, "%s has no marker %q", document, kindsEnd)
	requireFile(t, document, head+kindsBegin+describeKinds(t)+kindsEnd+tail)
}

// TestDocumentShowsExample compares what docs/kinds.md shows of a row with the file that its
// command reads.
func TestDocumentShowsExample(t *testing.T) {
	text, err := os.ReadFile(document)
	require.NoError(t, err)
	for _, file := range []string{"storageconfig.yaml", "training.yaml"} {
		example, err := os.ReadFile(filepath.Join("..", "..", "examples", "own-kind", file))
		require.NoError(t, err)
		isShown := strings.Contains(string(text), "```yaml\n"+string(example)+"```\n")
		assert.True(t, isShown, "docs/kinds.md needs a block with the text of examples/own-kind/%s", file)
	}
}

// describeKinds writes one section for every project, in the order of the code.
func describeKinds(t *testing.T) string {
	var overview, sections strings.Builder
	overview.WriteString("| Project | Kinds | Judged by |\n|---|---|---|\n")
	for rows := range projectsOf(kinds.Builtin()) {
		project := rows[0].Project
		fmt.Fprintf(&overview, "| [%s](#%s) | %s | %s |\n", project, anchor(project), names(rows), sources(t, rows))
		fmt.Fprintf(&sections, "\n### %s\n", project)
		for len(rows) > 0 { // rows of one shape share a paragraph
			text, alike := describe(rows[0]), 1
			for alike < len(rows) && describe(rows[alike]) == text && heading(t, rows[alike]) == heading(t, rows[0]) {
				alike++
			}
			fmt.Fprintf(&sections, "\n**%s** (%s)\n\n%s", names(rows[:alike]), heading(t, rows[0]), text)
			rows = rows[alike:]
		}
	}
	return overview.String() + sections.String() + "\n"
}

func names(rows []kinds.Kind) string {
	var all []string
	for _, row := range rows {
		all = append(all, row.Kind)
	}
	return strings.Join(all, ", ")
}

// projectsOf yields the rows of one project after the other. They stand together.
func projectsOf(rows []kinds.Kind) func(func([]kinds.Kind) bool) {
	return func(yield func([]kinds.Kind) bool) {
		for start := 0; start < len(rows); {
			end := start
			for end < len(rows) && rows[end].Project == rows[start].Project {
				end++
			}
			if !yield(rows[start:end]) {
				return
			}
			start = end
		}
	}
}

// describe writes what a user needs about a kind.
func describe(row kinds.Kind) string {
	var b strings.Builder
	if len(row.Objects) > 0 {
		fmt.Fprintf(&b, "- The objects in %s, each by the row of its own kind.\n", codes(row.Objects))
	}
	for _, line := range places(row.Pods) {
		fmt.Fprintf(&b, "- %s\n", line)
	}
	if row.Advice != "" {
		fmt.Fprintf(&b, "- When it holds no pod, the report has this reason: `%s`.\n", strings.TrimSuffix(row.Advice, "."))
	}
	if row.Limits != "" {
		fmt.Fprintf(&b, "- Limits: %s\n", row.Limits)
	}
	return b.String()
}

// places are the sentences about the pods of a row. Places of one shape share a sentence.
func places(pods []kinds.PodPaths) []string {
	var lines []string
	scopes := map[string][]string{}
	for _, p := range pods {
		line := place(p)
		if scopes[line] == nil {
			lines = append(lines, line)
		}
		scopes[line] = append(scopes[line], p.Scope)
	}
	for i, line := range lines {
		lines[i] = strings.Replace(line, scopePlaceholder, codes(scopes[line]), 1)
	}
	return lines
}

// scopePlaceholder stands in a sentence for the places that it is about.
const scopePlaceholder = "SCOPE"

func place(p kinds.PodPaths) string {
	var s string
	switch isTemplate := p.Volumes == "spec.volumes" && slices.Contains(p.Containers, "spec.containers[*]"); {
	case isTemplate && p.Scope == ".":
		return "The object itself."
	case isTemplate:
		s = "Pod template: " + scopePlaceholder + "."
	case len(p.Containers) > 0:
		s = "In " + scopePlaceholder + ": containers " + codes(p.Containers) + "; volumes in " + field(p.Volumes) + "." +
			containerNames(p)
	default:
		s = "With " + scopePlaceholder + "."
	}
	switch {
	case p.Labels != "":
		s += " Label: " + labelPlace(p) + ", because " + p.Why + "."
	case p.Why != "":
		s += " Only reported, because " + p.Why + "."
	}
	return s
}

// containerNames describes the names of containers at a place of their own.
func containerNames(p kinds.PodPaths) string {
	paths := map[string][]string{}
	for _, path := range p.Containers {
		if name := p.Names[path]; name != "" {
			paths[name] = append(paths[name], path)
		}
	}
	var all []string
	for _, name := range slices.Sorted(maps.Keys(paths)) {
		all = append(all, fmt.Sprintf("`%s` for %s", name, codes(paths[name])))
	}
	if all == nil {
		return ""
	}
	return " Reports have their names in the pod: " + strings.Join(all, ", ") + "."
}

// labelPlace describes where the label goes.
func labelPlace(p kinds.PodPaths) string {
	if p.LabelPrefix != "" {
		return field(p.Labels) + " (`" + p.LabelPrefix + kinds.Label + "`)"
	}
	return field(p.Labels)
}

func codes(paths []string) string {
	var all []string
	for _, p := range paths {
		all = append(all, code(p))
	}
	return strings.Join(all, ", ")
}

// code writes a path.
func code(path string) string {
	if path == "." {
		return "the place itself"
	}
	return "`" + strings.TrimPrefix(path, "$.") + "`"
}

// field writes the path of a field that belongs to the place, or to the object.
func field(path string) string {
	if strings.HasPrefix(path, "$.") {
		return code(path)
	}
	return "its " + code(path)
}

// definitionsOf are the definitions of a kind.
func definitionsOf(t *testing.T, row kinds.Kind) []definition {
	t.Helper()
	return slices.DeleteFunc(readDefinitions(t), func(d definition) bool {
		return d.Group != row.Group || d.Kind != row.Kind
	})
}

// sources are the projects, with their commits, whose definitions validate the rows.
func sources(t *testing.T, rows []kinds.Kind) string {
	t.Helper()
	if slices.Contains(builtin, rows[0].Group) {
		return "the API server of the tests"
	}
	var all []string
	for _, row := range rows {
		for _, d := range definitionsOf(t, row) {
			all = append(all, d.Source)
		}
	}
	slices.Sort(all)
	return cmp.Or(strings.Join(slices.Compact(all), ", "), "–")
}

// heading has the group of a kind and the versions in which it was validated.
func heading(t *testing.T, row kinds.Kind) string {
	t.Helper()
	text := cmp.Or(row.Group, "core")
	if versions := servedVersions(t, row); len(versions) > 0 {
		text += " " + strings.Join(versions, ", ")
	}
	return text
}

// anchor is the link that GitHub derives from a heading.
func anchor(heading string) string {
	mapRune := func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-', r >= '0' && r <= '9', r >= 'a' && r <= 'z':
			return r
		}
		return -1
	}
	return strings.Map(mapRune, strings.ToLower(heading))
}
