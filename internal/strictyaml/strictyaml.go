// Package strictyaml reads one YAML document into a Go value, and reports every mistake with its
// line and its field.
//
// Unknown and repeated fields, a second document, and values that JSON does not have are
// mistakes. The fields are those of the JSON tags of the Go type. Messages are for the person who
// wrote the file: they name fields as the file does, and no Go type.
package strictyaml

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	kjson "sigs.k8s.io/json"
)

// ErrEmpty is the error for a text without a document.
var ErrEmpty = errors.New("the file is empty")

// Document is a document that was read. It finds the places of its fields. Later checks of the
// value, such as validation, use it to give their messages a line.
type Document struct{ root *yaml.Node }

// Read reads a document into a value. The kind is the name of the document in messages.
//
// The document is nil on errors, but for one: where the type of a field refuses its text, such as
// a quantity, its error has no place. The caller finds the place by [Document.Value]. Into is a
// pointer to a struct and may be filled in part when an error is returned. Names of fields are
// compared exactly. Source: sigs.k8s.io/json, UnmarshalStrict.
func Read(data []byte, kind string, into any) (*Document, error) {
	root, err := parse(data, kind)
	if err != nil {
		return nil, err
	}
	asJSON, err := toJSON(root)
	if err != nil {
		return nil, err
	}
	unknown, err := kjson.UnmarshalStrict(asJSON, into)
	d := &Document{root: root}
	switch wrong, isType := errors.AsType[*json.UnmarshalTypeError](err); {
	case isType:
		return nil, d.typeError(asJSON, wrong)
	case err != nil:
		return d, err
	case len(unknown) > 0:
		return nil, d.unknownFields(unknown)
	}
	return d, nil
}

// Line returns the line of a field path such as name.list[3].key, or of the nearest parent that
// is there. The line is counted from 1. For an empty path it is the line of the root.
func (d *Document) Line(path string) int {
	n := d.root
	line := n.Line
	for _, step := range steps(path) {
		if n = childOf(n, step); n == nil {
			break
		}
		line = n.Line
	}
	return line
}

// Value returns the text and the line of a field. The text of a list or a mapping is empty. The
// text is without quotes, and aliases are not followed.
func (d *Document) Value(path string) (text string, line int, found bool) {
	n := d.root
	for _, step := range steps(path) {
		if n = childOf(n, step); n == nil {
			return "", 0, false
		}
	}
	return n.Value, n.Line, true
}

// IsText reports whether a field is there and is text. Aliases are not followed.
func (d *Document) IsText(path string) bool { return d.tag(path) == "!!str" }

// IsList reports whether a field is there and is a list.
func (d *Document) IsList(path string) bool { return d.tag(path) == "!!seq" }

// tag is the short YAML tag of a field, or "" where it is not there.
func (d *Document) tag(path string) string {
	n := d.root
	for _, step := range steps(path) {
		if n = childOf(n, step); n == nil {
			return ""
		}
	}
	return n.ShortTag()
}

// parse returns the root of the one document of a text. It refuses a text with more documents
// than one, unless the others are empty: they would be ignored otherwise. Kind names the document
// in messages. The error of the parser has the line.
func parse(data []byte, kind string) (*yaml.Node, error) {
	var document, second yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		return nil, fmt.Errorf("not a YAML document: %s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if len(document.Content) == 0 {
		return nil, ErrEmpty
	}
	root := document.Content[0]
	if root.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("line %d: a %s is a mapping of fields", root.Line, kind)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	if decoder.Decode(&document) == nil && decoder.Decode(&second) == nil && second.Content[0].ShortTag() != "!!null" {
		return nil, fmt.Errorf("line %d: a second document: a file holds one %s", second.Content[0].Line, kind)
	}
	return root, plain(root)
}

// toJSON returns a document as JSON. The detour keeps one reader of field names: the JSON tags,
// which Kubernetes types have.
func toJSON(root *yaml.Node) ([]byte, error) {
	var content any
	if err := root.Decode(&content); err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	asJSON, err := json.Marshal(content)
	if err != nil {
		return nil, fmt.Errorf("line %d: %w", root.Line, err)
	}
	return asJSON, nil
}

