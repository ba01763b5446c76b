package kinds

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// What stands in a path for every item of a list, and for every value of a map. They are equally
// long.
const (
	anyItem  = "[*]"
	anyValue = "{*}"
)

// rootPrefix begins a path that is followed from the object's root instead of the scope.
const rootPrefix = "$."

// path is a path of a row, parsed. Without steps it is the place where it starts.
type path struct {
	// isAbsent is true where the row has no such path.
	isAbsent bool
	fromRoot bool
	steps    []step
}

// step is one field of a path.
type step struct {
	name string
	// token is the name as a token of a JSON pointer, with the slash in front.
	token string
	// many are the [*] and {*} behind the name.
	many []string
}

// parsePath parses a path that [Kind.Validate] accepts. An empty text is an absent path.
func parsePath(text string) path {
	if text == "" {
		return path{isAbsent: true}
	}
	text, fromRoot := strings.CutPrefix(text, rootPrefix)
	p := path{fromRoot: fromRoot}
	if text == "." {
		return p
	}
	for part := range strings.SplitSeq(text, ".") {
		p.steps = append(p.steps, parseStep(part))
	}
	return p
}

// pointer returns the JSON pointer of a path that goes through no list and no map.
func (p path) pointer() string {
	var pointer strings.Builder
	for i := range p.steps {
		pointer.WriteString(p.steps[i].token)
	}
	return pointer.String()
}

// parsePaths parses paths, in order.
func parsePaths(texts []string) []path {
	paths := make([]path, len(texts))
	for i, text := range texts {
		paths[i] = parsePath(text)
	}
	return paths
}

// parseStep parses one part of a path: a name, with any number of [*] and {*} behind it.
func parseStep(text string) step {
	name := trimAny(text)
	s := step{name: name, token: string(jsontext.Pointer("").AppendToken(name))}
	for many := text[len(name):]; many != ""; many = many[len(anyItem):] { // name[*][*] is a list of lists
		s.many = append(s.many, many[:len(anyItem)])
	}
	return s
}

// place is the path of a field that may be absent, as long as the object that would hold it is
// there.
type place struct {
	parent path
	field  step
}

// parsePlace splits a path into the object that must be there and its field, which may be absent.
func parsePlace(text string) place {
	p := parsePath(text)
	if len(p.steps) == 0 { // the scope has no place in itself
		return place{p, step{name: text, token: "/" + text}}
	}
	last := len(p.steps) - 1
	return place{path{fromRoot: p.fromRoot, steps: p.steps[:last]}, p.steps[last]}
}

// parsePlaces parses places, in order.
func parsePlaces(texts []string) []place {
	places := make([]place, len(texts))
	for i, text := range texts {
		places[i] = parsePlace(text)
	}
	return places
}

// node is a place in a decoded document.
type node struct {
	value   any
	pointer string
	// bound are the items and values that the [*] and {*} of the path led through: indices of lists
	// and keys of maps.
	bound []string
}

// follow returns every place that the steps lead to. The leading [*] and {*} follow the bound items
// and values.
func follow(from node, steps []step, bound []string) []node {
	at := []node{from}
	for i := range steps {
		at = steps[i].from(at)
		for _, which := range steps[i].many {
			var next []node
			for _, n := range at {
				if len(bound) > 0 {
					next = append(next, n.child(which, bound[0])...)
				} else {
					next = append(next, n.children(which)...)
				}
			}
			if len(bound) > 0 {
				bound = bound[1:]
			}
			at = next
		}
	}
	return at
}

// from replaces objects by their fields of that name. An object without the field is left out.
func (s *step) from(objects []node) []node {
	found := objects[:0] // no longer than objects, and behind the one that is read
	for _, n := range objects {
		if child, ok := n.step(s); ok {
			found = append(found, child)
		}
	}
	return found
}

// step returns the field of an object at a step, and whether it is there.
func (n node) step(s *step) (node, bool) {
	m, _ := n.value.(map[string]any)
	value, ok := m[s.name]
	return node{value, n.pointer + s.token, n.bound}, ok
}

// field returns a field whose name needs no escapes in a JSON pointer. Its value is nil where the
// field is absent.
func (n node) field(name string) node {
	m, _ := n.value.(map[string]any)
	return node{m[name], n.pointer + "/" + name, n.bound}
}

// children are the items of a list or the values of a map, the latter in the order of their keys.
func (n node) children(which string) []node {
	if which == anyItem {
		return n.items()
	}
	values, _ := n.value.(map[string]any)
	nodes := make([]node, 0, len(values))
	for _, key := range slices.Sorted(maps.Keys(values)) {
		nodes = append(nodes, n.below(key, values[key]))
	}
	return nodes
}

