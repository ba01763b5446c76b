package kinds

import (
	"fmt"
	"strings"
)

// Object is an object of a document that holds pods, or that may.
type Object struct {
	// Path is the JSON pointer of the object in its document; empty for the document itself.
	Path string
	// Group and Kind name its type; Namespace and Name are as written, and may be empty.
	Group, Kind, Namespace, Name string
	// Labels and Annotations are the object's own, not its pods'.
	Labels, Annotations map[string]string
	// Known reports whether the table has a row for it.
	Known bool
	// PerNode, Deferred, ClusterScoped and Advice are as in [Kind].
	PerNode, Deferred, ClusterScoped bool
	Advice                           string
	// Content is the decoded object, to read.
	Content map[string]any
	// Pods are the pods and pod templates in it.
	Pods []Pod
}

// Find returns the objects of a decoded document: itself, or those that it wraps. The document is
// made of map[string]any, []any, string, bool, [json.Number] and nil, as [encoding/json] decodes
// it. An error names the part that has the wrong shape.
func (k Table) Find(document map[string]any) ([]Object, error) {
	return k.find(document, "", "", "")
}

// find is [Table.Find] for an object at a pointer. The group and the kind are those that a typed
// list gives its items; the object's own win.
func (k Table) find(doc map[string]any, pointer, group, kind string) ([]Object, error) {
	o := identify(doc, pointer, group, kind)
	row, known := k.Lookup(o.Group, o.Kind)
	o.Known, o.PerNode, o.Deferred = known, row.PerNode, row.Deferred
	o.ClusterScoped, o.Advice = row.ClusterScoped, row.Advice
	if row.Objects != "" {
		return k.findWrapped(doc, o, row)
	}
	rows := row.podRows()
	for i := range rows {
		pods, err := findPods(doc, pointer, &rows[i])
		if err != nil {
			return nil, fmt.Errorf("%s/%s: %w", o.Kind, o.Name, err)
		}
		for i := range pods {
			pods[i].PerNode = o.PerNode
			pods[i].control(&row.Controller)
		}
		o.Pods = append(o.Pods, pods...)
	}
	return []Object{o}, nil
}

// findWrapped finds the objects inside a List or another wrapping kind.
func (k Table) findWrapped(doc map[string]any, list Object, row Kind) ([]Object, error) {
	itemKind := strings.TrimSuffix(list.Kind, listSuffix)
	var found []Object
	for _, m := range follow(node{value: doc, pointer: list.Path}, parsePath(row.Objects).steps, nil) {
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

// inherit gives an object what it has from the one around it: Helm reads the hook of a whole
// document, and a wrapping kind that is no List makes its objects in its own namespace. Source:
// appwrapper, parseComponent.
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
		Name: StringOf(meta["name"]), Namespace: StringOf(meta["namespace"]),
		Labels: stringMap(meta["labels"]), Annotations: stringMap(meta["annotations"]),
	}
	if o.Name == "" {
		o.Name = StringOf(meta["generateName"])
	}
	if own := StringOf(doc["kind"]); own != "" {
		o.Kind = own
		o.Group = ""
		if group, _, hasGroup := strings.Cut(StringOf(doc["apiVersion"]), "/"); hasGroup {
			o.Group = group
		}
	}
	return o
}
