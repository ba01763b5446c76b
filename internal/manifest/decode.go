package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxAliased bounds how many values aliases may stand for, far more than an object that the API server takes can hold.
const maxAliased = 100_000

// Tree is a decoded document together with its text.
type Tree struct {
	body  []byte
	root  *yaml.Node
	lines []int
	ascii bool
	value any
}

// Decode parses the body of one document. Errors say the line and what is wrong with it, never a word of the text.
func Decode(body []byte) (*Tree, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(body, &document); err != nil {
		return nil, sanitize(err)
	}
	t := &Tree{body: body}
	if len(document.Content) == 0 {
		return t, nil
	}
	t.root = document.Content[0]
	value, err := newExpander().expand(t.root)
	if err != nil {
		return nil, err
	}
	t.value = value
	return t, nil
}

// Value returns the decoded document: map[string]any, []any, string, bool, [json.Number] or nil. Numbers keep their text.
// Aliases and merge keys are expanded; of repeated keys the last one counts, as it does for Helm.
func (t *Tree) Value() any { return t.value }

// sanitize keeps what go-yaml says about the place and the kind of a syntax error, and drops the name of an anchor, the
// one thing that its parser quotes from the text: documents hold secrets.
func sanitize(err error) error {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	if before, _, quotes := strings.Cut(message, " anchor '"); quotes {
		message = before + " anchor"
	}
	return errors.New(message)
}

// expander turns nodes into values.
type expander struct {
	// aliased counts the values that were read through aliases.
	aliased int
	// open are the aliases that are being expanded.
	open map[*yaml.Node]bool
}

func newExpander() *expander { return &expander{open: map[*yaml.Node]bool{}} }

func (e *expander) expand(n *yaml.Node) (any, error) {
	if len(e.open) > 0 {
		e.aliased++
	}
	if e.aliased > maxAliased {
		return nil, fmt.Errorf("line %d: aliases stand for more than %d values", n.Line, maxAliased)
	}
	switch n.Kind {
	case yaml.AliasNode:
		return e.alias(n)
	case yaml.MappingNode:
		return e.mapping(n)
	case yaml.SequenceNode:
		return e.sequence(n)
	default:
		return scalar(n), nil
	}
}

func (e *expander) alias(n *yaml.Node) (any, error) {
	if e.open[n.Alias] {
		return nil, fmt.Errorf("line %d: an alias contains itself", n.Line)
	}
	e.open[n.Alias] = true
	defer delete(e.open, n.Alias)
	return e.expand(n.Alias)
}

func (e *expander) sequence(n *yaml.Node) (any, error) {
	list := make([]any, len(n.Content))
	for i, item := range n.Content {
		value, err := e.expand(item)
		if err != nil {
			return nil, err
		}
		list[i] = value
	}
	return list, nil
}

func (e *expander) mapping(n *yaml.Node) (any, error) {
	m := make(map[string]any, len(n.Content)/2)
	for i := 0; i < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind != yaml.ScalarNode {
			return nil, fmt.Errorf("line %d: a key is no plain text", key.Line)
		}
		value, err := e.expand(n.Content[i+1])
		if err != nil {
			return nil, err
		}
		if !isMerge(key) {
			m[key.Value] = value
			continue
		}
		if err := mergeInto(m, value); err != nil {
			return nil, fmt.Errorf("line %d: %w", key.Line, err)
		}
	}
	return m, nil
}

// mergeInto puts the keys of a merge key's value in front of those that follow. Decoders disagree about a merge key behind
// a key that it would set again (go-yaml v2, which Helm uses, lets the merge win; the others do not), so that is refused.
func mergeInto(m map[string]any, value any) error {
	list, isList := value.([]any)
	if !isList {
		list = []any{value}
	}
	merged := map[string]any{}
	for _, item := range slices.Backward(list) {
		source, ok := item.(map[string]any)
		if !ok {
			return errors.New("a merge key needs a mapping")
		}
		maps.Copy(merged, source)
	}
	for key, v := range merged {
		if _, taken := m[key]; taken {
			return errors.New("a merge key stands behind a key that it sets again: move it to the front")
		}
		m[key] = v
	}
	return nil
}

// isMerge reports whether a key is the merge key <<. Source: yaml.org/type/merge.html.
func isMerge(key *yaml.Node) bool { return key.Value == "<<" && key.ShortTag() == "!!merge" }

// scalar reads a scalar by its resolved tag.
func scalar(n *yaml.Node) any {
	switch n.ShortTag() {
	case "!!null":
		return nil
	case "!!bool":
		return strings.EqualFold(n.Value, "true")
	case "!!int", "!!float":
		return json.Number(n.Value)
	}
	if value, isBool := yaml11Bools[n.Value]; isBool && n.Style == 0 {
		return value
	}
	return n.Value
}

// yaml11Bools are booleans when they stand plain, as Helm reads them. Source: go-yaml v2, resolve.go.
var yaml11Bools = map[string]bool{
	"y": true, "Y": true, "yes": true, "Yes": true, "YES": true, "on": true, "On": true, "ON": true,
	"n": false, "N": false, "no": false, "No": false, "NO": false, "off": false, "Off": false, "OFF": false,
}

// find returns the node at the tokens of a JSON pointer, through aliases and merge keys, or nil.
func (t *Tree) find(tokens []string) *yaml.Node {
	n := t.root
	for _, token := range tokens {
		if n = child(n, token); n == nil {
			return nil
		}
	}
	return follow(n)
}

// follow returns what an alias stands for.
func follow(n *yaml.Node) *yaml.Node {
	for n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// child returns an item of a sequence, or the value of a key: the last of repeated keys, else a merged one.
func child(n *yaml.Node, token string) *yaml.Node {
	n = follow(n)
	if n == nil {
		return nil
	}
	if n.Kind == yaml.SequenceNode {
		if i, ok := index(token); ok && i < len(n.Content) {
			return n.Content[i]
		}
		return nil
	}
	_, value := entry(n, token)
	return value
}

// entry returns a mapping's key and value by name.
func entry(n *yaml.Node, name string) (key, value *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := len(n.Content) - 2; i >= 0; i -= 2 {
		if n.Content[i].Value == name && !isMerge(n.Content[i]) {
			return n.Content[i], n.Content[i+1]
		}
	}
	for i := 0; i < len(n.Content); i += 2 {
		if !isMerge(n.Content[i]) {
			continue
		}
		for _, source := range mergeSources(n.Content[i+1]) {
			if key, value := entry(source, name); value != nil {
				return key, value
			}
		}
	}
	return nil, nil
}

func mergeSources(n *yaml.Node) []*yaml.Node {
	n = follow(n)
	if n.Kind != yaml.SequenceNode {
		return []*yaml.Node{n}
	}
	sources := make([]*yaml.Node, len(n.Content))
	for i, item := range n.Content {
		sources[i] = follow(item)
	}
	return sources
}
