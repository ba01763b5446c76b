package inject

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// anyItem stands in a path for every item of a list.
const anyItem = "[*]"

// rootPrefix begins a path that is followed from the object's root instead of the scope.
const rootPrefix = "$."

// Object is an object of a document that holds pods, or that may.
type Object struct {
	// Path is the JSON pointer of the object in its document; empty for the document itself.
	Path string
	// Group and Kind name its type; Namespace and Name are as written, and may be empty.
	Group, Kind, Namespace, Name string
	// Labels and Annotations are the object's own, not its pods'.
	Labels, Annotations map[string]string
	// Known is whether the table has a row for it.
	Known bool
	// PerNode and Deferred are as in [Kind].
	PerNode, Deferred bool
	// Content is the decoded object, to look at.
	Content map[string]any
	// Pods are the pods and pod templates in it.
	Pods []Pod
}

// Find returns the objects of a decoded document: itself, or those that it wraps. The document is made of map[string]any,
// []any, string, bool, [json.Number] and nil, as [encoding/json] decodes it. An error says which part has the wrong shape.
func (k Kinds) Find(document map[string]any) ([]Object, error) {
	return k.find(document, "", "", "")
}

func (k Kinds) find(doc map[string]any, pointer, group, kind string) ([]Object, error) {
	o := identify(doc, pointer, group, kind)
	row, known := k.Lookup(o.Group, o.Kind)
	o.Known, o.PerNode, o.Deferred = known, row.PerNode, row.Deferred
	if row.Objects != "" {
		return k.findWrapped(doc, o, row)
	}
	for _, paths := range row.Pods {
		pods, err := findPods(doc, pointer, paths)
		if err != nil {
			return nil, fmt.Errorf("%s/%s: %w", o.Kind, o.Name, err)
		}
		o.Pods = append(o.Pods, pods...)
	}
	return []Object{o}, nil
}

// findWrapped finds the objects inside a List or another wrapping kind.
func (k Kinds) findWrapped(doc map[string]any, list Object, row Kind) ([]Object, error) {
	itemKind := strings.TrimSuffix(list.Kind, listSuffix)
	var found []Object
	for _, m := range resolve(node{value: doc, pointer: list.Path}, row.Objects) {
		item, ok := m.value.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%s/%s: %s is no object", list.Kind, list.Name, m.pointer)
		}
		objects, err := k.find(item, m.pointer, list.Group, itemKind)
		if err != nil {
			return nil, err
		}
		found = append(found, objects...)
	}
	return found, nil
}

// identify reads what an object is. Items of a typed list may leave out apiVersion and kind.
func identify(doc map[string]any, pointer, group, kind string) Object {
	meta, _ := doc["metadata"].(map[string]any)
	o := Object{
		Path: pointer, Group: group, Kind: kind, Content: doc,
		Name: text(meta["name"]), Namespace: text(meta["namespace"]),
		Labels: texts(meta["labels"]), Annotations: texts(meta["annotations"]),
	}
	if o.Name == "" {
		o.Name = text(meta["generateName"])
	}
	if own := text(doc["kind"]); own != "" {
		o.Kind = own
		o.Group = ""
		if group, _, hasGroup := strings.Cut(text(doc["apiVersion"]), "/"); hasGroup {
			o.Group = group
		}
	}
	return o
}

// node is a place in a decoded document.
type node struct {
	value   any
	pointer string
	indices []int
}

// resolve follows a path from a place and returns every place that it leads to. The leading [*] follow the bound items.
func resolve(from node, path string, bound ...int) []node {
	at := []node{from}
	if path == "." {
		return at
	}
	for step := range strings.SplitSeq(path, ".") {
		name, lists, _ := strings.Cut(step, anyItem[:1])
		var next []node
		for _, n := range at {
			if child, ok := n.field(name); ok {
				next = append(next, child)
			}
		}
		for range strings.Count(lists, "]") { // steps[*][*] is a list of lists
			var items []node
			for _, n := range next {
				if len(bound) > 0 {
					items = append(items, n.item(bound[0])...)
				} else {
					items = append(items, n.items()...)
				}
			}
			if len(bound) > 0 {
				bound = bound[1:]
			}
			next = items
		}
		at = next
	}
	return at
}

func (n node) field(name string) (node, bool) {
	m, _ := n.value.(map[string]any)
	value, ok := m[name]
	return node{value, n.pointer + "/" + escape(name), n.indices}, ok
}

func (n node) items() []node {
	values, _ := n.value.([]any)
	nodes := make([]node, len(values))
	for i, v := range values {
		nodes[i] = node{v, n.pointer + "/" + strconv.Itoa(i), append(slices.Clone(n.indices), i)}
	}
	return nodes
}

func (n node) item(i int) []node {
	items := n.items()
	if i >= len(items) {
		return nil
	}
	return items[i : i+1]
}

// scope is a pod's place with the means to follow the other paths of its row.
type scope struct {
	node
	root node
}

// all returns every place that a path of the row leads to, seen from this scope.
func (s scope) all(path string) []node {
	if path == "" {
		return nil
	}
	if path, fromRoot := strings.CutPrefix(path, rootPrefix); fromRoot {
		return resolve(s.root, path, s.indices...)
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

// object returns the object at a path, or nil.
func (s scope) object(path string) map[string]any {
	for _, n := range s.all(path) {
		if m, ok := n.value.(map[string]any); ok {
			return m
		}
	}
	return nil
}

// escape writes a name as a token of a JSON pointer (RFC 6901).
func escape(name string) string {
	if !strings.ContainsAny(name, "~/") {
		return name
	}
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}

func texts(v any) map[string]string {
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
