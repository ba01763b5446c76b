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
	wrapped, err := k.findWrapped(doc, o, row)
	rows := row.podRows()
	if err != nil || len(row.Objects) > 0 && len(rows) == 0 {
		return wrapped, err
	}
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
	return append([]Object{o}, wrapped...), nil
}

// findWrapped finds the objects inside a List or another kind that holds whole objects.
func (k Table) findWrapped(doc map[string]any, around Object, row Kind) ([]Object, error) {
	itemKind, isList := strings.CutSuffix(around.Kind, listSuffix)
	itemGroup := around.Group
	if !isList {
		itemGroup, itemKind = "", "" // only the items of a list may leave their type out
	}
	var found []Object
	for _, n := range wrappedNodes(doc, around.Path, row.Objects) {
		item, ok := n.value.(map[string]any)
		switch {
		case !ok && isList:
			return nil, fmt.Errorf("%s/%s: %s is no object", around.Kind, around.Name, n.pointer)
		case !ok: // a field of such a kind may take text, too
			continue
		}
		objects, err := k.find(item, n.pointer, itemGroup, itemKind)
		if err != nil {
			return nil, err
		}
		for i := range objects {
			objects[i].inherit(&around, !isList)
		}
		found = append(found, objects...)
	}
	return found, nil
}

// wrappedNodes are the places to which the paths of a row lead, each once.
func wrappedNodes(doc map[string]any, pointer string, paths []string) []node {
	var nodes []node
	seen := map[string]bool{}
	for _, path := range paths {
		for _, n := range follow(node{value: doc, pointer: pointer}, parsePath(path).steps, nil) {
			if !seen[n.pointer] {
				seen[n.pointer] = true
				nodes = append(nodes, n)
			}
		}
	}
	return nodes
}

// inherit gives an object what it has from the one around it: Helm reads the hook of a whole
// document, and a kind that is no List makes its objects in its own namespace, when it comes to it.
// Source: appwrapper, parseComponent.
func (o *Object) inherit(around *Object, hasNamespace bool) {
	o.Deferred = o.Deferred || around.Deferred
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
