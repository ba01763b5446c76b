package main

import (
	"fmt"
	"go/ast"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"maps"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// configSources are where the types of the configuration and their comments are, from the
// repository's root.
var configSources = []string{"pkg/inject/storage", "pkg/inject/kinds"}

var (
	// enums are the values of types that have few.
	enums = map[reflect.Type][]string{
		reflect.TypeFor[corev1.PersistentVolumeAccessMode](): {
			string(corev1.ReadWriteOnce), string(corev1.ReadOnlyMany),
			string(corev1.ReadWriteMany), string(corev1.ReadWriteOncePod),
		},
		reflect.TypeFor[corev1.PersistentVolumeReclaimPolicy](): {
			string(corev1.PersistentVolumeReclaimRetain), string(corev1.PersistentVolumeReclaimDelete),
		},
		reflect.TypeFor[corev1.PodSELinuxChangePolicy](): {
			string(corev1.SELinuxChangePolicyMountOption), string(corev1.SELinuxChangePolicyRecursive),
		},
		reflect.TypeFor[storage.DeletionPolicy](): {string(storage.DeletionRetain), string(storage.DeletionDelete)},
		reflect.TypeFor[storagev1.VolumeBindingMode](): {
			string(storagev1.VolumeBindingWaitForFirstConsumer), string(storagev1.VolumeBindingImmediate),
		},
		reflect.TypeFor[metav1.LabelSelectorOperator](): {
			string(metav1.LabelSelectorOpIn), string(metav1.LabelSelectorOpNotIn),
			string(metav1.LabelSelectorOpExists), string(metav1.LabelSelectorOpDoesNotExist),
		},
	}
	// additions are the parts of a schema that the types do not have. A field of properties
	// replaces the schema of that field. Every other key is added to the definition.
	additions = map[string]map[string]any{
		"Config": {"required": []string{"profiles"}, "properties": map[string]any{
			"apiVersion": map[string]any{"const": storage.APIVersion},
			"kind":       map[string]any{"const": storage.ConfigKind},
			"profiles": map[string]any{
				"type": "array", "minItems": 1, "items": map[string]any{"$ref": "#/definitions/Profile"},
			},
		}},
		"Profile": {"required": []string{"name"}, "properties": map[string]any{
			"fsGroup": map[string]any{"type": "integer", "minimum": 0, "maximum": math.MaxInt32},
			"env":     variablesSchema(),
		}},
		"StorageClass": {"properties": map[string]any{"backend": backendSchema()}},
		"Volume": {"properties": map[string]any{
			"zone": map[string]any{"type": "string", "maxLength": 63, "pattern": labelValue},
		}},
		"MountConfig": {"properties": map[string]any{
			"path": map[string]any{"type": "string", "pattern": mountPath},
		}},
	}
)

const (
	// labelValue is what the value of a label looks like. Source: Kubernetes, apimachinery,
	// pkg/api/validate/content (labelValueFmt).
	labelValue = "^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$"
	// mountPath is an absolute path without a colon or control characters. The templates refuse
	// those that are reserved.
	mountPath = `^(/[^:\x00-\x1f\x7f]*)?$`
)

// variablesSchema takes a name, or a list of names. A oneOf of both would be refused without a reason.
func variablesSchema() map[string]any {
	return map[string]any{"type": []string{"string", "array"}, "items": map[string]any{"type": "string"}}
}

// backendSchema takes what package storage takes: a preset, its driver's name or an in-tree name.
// An editor can offer the names. A driver of your own is set by storageClass.driver.
func backendSchema() map[string]any {
	var names []string
	for _, b := range storage.Backends {
		names = append(names, b.Name)
	}
	names = append(names, slices.Sorted(maps.Keys(aliases()))...)
	return map[string]any{"type": "string", "enum": names}
}

// definitions makes schemas of Go types, each struct under its own name. comments are by Type and
// Type.Field. schemas grow with each struct that is met.
type definitions struct {
	comments map[string]string
	schemas  map[string]any
}

// makeDefinitions returns the schemas of the configuration's types. It starts at storage.Config and
// follows every field, so that a new field is in the schema without more code.
func makeDefinitions() (map[string]any, error) {
	d := definitions{comments: map[string]string{}, schemas: map[string]any{}}
	for _, source := range configSources {
		comments, err := readComments(source)
		if err != nil {
			return nil, err
		}
		maps.Copy(d.comments, comments)
	}
	d.schema(reflect.TypeFor[storage.Config]())
	return d.schemas, nil
}

// schema returns the schema of a type, for a struct a reference to its definition. A type that has
// few values becomes an enum. A quantity may be a number, because YAML reads 10 as one. A type of
// another kind, such as an interface, may be anything.
func (d definitions) schema(t reflect.Type) map[string]any {
	switch {
	case enums[t] != nil:
		return map[string]any{"type": "string", "enum": enums[t]}
	case t == reflect.TypeFor[resource.Quantity]():
		return map[string]any{"type": []string{"string", "number"}}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return d.schema(t.Elem())
	case reflect.Slice:
		return map[string]any{"type": "array", "items": d.schema(t.Elem())}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": d.schema(t.Elem())}
	case reflect.Struct:
		d.define(t)
		return map[string]any{"$ref": "#/definitions/" + t.Name()}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int, reflect.Int32, reflect.Int64:
		return map[string]any{"type": "integer"}
	case reflect.String:
		return map[string]any{"type": "string"}
	default: // any
		return map[string]any{}
	}
}

// define adds the definition of a struct, once. It stores the definition before it follows the
// fields, so that types that contain themselves end. Fields without a name in JSON are left out.
// [additions] take precedence over the type.
func (d definitions) define(t reflect.Type) {
	if d.schemas[t.Name()] != nil {
		return
	}
	fields := map[string]any{}
	definition := map[string]any{"type": "object", "additionalProperties": false, "properties": fields}
	d.schemas[t.Name()] = definition
	if text := d.comments[t.Name()]; text != "" {
		definition["description"] = text
	}
	added := maps.Clone(additions[t.Name()])
	replaced, _ := added["properties"].(map[string]any)
	delete(added, "properties")
	maps.Copy(definition, added)
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		schema := d.schema(field.Type) // also where another stands instead: it defines the types below
		if other, ok := replaced[name].(map[string]any); ok {
			schema = maps.Clone(other)
		}
		fields[name] = described(schema, d.comments[t.Name()+"."+field.Name])
	}
}