// child is the one item or value that is bound, if it is there.
func (n node) child(which, bound string) []node {
	if which == anyItem {
		values, _ := n.value.([]any)
		if i, err := strconv.Atoi(bound); err == nil && i >= 0 && i < len(values) {
			return []node{n.below(bound, values[i])}
		}
		return nil
	}
	values, _ := n.value.(map[string]any)
	if value, ok := values[bound]; ok {
		return []node{n.below(bound, value)}
	}
	return nil
}

// below is an item or value to which a [*] or {*} led.
func (n node) below(name string, value any) node {
	return node{value, string(jsontext.Pointer(n.pointer).AppendToken(name)), append(slices.Clone(n.bound), name)}
}

// items are the items of a list; none where the value is something else.
func (n node) items() []node {
	values, _ := n.value.([]any)
	nodes := make([]node, len(values))
	for i, v := range values {
		index := strconv.Itoa(i)
		nodes[i] = node{v, n.pointer + "/" + index, append(slices.Clip(n.bound), index)}
	}
	return nodes
}

// MaxShared is how many volumes, mounts, variables and labels the pods of one object may have from
// lists that they share, such as the volumes of an Argo workflow. Each of many pods reads all of
// them, so that the cost would grow with the square of the document. 200 templates may share 500
// volumes.
const MaxShared = 100_000

// scope is a pod's place with the means to follow the other paths of its row.
type scope struct {
	node
	root node
	// shared counts what the pods of the row have read of shared lists.
	shared *int
}

// share counts items of a shared list and refuses too many.
func (s scope) share(items int) error {
	if *s.shared += items; *s.shared > MaxShared {
		return fmt.Errorf(
			"its pods share more than %d volumes, mounts, variables and labels: write shorter shared lists, or several objects",
			MaxShared,
		)
	}
	return nil
}

// all returns every place that a path of the row leads to, seen from this scope.
func (s scope) all(p path) []node {
	if p.isAbsent {
		return nil
	}
	if p.fromRoot {
		return follow(s.root, p.steps, s.bound)
	}
	return follow(s.node, p.steps, nil)
}

// place returns where a field is, or would be if its parent got it. It reports false when there is
// no such parent.
func (s scope) place(p place) (node, bool) {
	for _, parent := range s.all(p.parent) {
		if _, isObject := parent.value.(map[string]any); isObject {
			n, _ := parent.step(&p.field)
			return n, true
		}
	}
	return node{}, false
}

// labelPlace returns where the opt-in label goes: into the labels at a path, which may have to be
// made, with the objects around them. It is nil where an item of a list would have to be made for
// it.
func (s scope) labelPlace(labels path, key string) (*LabelPlace, error) {
	if labels.isAbsent {
		return nil, nil
	}
	for there := len(labels.steps); there >= 0; there-- {
		at := s.all(path{fromRoot: labels.fromRoot, steps: labels.steps[:there]})
		if len(at) == 0 || at[0].value == nil && there > 0 {
			continue
		}
		object, ok := at[0].value.(map[string]any)
		if !ok && at[0].value != nil {
			return nil, fmt.Errorf("%s is no object", at[0].pointer)
		}
		missing := labels.steps[there:]
		if slices.ContainsFunc(missing, func(s step) bool { return len(s.many) > 0 }) {
			return nil, nil
		}
		place := &LabelPlace{Path: at[0].pointer, Key: key}
		for i := range missing {
			place.Missing = append(place.Missing, missing[i].name)
		}
		if len(missing) == 0 {
			place.Value = StringOf(object[key])
		}
		return place, nil
	}
	return nil, nil
}

// object returns the object at a path, or nil.
func (s scope) object(p path) map[string]any {
	for _, n := range s.all(p) {
		if m, ok := n.value.(map[string]any); ok {
			return m
		}
	}
	return nil
}

// StringOf returns the text of a decoded string or number; of anything else it is empty.
func StringOf(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}

// stringMap returns the entries of a decoded object whose values are strings.
func stringMap(v any) map[string]string {
	m, _ := v.(map[string]any)
	if len(m) == 0 {
		return nil
	}
	out := make(map[string]string, len(m))
	for key, value := range m {
		if s, ok := value.(string); ok {
			out[key] = s
		}
	}
	return out
}

// isNamed reports whether an object has a name.
func (n node) isNamed() bool {
	return StringOf(n.field("name").value) != ""
}
