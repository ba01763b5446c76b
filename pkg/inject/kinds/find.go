package kinds

import (
	"fmt"
	"strings"
)

// Object is an object of a document that holds pods, or that may.
type Object struct {
	// Path is the JSON pointer of the object in its document; empty for the document itself.
	Path string
	// Around is the object in which it stands; nil for the document itself. It is to read.
	Around *Object
	// Group and Kind name its type; Namespace and Name are as written, and may be empty.
	Group, Kind, Namespace, Name string
	// Labels and Annotations are the object's own, not its pods'.
	Labels, Annotations map[string]string
	// Known reports whether the table has a row for it.
	Known bool
	// PerNode, Deferred, ClusterScoped and Advice are as in [Kind].
	PerNode, Deferred, ClusterScoped bool
	Advice                           string
	// Content is the decoded object, to read, without the objects in it that were found by
	// themselves: nil stands in their places.
	Content map[string]any
	// Pods are the pods and pod templates in it.
	Pods []Pod
	// HasObjects is true where objects in it were found by themselves.
	HasObjects bool
	// IsPolicy is true for a kind that describes the pods of others. Nothing is found in it.
	IsPolicy bool
	// Problem is why an object that was found in another one cannot be read; empty: it was read.
	Problem string
	// Texts are texts in it that may describe pods, but for those in its metadata and status.
	Texts []Text
	// MorePods is true where something in it seems to be a pod and is not among Pods. Places are where,
	// as a row of the table has it, those with the opt-in label first; empty where no row could find
	// it.
	MorePods bool
	Places   []PodPaths
	// Labelled reports whether one of Places has the opt-in label.
	Labelled bool

	// row is the row of its kind, where there are Places in addition.
	row *Kind
}

// Title names an object in messages: KIND/NAME. It is the kind alone where there is no name, as in an
// object that stands in another one.
func Title(kind, name string) string {
	if kind == "" {
		kind = "object"
	}
	if name == "" {
		return kind
	}
	return kind + "/" + name
}

// Find returns the objects of a decoded document: itself, and those that stand in it. The document is
// made of map[string]any, []any, string, bool, [json.Number] and nil, as [encoding/json] decodes
// it. An error names the part that has the wrong shape.
//
// An object that stands in another one, with an apiVersion, a kind and content, is found by the row of
// its own kind wherever that is. The one around it comes first, unless it only wraps objects, as a List
// does.
func (k Table) Find(document map[string]any) ([]Object, error) {
	return k.find(document, nil, "", "", "", 0)
}

// find is [Table.Find] for an object at a pointer, in an object and with so many objects around it. The
// group and the kind are those that a typed list gives its items; the object's own win.
func (k Table) find(
	doc map[string]any, around *Object, pointer, group, kind string, level int,
) ([]Object, error) {
	o := identify(doc, pointer, group, kind)
	o.Around = around
	row, known := k.Lookup(o.Group, o.Kind)
	o.Known, o.PerNode, o.Deferred = known, row.PerNode, row.Deferred
	o.ClusterScoped, o.Advice = row.ClusterScoped, row.Advice
	if o.IsPolicy = !known && isPolicy(o.Group, o.Kind); o.IsPolicy {
		return []Object{o}, nil
	}
	if err := o.findPods(&row); err != nil {
		return nil, fmt.Errorf("%s: %w", Title(o.Kind, o.Name), err)
	}
	nodes := wrappedNodes(doc, pointer, row.Objects)
	_, isList := o.itemKind()
	if level > maxLevels && !isList {
		nodes = nil
	}
	found, err := k.findWrapped(&o, nodes, level)
	if err != nil || isList && len(row.Objects) > 0 {
		return found, err
	}
	inside, rest := k.findInside(&o, nodes, level)
	o.findMore(&row, rest.lists)
	found = append(found, inside...)
	o.HasObjects = len(found) > 0
	if len(row.Objects) > 0 && len(row.podRows()) == 0 && !o.MorePods && len(o.Texts) == 0 {
		return found, nil
	}
	return append([]Object{o}, found...), nil
}

// findPods finds the object's own pods.
func (o *Object) findPods(row *Kind) error {
	rows := row.podRows()
	for i := range rows {
		pods, err := findPods(o.Content, o.Path, &rows[i])
		if err != nil {
			return err
		}
		for i := range pods {
			pods[i].PerNode = o.PerNode
			pods[i].control(&row.Controller)
		}
		o.Pods = append(o.Pods, pods...)
	}
	return nil
}

// itemKind is the kind of the items of a list, and reports whether the object is one.
func (o *Object) itemKind() (string, bool) { return strings.CutSuffix(o.Kind, listSuffix) }

// findWrapped finds the objects at the places that the row of an object names. Only the items of a
// list may leave their type out.
func (k Table) findWrapped(around *Object, nodes []node, level int) ([]Object, error) {
	itemKind, isList := around.itemKind()
	itemGroup := around.Group
	if !isList {
		itemGroup, itemKind, level = "", "", level+1
	}
	var found []Object
	for _, n := range nodes {
		item, ok := n.value.(map[string]any)
		switch {
		case !ok && isList:
			return nil, fmt.Errorf("%s: %s is no object", Title(around.Kind, around.Name), n.pointer)
		case !ok: // a field of such a kind may take text, too
			continue
		}
		objects, err := k.find(item, around, n.pointer, itemGroup, itemKind, level)
		if err != nil {
			return nil, err
		}
		for i := range objects {
			objects[i].inherit(around, !isList)
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