// described adds a text to a schema. In draft-07 nothing counts beside a $ref, so that goes into an
// allOf.
// Source: JSON Schema draft-07, core, 8.3: "All other properties in a "$ref" object MUST be
// ignored."
func described(schema map[string]any, text string) map[string]any {
	if text == "" {
		return schema
	}
	if schema["$ref"] != nil {
		return map[string]any{"description": text, "allOf": []any{schema}}
	}
	schema["description"] = text
	return schema
}

// readComments returns the comments of a package's types and their fields, by Type and Type.Field.
// Comments are no part of a compiled program, so the source is parsed. It must run in the
// repository's root.
func readComments(dir string) (map[string]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("there are no files in %s: run it in the repository's root", dir)
	}
	comments := map[string]string{}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			return nil, fmt.Errorf("read the comments of the configuration: %w", err)
		}
		for _, declaration := range file.Decls {
			if general, ok := declaration.(*ast.GenDecl); ok {
				typeComments(comments, general)
			}
		}
	}
	return comments, nil
}

// typeComments adds the comments of a declaration's types and of their fields. Embedded fields have
// no name, and are left out.
func typeComments(comments map[string]string, declaration *ast.GenDecl) {
	for _, spec := range declaration.Specs {
		s, ok := spec.(*ast.TypeSpec)
		if !ok {
			continue
		}
		comments[s.Name.Name] = plain(declaration.Doc)
		structure, ok := s.Type.(*ast.StructType)
		if !ok {
			continue
		}
		for _, field := range structure.Fields.List {
			for _, name := range field.Names {
				comments[s.Name.Name+"."+name.Name] = plain(field.Doc)
			}
		}
	}
}

// plain is a comment as one line, without the brackets of links. The schema and the README are no
// Go documentation: [Name] would be a broken link there. Line breaks become spaces.
func plain(group *ast.CommentGroup) string {
	if group == nil {
		return ""
	}
	var p comment.Parser
	var text comment.Printer
	text.TextWidth = -1
	joined := strings.Join(strings.Fields(string(text.Text(p.Parse(group.Text())))), " ")
	return strings.NewReplacer("[*]", "[*]", "[", "", "]", "").Replace(joined)
}
