package app

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/pipeline-storage/pipeline-storage/internal/injecttest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// withoutFlag are the fields of a configuration file that no flag sets, each with the reason.
var withoutFlag = map[string]string{
	"apiVersion":                          "flags have no version",
	"kind":                                "flags have no kind",
	"metadata":                            "it is for kustomize",
	"profiles[].name":                     "flags set the fields of the only profile, whatever its name",
	"profiles[].default":                  "there is only one profile; --profile chooses among several",
	"profiles[].namespaceSelector":        "it is for admission",
	"profiles[].claim.create":             "--create lists the objects",
	"profiles[].storageClass.create":      "--create lists the objects",
	"profiles[].volume.create":            "--create lists the objects",
	"profiles[].attributesClass.create":   "--create lists the objects",
	"profiles[].snapshotClass.create":     "--create lists the objects",
	"profiles[].storageClass.labels":      "a file has them: policies require those of claims most often",
	"profiles[].storageClass.annotations": "a file has them: policies require those of claims most often",
	"profiles[].volume.labels":            "a file has them: policies require those of claims most often",
	"profiles[].volume.annotations":       "a file has them: policies require those of claims most often",
}

// TestEveryFieldHasAFlag walks the types of the configuration. A new field needs a row in fieldFlags or in withoutFlag.
func TestEveryFieldHasAFlag(t *testing.T) {
	fields := injecttest.FieldPaths(reflect.TypeFor[storage.Config]())
	for _, field := range fields {
		isRow := strings.HasPrefix(field, "kinds[].") // rows are for files: a flag cannot hold one
		hasFlag := slices.ContainsFunc(fieldFlags, func(f fieldFlag) bool { return f.sets(field) })
		assert.True(t, isRow || hasFlag != (withoutFlag[field] != ""), "%s needs a flag, or a reason to have none", field)
	}
	for _, f := range fieldFlags {
		assert.Contains(t, fieldSections, f.section, "--%s would be no flag at all", f.name)
		assert.True(t, f.name == "create" || slices.ContainsFunc(fields, f.sets), "--%s sets the unknown field %s", f.name,
			f.path)
	}
	for field := range withoutFlag {
		assert.Contains(t, fields, field)
	}
}

// sets reports whether the flag sets a field, or the object that the field is in.
func (f fieldFlag) sets(field string) bool {
	return strings.HasPrefix(field+".", "profiles[]."+f.path+".")
}
