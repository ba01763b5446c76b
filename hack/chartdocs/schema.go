package main

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// draft is the newest one that every Helm 3 reads.
const draft = "http://json-schema.org/draft-07/schema#"

// makeSchema returns values.schema.json, which refuses every key that values.yaml does not have. It
// fails if the schema is invalid or refuses the defaults. Helm validates the values of each
// install, upgrade, lint and template against it. So a misspelt key fails with its name.
// Source: Helm, Charts, "Schema Files".
func makeSchema(values []*value) ([]byte, error) {
	definitions, err := makeDefinitions()
	if err != nil {
		return nil, err
	}
	keys := properties(values)
	schema := map[string]any{
		"$schema":              draft,
		"title":                "Values of the chart pipeline-storage",
		"type":                 "object",
		"additionalProperties": false,
		"properties":           keys,
		"definitions":          definitions,
	}
	text, err := marshal(schema)
	if err != nil {
		return nil, err
	}
	return text, checkDefaults(text, values)
}

// marshal keeps < and > readable. json.Marshal would write them as escapes, which people who read
// the schema cannot read. The text ends with a line break.
func marshal(content any) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(content)
	return text.Bytes(), err
}

// checkDefaults checks the schema, and that the defaults meet it. A schema that refuses the chart's
// own defaults would make the chart impossible to install. The defaults take a way through JSON, as
// Helm's do.
func checkDefaults(text []byte, values []*value) error {
	compiled, err := compile(text)
	if err != nil {
		return err
	}
	defaults := map[string]any{}
	for _, v := range values {
		defaults[v.path] = v.defaultValue
	}
	asJSON, err := json.Marshal(defaults)
	if err != nil {
		return err
	}
	instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		return err
	}
	if err := compiled.Validate(instance); err != nil {
		return fmt.Errorf("the defaults do not meet their own schema: %w", err)
	}
	return nil
}

// compile returns the compiled schema, or an error where it is invalid. The name of the resource
// stands in its errors only.
func compile(text []byte) (*jsonschema.Schema, error) {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	const name = "values.schema.json"
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource(name, document); err != nil {
		return nil, err
	}
	return compiler.Compile(name)
}
