package kinds

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// TestBuiltinRowsAreValid holds the built-in rows to the rules of a configuration file, and to
// those of the fields that such a file has not.
func TestBuiltinRowsAreValid(t *testing.T) {
	for _, row := range Builtin() {
		for i := range row.Pods {
			assert.Empty(t, invalidProjectPaths(&row.Pods[i]), "%s of %s, pods[%d]", row.Kind, row.Group, i)
		}
		row.Pods = slices.DeleteFunc(slices.Clone(row.Pods), isOnlyReported)
		assert.Empty(t, row.Validate(field.NewPath(row.Kind)), "%s of %s", row.Kind, row.Group)
	}
}

// TestEveryProjectIsInTheTable finds the variables with the rows of a project in the source. The table of
// builtin.go must have each of them.
func TestEveryProjectIsInTheTable(t *testing.T) {
	files, err := filepath.Glob("builtin_*.go")
	require.NoError(t, err)
	table := kindsVariables(t, "builtin.go", func(n ast.Node) []*ast.Ident {
		call, isCall := n.(*ast.CallExpr)
		if !isCall {
			return nil
		}
		var names []*ast.Ident
		for _, argument := range call.Args {
			if name, isName := argument.(*ast.Ident); isName {
				names = append(names, name)
			}
		}
		return names
	})
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		rows := kindsVariables(t, file, func(n ast.Node) []*ast.Ident {
			if spec, isSpec := n.(*ast.ValueSpec); isSpec {
				return spec.Names
			}
			return nil
		})
		assert.NotEmpty(t, rows, "pkg/inject/kinds/%s needs a variable …Kinds with the rows of its project", file)
		for _, name := range rows {
			isInTable := slices.Contains(table, name)
			assert.True(t, isInTable, "%s of %s needs its line in builtinKinds of pkg/inject/kinds/builtin.go", name, file)
		}
	}
}

// kindsVariables returns the names that end in Kinds, of those that find returns for a node of the file.
func kindsVariables(t *testing.T, file string, find func(ast.Node) []*ast.Ident) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	require.NoError(t, err)
	var names []string
	ast.Inspect(parsed, func(n ast.Node) bool {
		for _, name := range find(n) {
			if strings.HasSuffix(name.Name, "Kinds") {
				names = append(names, name.Name)
			}
		}
		return true
	})
	return names
}

// isOnlyReported reports whether nothing can be done for a pod but to report why.
func isOnlyReported(p PodPaths) bool { return p.Why != "" && p.Labels == "" && p.Volumes == "" }

// TestProjectPathsAreChecked holds what [TestBuiltinRowsAreValid] finds.
func TestProjectPathsAreChecked(t *testing.T) {
	for name, row := range map[string]PodPaths{
		"a broken path in containers": {ProjectPaths: ProjectPaths{ContainerMounts: []string{"a b"}}},
		"half a mirror":               {ProjectPaths: ProjectPaths{Mirror: &Mirror{Field: "f"}}},
		"a prefix of no label":        {ProjectPaths: ProjectPaths{LabelPrefix: "x."}},
		"a path for a reference":      {ProjectPaths: ProjectPaths{Reference: "a.b"}},
		"an implied pod in a list":    {Scope: "a[*].t", Why: "x", ProjectPaths: ProjectPaths{Implied: true}},
		"an implied pod with nothing": {Scope: "t", ProjectPaths: ProjectPaths{Implied: true}},
		"joined with what are no containers": {
			Containers: []string{"c[*]"}, ProjectPaths: ProjectPaths{Joined: map[string][]string{"d[*]": {"$.e"}}},
		},
		"a broken path in joined": {
			Containers: []string{"c[*]"}, ProjectPaths: ProjectPaths{Joined: map[string][]string{"c[*]": {"a b"}}},
		},
		"an implied pod's own labels": {Scope: "t", Labels: "metadata.labels", ProjectPaths: ProjectPaths{Implied: true}},
	} {
		t.Run(name, func(t *testing.T) { assert.Len(t, invalidProjectPaths(&row), 1) })
	}
}

// invalidProjectPaths returns what is wrong with the fields of a single project. A pod that the
// controller creates without its scope is one pod, and the place of its label does not start in
// what is absent.
func invalidProjectPaths(p *PodPaths) []string {
	var wrong []string
	for path, lists := range p.Joined {
		if !slices.Contains(p.Containers, path) || len(validateField(field.NewPath("j"), lists...)) > 0 {
			wrong = append(wrong, "joined: not lists by a path of containers")
		}
	}
	for problem, is := range map[string]bool{
		"containerMounts: not a path":                len(validateField(field.NewPath("m"), p.ContainerMounts...)) > 0,
		"mirror: no field or no container":           p.Mirror != nil && (p.Mirror.Field == "" || p.Mirror.Of == ""),
		"labelPrefix: no labels":                     p.LabelPrefix != "" && p.Labels == "",
		"reference: not the name of one field":       strings.ContainsAny(p.Reference, ".[]{}*$/~ "),
		"implied: the scope is in a list or a map":   p.Implied && strings.Contains(p.Scope, "*"),
		"implied: neither labels nor why":            p.Implied && p.Labels == "" && p.Why == "",
		"implied: the labels start at the scope":     p.Implied && p.Labels != "" && !strings.HasPrefix(p.Labels, rootPrefix),
		"mirror: a field that a pointer must escape": p.Mirror != nil && strings.ContainsAny(p.Mirror.Field, "~/"),
	} {
		if is {
			wrong = append(wrong, problem)
		}
	}
	return wrong
}

// TestPathsAreParsedOnce holds that a table finds pods without parsing the paths of its rows again.
func TestPathsAreParsedOnce(t *testing.T) {
	parsed := 0
	rows := parseOnce(func() []PodPaths {
		parsed++
		return []PodPaths{template("spec.template", "$.spec.replicas")}
	})
	table := Table{byName: map[groupKind]*Kind{{"apps", "Deployment"}: {Group: "apps", Kind: "Deployment", rows: rows}}}
	document := map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "spec": map[string]any{
		"replicas": json.Number("2"),
		"template": map[string]any{"spec": map[string]any{"containers": []any{map[string]any{"name": "main"}}}},
	}}
	for range 3 {
		objects, err := table.Find(document)
		require.NoError(t, err)
		assert.Equal(t, 2, objects[0].Pods[0].Replicas)
	}
	assert.Equal(t, 1, parsed)
}
