package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Encode writes a Go value as a YAML document in block style. Its fields are named and left out as
// their json tags have it, and empty structs are left out, too.
//
// It encodes only what is set. encoding/json would first build encoders for every type that a
// PersistentVolume can hold, and go-yaml's encoder reserves 128 KiB each time. Either costs more
// than the rest of a small run (make bench). An error means a type that JSON lacks; the text ends
// with a line break.
func Encode(value any) ([]byte, error) {
	n, err := toNode(value)
	if err != nil {
		return nil, err
	}
	apiVersionFirst(n)
	var out bytes.Buffer
	writeBlock(n, 0, 0, &out)
	return out.Bytes(), nil
}

// EncodeJSON writes a Go value as JSON, on one line that ends with a line break. Its fields are those
// of [Encode].
func EncodeJSON(value any) ([]byte, error) {
	n, err := toNode(value)
	if err != nil {
		return nil, err
	}
	apiVersionFirst(n)
	var out bytes.Buffer
	writeJSON(n, &out)
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// apiVersionFirst swaps the first two fields of a Kubernetes object: its Go type has kind first,
// people write apiVersion first.
func apiVersionFirst(n *node) {
	if c := n.Content; len(c) > 3 && c[0].Value == "kind" && c[2].Value == "apiVersion" {
		c[0], c[1], c[2], c[3] = c[2], c[3], c[0], c[1]
	}
}

// toNode turns a Go value into a node. The node has no positions, because it was not parsed.
func toNode(value any) (*node, error) {
	return reflectNode(reflect.ValueOf(value))
}

var marshaler = reflect.TypeFor[json.Marshaler]()

// reflectNode turns a reflected value into a node. It returns an error for kinds that JSON lacks,
// such as a channel.
func reflectNode(v reflect.Value) (*node, error) {
	if !v.IsValid() {
		return scalarNode(nullTag, "null"), nil
	}
	if v.Type() == reflect.TypeFor[json.Number]() {
		return scalarNode(plainTag(v.String()), v.String()), nil
	}
	if v.Kind() != reflect.Pointer && v.Kind() != reflect.Interface && v.Type().Implements(marshaler) {
		return marshalNode(v.Interface().(json.Marshaler))
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		return reflectNode(v.Elem())
	case reflect.Struct:
		return structNode(v)
	case reflect.Map:
		return mapNode(v)
	case reflect.Slice, reflect.Array:
		return sliceNode(v)
	case reflect.String:
		return stringNode(v.String()), nil
	case reflect.Bool:
		return scalarNode(boolTag, strconv.FormatBool(v.Bool())), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return scalarNode(numberTag, strconv.FormatInt(v.Int(), 10)), nil
	case reflect.Float32, reflect.Float64:
		return scalarNode(numberTag, strconv.FormatFloat(v.Float(), 'g', -1, 64)), nil
	default:
		return nil, fmt.Errorf("cannot write a %s as YAML", v.Type())
	}
}

// marshalNode turns a value that marshals itself into a node, such as resource.Quantity.
func marshalNode(m json.Marshaler) (*node, error) {
	text, err := m.MarshalJSON()
	if err != nil {
		return nil, err
	}
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		return nil, err
	}
	return toNode(value)
}

// structNode turns a struct into a mapping, by its json tags: name, "-" and inline. Empty fields
// are left out, whether or not the tag has omitempty.
func structNode(v reflect.Value) (*node, error) {
	n := &node{Kind: aMapping}
	for i := range v.NumField() {
		if isEmpty(v.Field(i)) { // nearly all of the sources of a volume
			continue
		}
		field := v.Type().Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if !field.IsExported() || name == "-" {
			continue
		}
		child, err := reflectNode(v.Field(i))
		if err != nil {
			return nil, err
		}
		if name == "" || strings.Contains(options, "inline") {
			n.Content = append(n.Content, child.Content...)
			continue
		}
		if child.Kind == aMapping && len(child.Content) == 0 {
			continue
		}
		n.Content = append(n.Content, stringNode(name), child)
	}
	return n, nil
}

// isEmpty reports whether a field is left out. A pointer to a zero value is set, so it is not
// empty.
func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	default:
		return v.IsZero()
	}
}

// mapNode turns a map with text keys into a mapping, sorted by key, so that the output is the
// same each time.
func mapNode(v reflect.Value) (*node, error) {
	n := &node{Kind: aMapping}
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int {
		return strings.Compare(a.String(), b.String())
	})
	for _, key := range keys {
		child, err := reflectNode(v.MapIndex(key))
		if err != nil {
			return nil, err
		}
		n.Content = append(n.Content, stringNode(key.String()), child)
	}
	return n, nil
}

// sliceNode turns a slice or an array into a list.
func sliceNode(v reflect.Value) (*node, error) {
	n := &node{Kind: aSequence}
	for i := range v.Len() {
		child, err := reflectNode(v.Index(i))
		if err != nil {
			return nil, err
		}
		n.Content = append(n.Content, child)
	}
	return n, nil
}

// scalarNode returns a scalar with the tag of its type.
func scalarNode(tag tag, value string) *node {
	return &node{Kind: aScalar, Tag: tag, Value: value}
}

