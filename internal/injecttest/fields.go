package injecttest

import (
	"reflect"
	"strings"
)

// FieldPaths are the paths of all fields of a configuration's type that hold no further fields of
// the configuration, as a file spells them: profiles[].claim.size. A field that a file cannot
// have has no path. T is a struct. Fields of types from other modules, such as resource.Quantity,
// are values in a file and end a path. They are in the order of the type.
func FieldPaths(t reflect.Type) []string {
	var paths []string
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		of, items := field.Type, ""
		if of.Kind() == reflect.Slice {
			of, items = of.Elem(), "[]"
		}
		if of.Kind() == reflect.Pointer {
			of = of.Elem()
		}
		if !strings.HasPrefix(of.PkgPath(), module) || of.Kind() != reflect.Struct {
			paths = append(paths, name)
			continue
		}
		for _, below := range FieldPaths(of) {
			paths = append(paths, name+items+"."+below)
		}
	}
	return paths
}

// module begins the packages of the configuration's own types. Types of other modules begin with
// another path.
const module = "github.com/pipeline-storage/pipeline-storage/"
