package inject

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
	// PerNode, Deferred, ClusterScoped and Advice are as in [Kind].
	PerNode, Deferred, ClusterScoped bool
	Advice                           string
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
	o.ClusterScoped, o.Advice = row.ClusterScoped, row.Advice
	if row.Objects != "" {
		return k.findWrapped(doc, o, row)
	}
	for _, paths := range row.paths() {
		pods, err := findPods(doc, pointer, paths)
		if err != nil {
			return nil, fmt.Errorf("%s/%s: %w", o.Kind, o.Name, err)
		}
		for i := range pods {
			pods[i].Group, pods[i].Kind, pods[i].PerNode = o.Group, o.Kind, o.PerNode
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
		for i := range objects {
			objects[i].inherit(&list, itemKind == list.Kind)
		}
		found = append(found, objects...)
	}
	return found, nil
}

// inherit gives an object what the one around it says for it: Helm reads the hook of a whole document, and a wrapping kind that
// is no List makes its objects in its own namespace. Source: appwrapper, parseComponent.
func (o *Object) inherit(around *Object, hasNamespace bool) {
	if hook := around.Annotations[AnnotationHook]; hook != "" {
		o.Annotations = merge(o.Annotations, map[string]string{AnnotationHook: hook})
	}
	if hasNamespace && o.Namespace == "" {
		o.Namespace = around.Namespace
	}
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
	return node{value, n.pointer + "/" + escape(name), append(slices.Clone(n.bound), name)}
}

func (n node) field(name string) (node, bool) {
	m, _ := n.value.(map[string]any)
	value, ok := m[name]
	return node{value, n.pointer + "/" + escape(name), n.bound}, ok
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
			place.Value = text(object[key])
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
