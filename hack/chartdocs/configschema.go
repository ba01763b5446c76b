package main

import (
	"maps"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// configSchemaFile is the schema of a StorageConfig file, from the repository's root. Editors read
// it, where a file names it by a line "# yaml-language-server: $schema=PATH".
const configSchemaFile = "schema/storageconfig.schema.json"

// sizeSchema is what editors check of a size in addition to its type: that it has 1Mi at least, and so
// most likely its unit. Helm does not show the sentence of a schema, so the chart's templates refuse
// such sizes.
// Source: vscode-json-languageservice, JSONSchema.patternErrorMessage.
var sizeSchema = map[string]any{
	"minimum": 1 << 20,
	"pattern": `^\+?([0-9]*\.?[0-9]*([MGTPE]i?|[eE]\+?[0-9]+)|[0-9]{4,}(\.[0-9]*)?(k|Ki)|[0-9]{7,}(\.[0-9]*)?)$`,

	"patternErrorMessage": "A claim has 1Mi at least: write the unit, such as 100Gi.",
}

// makeConfigSchema returns the schema of a StorageConfig file, of the same definitions as the
// chart's. A file needs its apiVersion and kind, which the chart adds to its values. It fails if the
// schema is invalid. The reference stands in an allOf, because draft-07 ignores what is beside it.
func makeConfigSchema() ([]byte, error) {
	definitions, err := makeDefinitions()
	if err != nil {
		return nil, err
	}
	definition := func(schemas map[string]any, name string) map[string]any {
		schema, _ := schemas[name].(map[string]any)
		return schema
	}
	maps.Copy(definition(definition(definition(definitions, "Claim"), "properties"), "size"), sizeSchema)
	text, err := marshal(map[string]any{
		"$schema":     draft,
		"title":       storage.ConfigKind,
		"allOf":       []any{map[string]any{"$ref": "#/definitions/Config"}},
		"required":    []string{"apiVersion", "kind", "profiles"},
		"definitions": definitions,
	})
	if err != nil {
		return nil, err
	}
	_, err = compile(text)
	return text, err
}
