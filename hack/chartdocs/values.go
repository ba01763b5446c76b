package main

import (
	"errors"
	"fmt"
	"maps"
	"strings"

	"go.yaml.in/yaml/v3"
)

// The directives in the comments of values.yaml.
const (
	// directiveSection begins a section of the README's tables; it holds until the next one.
	directiveSection = "+docs:section="
	// directiveSchema adds to the schema that follows from the default, in YAML's flow style.
	directiveSchema = "+docs:schema="
)

// value is one key of values.yaml. It is read once from values.yaml, and then serves the schema and
// the README, so that the two cannot differ.
type value struct {
	// path is the key with those above it: image.tag.
	path string
	// section is the README's section that the key begins, or empty.
	section string
	// text is that of the comment, without directives.
	text string
	// schema is that of the default, with what the directive adds.
	schema map[string]any
	// ref is the definition that stands for the schema, or empty.
	ref string
	// defaultValue is the default.
	defaultValue any
	// children are the keys below, in their order.
	children []*value
}

// parseValues reads values.yaml. Every key must have a comment, and a type: of its default or in
// its schema. Errors have the line of the file.
func parseValues(text []byte) ([]*value, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, err
	}
	if len(document.Content) == 0 {
		return nil, errors.New("there are no values")
	}
	return parseKeys(document.Content[0], "")
}

// parseKeys reads the keys of a mapping in their order. The prefix is the path of the mapping, with
// a dot behind it.
func parseKeys(mapping *yaml.Node, prefix string) ([]*value, error) {
	var values []*value
	for i := 0; i < len(mapping.Content); i += 2 {
		v, err := parseKey(mapping.Content[i], mapping.Content[i+1], prefix)
		if err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	return values, nil
}

// parseKey reads one key with its comment, and the keys below it. A $ref in the directive stands
// for the whole schema: keys below it are not described. Other keys of the directive are added to
// the inferred schema, and win; its properties are added to those of the keys below.
func parseKey(key, node *yaml.Node, prefix string) (*value, error) {
	v := &value{path: prefix + key.Value}
	if err := node.Decode(&v.defaultValue); err != nil {
		return nil, fmt.Errorf("line %d: %s: %w", node.Line, v.path, err)
	}
	added, err := v.readComment(key.HeadComment)
	if err != nil {
		return nil, fmt.Errorf("line %d: %s: %w", key.Line, v.path, err)
	}
	if v.text == "" {
		return nil, fmt.Errorf("line %d: %s: write a comment above it: what it is for", key.Line, v.path)
	}
	if node.Kind == yaml.MappingNode {
		if v.children, err = parseKeys(node, v.path+"."); err != nil {
			return nil, err
		}
	}
	if v.ref, _ = added["$ref"].(string); v.ref != "" {
		v.schema = described(added, v.text)
		return v, nil
	}
	v.schema = v.inferred(node)
	if more, ok := added["properties"].(map[string]any); ok { // keys without a default
		maps.Copy(more, properties(v.children))
	}
	maps.Copy(v.schema, added)
	if v.schema["type"] == nil {
		return nil, fmt.Errorf("line %d: %s: its default has no type: add # %s{type: …}", key.Line, v.path, directiveSchema)
	}
	return v, nil
}

// readComment takes the comment apart and returns what the directive adds to the schema. A
// directive holds for one line. Its text does not get into the README.
func (v *value) readComment(comment string) (map[string]any, error) {
	added := map[string]any{}
	var sentences []string
	for line := range strings.Lines(comment) {
		line = strings.TrimSpace(strings.TrimLeft(line, "# "))
		if section, ok := strings.CutPrefix(line, directiveSection); ok {
			v.section = section
			continue
		}
		schema, ok := strings.CutPrefix(line, directiveSchema)
		if !ok {
			sentences = append(sentences, line)
			continue
		}
		if err := yaml.Unmarshal([]byte(schema), &added); err != nil {
			return nil, fmt.Errorf("%s: %w", directiveSchema, err)
		}
	}
	v.text = strings.TrimSpace(strings.Join(sentences, " "))
	return added, nil
}

// inferred is the schema that follows from the default. A mapping takes its own keys and no others;
// an empty list or mapping holds what the directive allows. A default without a type, such as null,
// has none in the schema either: the directive must name it.
func (v *value) inferred(node *yaml.Node) map[string]any {
	schema := map[string]any{"description": v.text}
	if v.children == nil {
		schema["default"] = v.defaultValue
	}
	switch {
	case node.Kind == yaml.MappingNode:
		schema["type"] = "object"
		if len(v.children) > 0 {
			schema["additionalProperties"] = false
			schema["properties"] = properties(v.children)
		}
	case node.Kind == yaml.SequenceNode:
		schema["type"] = "array"
	case jsonTypes[node.ShortTag()] != "":
		schema["type"] = jsonTypes[node.ShortTag()]
	}
	return schema
}

// jsonTypes are the types of JSON Schema by the tags of YAML.
// Source: YAML 1.2, 10.2 JSON Schema.
var jsonTypes = map[string]string{"!!str": "string", "!!bool": "boolean", "!!int": "integer", "!!float": "number"}

// properties are the schemas of values by their last name. The last name is the part of the path
// behind the last dot.
func properties(values []*value) map[string]any {
	all := map[string]any{}
	for _, v := range values {
		name := v.path[strings.LastIndex(v.path, ".")+1:]
		all[name] = v.schema
	}
	return all
}
