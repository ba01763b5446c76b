package kinds

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// What stands in a path for every item of a list, and for every value of a map. They are equally long.
const (
	anyItem  = "[*]"
	anyValue = "{*}"
)

// rootPrefix begins a path that is followed from the object's root instead of the scope.
const rootPrefix = "$."

// node is a place in a decoded document.
type node struct {
	value   any
	pointer string
	// bound are the items and values that the [*] and {*} of the path led through: indices of lists and keys of maps.
	bound []string
}

// resolve follows a path from a place and returns every place that it leads to. The leading [*] and {*} follow what is bound.
func resolve(from node, path string, bound ...string) []node {
	at := []node{from}
	if path == "." {
		return at
	}
	for step := range strings.SplitSeq(path, ".") {
		name, many := step, ""
		if i := strings.IndexAny(step, "[{"); i >= 0 {
			name, many = step[:i], step[i:]
		}
		var next []node
		for _, n := range at {
			if child, ok := n.field(name); ok {
				next = append(next, child)
			}
		}
		for ; many != ""; many = many[len(anyItem):] { // steps[*][*] is a list of lists
			var children []node
			for _, n := range next {
				if which := many[:len(anyItem)]; len(bound) > 0 {
					children = append(children, n.child(which, bound[0])...)
				} else {
					children = append(children, n.children(which)...)
				}
			}
			if len(bound) > 0 {
				bound = bound[1:]
			}
			next = children
		}
		at = next
	}
	return at
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
	return node{value, n.pointer + "/" + PointerToken(name), append(slices.Clone(n.bound), name)}
}

func (n node) field(name string) (node, bool) {
	m, _ := n.value.(map[string]any)
	value, ok := m[name]
	return node{value, n.pointer + "/" + PointerToken(name), n.bound}, ok
}

func (n node) items() []node {
	values, _ := n.value.([]any)
	nodes := make([]node, len(values))
	for i, v := range values {
		nodes[i] = n.below(strconv.Itoa(i), v)
	}
	return nodes
}

// MaxShared is how many volumes, mounts, variables and labels the pods of one object may have from lists that they share, such
// as the volumes of an Argo workflow. Each of many pods reads all of them, so that the cost would grow with the square of the
// document. 200 templates may share 500 volumes.
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
		return fmt.Errorf("its pods share more than %d volumes, mounts, variables and labels: write shorter shared lists, or several objects", MaxShared)
	}
	return nil
}

// all returns every place that a path of the row leads to, seen from this scope.
func (s scope) all(path string) []node {
	if path == "" {
		return nil
	}
	if path, fromRoot := strings.CutPrefix(path, rootPrefix); fromRoot {
		return resolve(s.root, path, s.bound...)
	}
	return resolve(s.node, path)
}

// place returns where a field is, or would be if its parent got it. It reports false when there is no such parent.
func (s scope) place(path string) (node, bool) {
	parent, name := ".", path
	if i := strings.LastIndexByte(path, '.'); i > 0 {
		parent, name = path[:i], path[i+1:]
	}
	if parent+"." == rootPrefix {
		n, _ := s.root.field(name)
		return n, true
	}
	for _, p := range s.all(parent) {
		if _, isObject := p.value.(map[string]any); isObject {
			n, _ := p.field(name)
			return n, true
		}
	}
	return node{}, false
}

// labelPlace returns where the opt-in label goes: into the labels at a path, which may have to be made, with the objects
// around them. It is nil where an item of a list would have to be made for it.
func (s scope) labelPlace(path, key string) (*LabelPlace, error) {
	if path == "" {
		return nil, nil
	}
	from, prefix := s.node, ""
	if rest, fromRoot := strings.CutPrefix(path, rootPrefix); fromRoot {
		from, prefix, path = s.root, rootPrefix, rest
	}
	steps := strings.Split(path, ".")
	for there := len(steps); there >= 0; there-- {
		at := []node{from}
		if there > 0 {
			at = s.all(prefix + strings.Join(steps[:there], "."))
		}
		if len(at) == 0 || at[0].value == nil && there > 0 {
			continue
		}
		object, ok := at[0].value.(map[string]any)
		if !ok && at[0].value != nil {
			return nil, fmt.Errorf("%s is no object", at[0].pointer)
		}
		missing := steps[there:]
		if strings.ContainsAny(strings.Join(missing, ""), "[{") {
			return nil, nil
		}
		place := &LabelPlace{Path: at[0].pointer, Missing: missing, Key: key}
		if len(missing) == 0 {
			place.Value = StringOf(object[key])
		}
		return place, nil
	}
	return nil, nil
}

// object returns the object at a path, or nil.
func (s scope) object(path string) map[string]any {
	for _, n := range s.all(path) {
		if m, ok := n.value.(map[string]any); ok {
			return m
		}
	}
	return nil
}

// PointerToken returns a name as a reference token of a JSON pointer, with ~ and / escaped. Source: RFC 6901, section 3.
func PointerToken(name string) string {
	if !strings.ContainsAny(name, "~/") {
		return name
	}
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
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
	name, _ := n.field("name")
	return StringOf(name.value) != ""
}