// stringNode returns a string that is plain where no decoder of YAML 1.1 or 1.2 could read
// something else, and quoted otherwise. Thus every decoder reads the same string.
func stringNode(s string) *node {
	n := scalarNode(stringTag, s)
	if !isPlain(s) {
		n.Style = doubleQuotedStyle
	}
	return n
}

// yaml11Words are read as booleans or null by decoders of YAML 1.1, which Helm uses.
// Source: yaml.org/type/bool.html.
var yaml11Words = []string{"y", "n", "yes", "no", "on", "off", "true", "false", "null"}

// isPlain reports whether a string needs no quotes. It is stricter than YAML: when in doubt,
// quotes do no harm.
func isPlain(s string) bool {
	if s == "" || slices.Contains(yaml11Words, strings.ToLower(s)) {
		return false
	}
	first := s[0]
	if !isLetter(first) && first != '/' && !isQuantity(s) {
		return false
	}
	for i := range len(s) {
		c := s[i]
		isDigit := c >= '0' && c <= '9'
		if !isLetter(c) && !isDigit && !strings.ContainsRune("-_./", rune(c)) {
			return false
		}
	}
	return true
}

// isLetter is for ASCII: other letters get quotes.
func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// isQuantity reports whether a string is a number with a binary suffix, such as 100Gi, which no
// decoder reads as a number.
func isQuantity(s string) bool {
	digits := strings.TrimRight(s, "KMGTPEi")
	hasSuffix := len(s) == len(digits)+2 && s[len(s)-1] == 'i'
	return len(digits) > 0 && hasSuffix && strings.Trim(digits, "0123456789") == ""
}

// writeBlock writes a mapping or a list in block style, indented by so many columns. Lists that are
// values of its own keys stand listIndent columns to the right of them.
func writeBlock(n *node, indent, listIndent int, out *bytes.Buffer) {
	margin := strings.Repeat(" ", indent)
	if n.Kind == aSequence {
		for _, item := range n.Content {
			out.WriteString(margin + "- ")
			writeItem(item, indent+2, out)
		}
		return
	}
	for i := 0; i < len(n.Content); i += 2 {
		out.WriteString(margin)
		writeKey(n.Content[i], n.Content[i+1], indent, listIndent, out)
	}
}

// writeKey writes a key and its value behind the margin.
func writeKey(key, value *node, indent, listIndent int, out *bytes.Buffer) {
	writeScalar(key, out)
	out.WriteByte(':')
	switch {
	case value.Kind == aScalar || len(value.Content) == 0:
		out.WriteByte(' ')
		writeScalar(value, out)
		out.WriteByte('\n')
	case value.Kind == aMapping:
		out.WriteByte('\n')
		writeBlock(value, indent+2, 0, out)
	default:
		out.WriteByte('\n')
		writeBlock(value, indent+listIndent, 0, out)
	}
}

// writeItem writes an item behind its dash.
func writeItem(item *node, indent int, out *bytes.Buffer) {
	if item.Kind != aMapping || len(item.Content) == 0 {
		writeScalar(item, out)
		out.WriteByte('\n')
		return
	}
	for i := 0; i < len(item.Content); i += 2 {
		if i > 0 {
			out.WriteString(strings.Repeat(" ", indent))
		}
		writeKey(item.Content[i], item.Content[i+1], indent, 0, out)
	}
}

// writeScalar writes a scalar in its style, plain or quoted, and every other node in flow style.
func writeScalar(n *node, out *bytes.Buffer) {
	if n.Kind == aScalar && n.Style == 0 {
		out.WriteString(n.Value)
		return
	}
	writeJSON(n, out)
}

// writeJSON writes a node as JSON, which is YAML's flow style.
func writeJSON(n *node, out *bytes.Buffer) {
	switch n.Kind {
	case aMapping:
		out.WriteByte('{')
		writeElements(n, out)
		out.WriteByte('}')
	case aSequence:
		out.WriteByte('[')
		writeElements(n, out)
		out.WriteByte(']')
	default:
		if n.Tag == stringTag {
			writeQuoted(n.Value, out)
			return
		}
		out.WriteString(n.Value)
	}
}

// writeElements writes what stands between the brackets of a list or a mapping in flow style.
func writeElements(collection *node, out *bytes.Buffer) {
	n := step(collection)
	for i := 0; i < len(collection.Content); i += n {
		if i > 0 {
			out.WriteString(", ")
		}
		writeJSON(collection.Content[i], out)
		if n == 2 {
			out.WriteString(": ")
			writeJSON(collection.Content[i+1], out)
		}
	}
}

// step is how many nodes an element of a collection has: an item one, a key and its value two.
func step(collection *node) int {
	if collection.Kind == aMapping {
		return 2
	}
	return 1
}

// writeQuoted writes a string in double quotes, as JSON and YAML both read it. It escapes
// characters that JSON allows but YAML does not allow or reads as line breaks.
func writeQuoted(s string, out *bytes.Buffer) {
	quoted, _ := json.Marshal(s) // encoding a string does not fail
	for _, c := range string(quoted) {
		if c == 0x7f || (c >= 0x80 && c < 0xa0) || c == 0xfeff {
			fmt.Fprintf(out, `\u%04x`, c)
			continue
		}
		out.WriteRune(c)
	}
}
