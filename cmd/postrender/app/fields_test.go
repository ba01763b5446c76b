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
	"apiVersion":                                  "flags have no version",
	"kind":                                        "flags have no kind",
	"metadata":                                    "it is for kustomize",
	"profiles[].name":                             "flags set the fields of the only profile, whatever its name",
	"profiles[].default":                          "there is only one profile; --profile chooses among several",
	"profiles[].namespaceSelector":                "it is for admission",
	"profiles[].claim.create":                     "--create lists the objects",
	"profiles[].storageClass.create":              "--create lists the objects",
	"profiles[].volume.create":                    "--create lists the objects",
	"profiles[].attributesClass.create":           "--create lists the objects",
	"profiles[].snapshotClass.create":             "--create lists the objects",
	"profiles[].volume.nodeStageSecret.name":      "--volume-node-stage-secret has both of its fields",
	"profiles[].volume.nodeStageSecret.namespace": "--volume-node-stage-secret has both of its fields",
}

// TestEveryFieldHasAFlag walks the types of the configuration. A new field needs a row in fieldFlags or in
// withoutFlag.
func TestEveryFieldHasAFlag(t *testing.T) {
	fields := injecttest.FieldPaths(reflect.TypeFor[storage.Config]())
	flags := map[string]bool{}
	for _, f := range fieldFlags {
		flags["profiles[]."+f.path] = true
		assert.Contains(t, fieldSections, f.section, "--%s would be no flag at all", f.name)
		isField := func(field string) bool { return strings.HasPrefix(field+".", "profiles[]."+f.path+".") }
		assert.True(
			t,
			f.name == "create" || slices.ContainsFunc(fields, isField),
			"--%s sets the unknown field %s",
			f.name,
			f.path,
		)
	}
	for _, field := range fields {
		isRow := strings.HasPrefix(field, "kinds[].") // rows are for files: a flag cannot hold one
		assert.True(
			t,
			isRow || flags[field] != (withoutFlag[field] != ""),
			"%s needs a flag, or a reason to have none",
			field,
		)
	}
	for field := range withoutFlag {
		assert.Contains(t, fields, field)
	}
}
