package main

import "github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"

// configSchemaFile is the schema of a StorageConfig file, from the repository's root. Editors read
// it, where a file names it by a line "# yaml-language-server: $schema=PATH".
const configSchemaFile = "schema/storageconfig.schema.json"

// makeConfigSchema returns the schema of a StorageConfig file, of the same definitions as the
// chart's. A file needs its apiVersion and kind, which the chart adds to its values. It fails if the
// schema is invalid. The reference stands in an allOf, because draft-07 ignores what is beside it.
func makeConfigSchema() ([]byte, error) {
	definitions, err := makeDefinitions()
	if err != nil {
		return nil, err
	}
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