// plain refuses values that JSON does not have. It retains the text of a date, which YAML would
// write in another form. It is called for every node of the document, and changes the tag of a
// date in place. JSON has neither infinity nor NaN, and its keys are text.
func plain(n *yaml.Node) error {
	switch tag := n.ShortTag(); {
	case tag == "!!timestamp":
		n.Tag = "!!str"
	case tag == "!!float" && strings.ContainsAny(n.Value, "iInN"):
		return fmt.Errorf("line %d: %s is not a number that can be used here", n.Line, n.Value)
	}
	for i, child := range n.Content {
		isKey := n.Kind == yaml.MappingNode && i%2 == 0
		if err := plain(child); err != nil {
			return err
		}
		if tag := child.ShortTag(); isKey && tag != "!!str" && tag != "!!merge" {
			return fmt.Errorf("line %d: the name of a field must be text, which %q is not", child.Line, child.Value)
		}
	}
	return nil
}

// typeError is the error for a value of the wrong type, with its line. The decoder returns an
// offset in the JSON text; the field path leads from there to the line of the YAML text.
func (d *Document) typeError(asJSON []byte, wrong *json.UnmarshalTypeError) error {
	path := pathAt(asJSON, wrong.Offset)
	found, _, _ := strings.Cut(wrong.Value, " ")
	return fmt.Errorf("line %d: %s: expected %s, not %s",
		d.Line(path), path, typeNames[wrong.Type.Kind()], valueNames[found])
}

// typeNames and valueNames are the names of Go types and of JSON values, for people.
var (
	typeNames = map[reflect.Kind]string{
		reflect.Bool: "true or false", reflect.Int64: "a whole number", reflect.String: "text (put it in quotes)",
		reflect.Slice: "a list", reflect.Map: "a mapping", reflect.Struct: "a mapping",
	}
	valueNames = map[string]string{
		"bool": "true or false", "number": "a number", "string": "text", "array": "a list", "object": "a mapping",
	}
)

// unknownFields is the error for fields that the type does not have, each with its line. It joins
// them in the order in which the decoder found them. Repeated fields are among them.
func (d *Document) unknownFields(unknown []error) error {
	problems := make([]error, len(unknown))
	for i, err := range unknown {
		problems[i] = err
		if at, ok := errors.AsType[kjson.FieldError](err); ok {
			problems[i] = fmt.Errorf("line %d: %w", d.Line(at.FieldPath()), err)
		}
	}
	return errors.Join(problems...)
}

// pathAt returns the field path of the value that ends, or for a list or mapping begins, at an
// offset of JSON. It is empty for a text that is not JSON. Reading token by token again is slow,
// but happens for an error only.
func pathAt(asJSON []byte, offset int64) string {
	type level struct {
		list, isValue bool
		index         int
		key           string
	}
	levels := []level{}
	decoder := json.NewDecoder(bytes.NewReader(asJSON))
	for {
		token, err := decoder.Token()
		if err != nil {
			return ""
		}
		delim, _ := token.(json.Delim)
		if delim == ']' || delim == '}' {
			levels = levels[:len(levels)-1]
			continue
		}
		if n := len(levels) - 1; n >= 0 {
			in := &levels[n]
			in.index++
			in.isValue = in.list || !in.isValue
			if !in.isValue {
				in.key, _ = token.(string)
				continue
			}
		}
		if decoder.InputOffset() >= offset {
			break
		}
		if delim != 0 {
			levels = append(levels, level{list: delim == '[', isValue: true, index: -1})
		}
	}
	var path strings.Builder
	for _, in := range levels {
		if in.list {
			fmt.Fprintf(&path, "[%d]", in.index)
		} else {
			path.WriteString("." + in.key)
		}
	}
	return strings.TrimPrefix(path.String(), ".")
}

// steps splits a field path such as name.list[3].map[key]. Indexes and keys are steps alike; the
// node that a step is applied to decides which it is.
func steps(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return strings.ContainsRune(".[]", r) })
}

// childOf returns the value of a mapping's key or an item of a sequence. It is nil without such a
// child. The line of a key's value is that of the key, where people look for a field; the copy
// leaves the document unchanged.
func childOf(n *yaml.Node, step string) *yaml.Node {
	if n.Kind == yaml.SequenceNode {
		if i, err := strconv.Atoi(step); err == nil && i < len(n.Content) {
			return n.Content[i]
		}
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == step {
			value := *n.Content[i+1]
			value.Line = n.Content[i].Line
			return &value
		}
	}
	return nil
}
