package storage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"
	kjson "sigs.k8s.io/json"
)

// Load reads a configuration file, lets the overrides change it, sets its defaults and validates it.
// Unknown and repeated fields are errors. Every problem is returned with its line. The warnings are for
// people.
func Load(data []byte, overrides ...func(*Config) error) (*Config, []string, error) {
	c, root, err := parse(data)
	if err != nil {
		return nil, nil, err
	}
	warnings, problems, err := c.complete(overrides)
	if err != nil {
		return nil, nil, err
	}
	if len(problems) > 0 {
		return nil, nil, withLines(root, problems)
	}
	return c, warnings, nil
}

// LoadForAdmission reads a configuration file as [Load] does. It refuses names that only a release could
// complete, those with {release}, and a volume that has no namespace and is not shared.
func LoadForAdmission(data []byte) (*Config, []string, error) {
	c, root, err := parse(data)
	if err != nil {
		return nil, nil, err
	}
	warnings, problems, err := c.complete(nil)
	if err != nil {
		return nil, nil, err
	}
	if len(problems) == 0 {
		problems = c.validateAdmission()
	}
	if len(problems) > 0 {
		return nil, nil, withLines(root, problems)
	}
	return c, warnings, nil
}

// New returns a configuration without a file: one profile named default, changed by the overrides, with its defaults,
// validated.
func New(overrides ...func(*Config) error) (*Config, []string, error) {
	c := &Config{APIVersion: APIVersion, Kind: ConfigKind, Profiles: []Profile{{Name: DefaultProfile}}}
	warnings, problems, err := c.complete(overrides)
	if err != nil {
		return nil, nil, err
	}
	return c, warnings, problems.ToAggregate()
}

func (c *Config) complete(overrides []func(*Config) error) ([]string, field.ErrorList, error) {
	for _, override := range overrides {
		if err := override(c); err != nil {
			return nil, nil, err
		}
	}
	return c.SetDefaults(), c.Validate(), nil
}

// parse decodes a file strictly, without defaults.
func parse(data []byte) (*Config, *yaml.Node, error) {
	root, err := parseYAML(data)
	if err != nil {
		return nil, nil, err
	}
	var content any
	if err := root.Decode(&content); err != nil {
		return nil, nil, fmt.Errorf("%s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	asJSON, err := json.Marshal(content)
	if err != nil {
		return nil, nil, fmt.Errorf("line %d: %w", root.Line, err)
	}
	c := &Config{}
	strict, err := kjson.UnmarshalStrict(asJSON, c)
	if err != nil {
		return nil, nil, typeError(root, asJSON, err)
	}
	if len(strict) > 0 {
		return nil, nil, unknownFields(root, strict)
	}
	return c, root, nil
}

// parseYAML returns the root of the one document of a file.
func parseYAML(data []byte) (*yaml.Node, error) {
	var document, second yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		return nil, fmt.Errorf("not a YAML document: %s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if len(document.Content) == 0 {
		return nil, errors.New("the file is empty: it needs at least apiVersion, kind and one profile")
	}
	root := document.Content[0]
	if root.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("line %d: a %s is a mapping of fields", root.Line, ConfigKind)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	if decoder.Decode(&document) == nil && decoder.Decode(&second) == nil && second.Content[0].ShortTag() != "!!null" {
		return nil, fmt.Errorf("line %d: a second document: a file holds one %s", second.Content[0].Line, ConfigKind)
	}
	return root, plain(root)
}

// plain refuses values that JSON does not have. It retains the text of a date, which YAML would write in
// another form.
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

// typeError is the error for a value of the wrong type, with its line.
func typeError(root *yaml.Node, asJSON []byte, err error) error {
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) {
		return sizeError(root, err)
	}
	path := pathAt(asJSON, wrong.Offset)
	found, _, _ := strings.Cut(wrong.Value, " ")
	return fmt.Errorf("line %d: %s: expected %s, not %s",
		lineOf(root, path), path, typeNames[wrong.Type.Kind()], valueNames[found])
}

// typeNames and valueNames are what people call the types of the configuration and the values of JSON.
var (
	typeNames = map[reflect.Kind]string{
		reflect.Bool: "true or false", reflect.Int64: "a whole number", reflect.String: "text (put it in quotes)",
		reflect.Slice: "a list", reflect.Map: "a mapping", reflect.Struct: "a mapping",
	}
	valueNames = map[string]string{
		"bool": "true or false", "number": "a number", "string": "text", "array": "a list", "object": "a mapping",
	}
)

// pathAt returns the field path of the value that ends, or for a list or mapping begins, at an offset of JSON.
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

// sizeError finds the size that is not a quantity: its own error has no place.
func sizeError(root *yaml.Node, err error) error {
	profiles := childOf(root, "profiles")
	for i := 0; profiles != nil && i < len(profiles.Content); i++ {
		path := fmt.Sprintf("profiles[%d].claim.size", i)
		size := nodeAt(root, path)
		if size == nil {
			continue
		}
		if _, bad := resource.ParseQuantity(size.Value); bad != nil {
			return fmt.Errorf("line %d: %s: %q is not a quantity such as 100Gi", size.Line, path, size.Value)
		}
	}
	return err
}

func nodeAt(n *yaml.Node, path string) *yaml.Node {
	for _, step := range strings.FieldsFunc(path, isFieldPunctuation) {
		if n = childOf(n, step); n == nil {
			return nil
		}
	}
	return n
}

func unknownFields(root *yaml.Node, strict []error) error {
	problems := make([]error, len(strict))
	for i, err := range strict {
		problems[i] = err
		if at, ok := errors.AsType[kjson.FieldError](err); ok {
			problems[i] = fmt.Errorf("line %d: %w", lineOf(root, at.FieldPath()), err)
		}
	}
	return errors.Join(problems...)
}

func withLines(root *yaml.Node, list field.ErrorList) error {
	problems := make([]error, len(list))
	for i, err := range list {
		problems[i] = fmt.Errorf("line %d: %w", lineOf(root, err.Field), err)
	}
	return errors.Join(problems...)
}

// lineOf returns the line of a field path, or of the nearest parent that is there.
func lineOf(n *yaml.Node, path string) int {
	line := n.Line
	for _, step := range strings.FieldsFunc(path, isFieldPunctuation) {
		if n = childOf(n, step); n == nil {
			break
		}
		line = n.Line
	}
	return line
}

// isFieldPunctuation splits a field path such as name.list[3].map[key].
func isFieldPunctuation(r rune) bool { return strings.ContainsRune(".[]", r) }

// childOf returns the value of a mapping's key or an item of a sequence.
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
