package injecttest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// Constants returns the text constants of a directory's package whose names begin with a prefix,
// by their names. A test that ranges over them fails for a new constant that is forgotten in
// another place. It reads the source, because Go has no reflection for constants. It fails the
// test when no constant is found, which means that the prefix is wrong.
func Constants(t testing.TB, dir, prefix string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	found := map[string]string{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, declaration := range file.Decls {
			if group, ok := declaration.(*ast.GenDecl); ok && group.Tok == token.CONST {
				maps.Copy(found, constantsOf(group, prefix))
			}
		}
	}
	require.NotEmpty(t, found, "constants %s* of %s", prefix, dir)
	return found
}

// constantsOf returns the constants of one declaration. Constants without a value of their own,
// as with iota, are not text and are left out.
func constantsOf(group *ast.GenDecl, prefix string) map[string]string {
	found := map[string]string{}
	for _, spec := range group.Specs {
		constant, ok := spec.(*ast.ValueSpec)
		if !ok {
			continue
		}
		for i, name := range constant.Names {
			if !strings.HasPrefix(name.Name, prefix) || i >= len(constant.Values) {
				continue
			}
			if value, ok := textOf(constant.Values[i]); ok {
				found[name.Name] = value
			}
		}
	}
	return found
}

// textOf evaluates text literals, sums of them, and the API group. Every other expression is
// reported as false. A selector such as storage.Group is recognized by its last name.
func textOf(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		value, err := strconv.Unquote(e.Value)
		return value, err == nil && e.Kind == token.STRING
	case *ast.BinaryExpr:
		left, isLeft := textOf(e.X)
		right, isRight := textOf(e.Y)
		return left + right, isLeft && isRight && e.Op == token.ADD
	case *ast.SelectorExpr:
		return storage.Group, e.Sel.Name == "Group"
	}
	return "", false
}
