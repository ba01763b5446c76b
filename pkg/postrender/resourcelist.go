package postrender

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gomodules.xyz/jsonpatch/v2"

	"github.com/pipeline-storage/pipeline-storage/internal/manifest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// What a KRM function reads and writes. Source: kustomize,
// cmd/config/docs/api-conventions/functions-spec.md.
const (
	resourceListGroup = "config.kubernetes.io"
	resourceListKind  = "ResourceList"
)

// ResourceList is the input of a KRM function, as kustomize and kpt send it: the objects of a
// package under items, and the function's own configuration. It is read by [ReadResourceList] and
// not changed by a run.
type ResourceList struct {
	// Config is functionConfig as a YAML document for [storage.Load]. Nil: the list has none.
	Config []byte
	// ConfigKind is the kind of functionConfig: a caller can pass any.
	ConfigKind string
	// Release has the metadata.name and the metadata.namespace of functionConfig.
	Release storage.Release

	doc     manifest.Document
	tree    *manifest.Tree
	content map[string]any
	stream  []byte
}

// ReadResourceList reads a stream that is one ResourceList. It returns nil for every other stream,
// and refuses a ResourceList among other documents, which would pass without its storage.
func ReadResourceList(stream []byte) (*ResourceList, error) {
	if !bytes.Contains(stream, []byte(resourceListKind)) {
		return nil, nil
	}
	docs := slices.DeleteFunc(manifest.Split(stream), func(d manifest.Document) bool { return d.Header.Blank })
	for _, doc := range docs {
		list, err := readResourceList(doc)
		switch {
		case err != nil && len(docs) == 1:
			return nil, err
		case err != nil || list == nil: // Render decides about it
			continue
		case len(docs) > 1:
			return nil, fmt.Errorf("document %d is a %s and stands among %d documents: give a function one "+
				"%s and nothing else, or put the other documents into its items",
				doc.Number, resourceListKind, len(docs), resourceListKind)
		}
		list.stream = stream
		return list, list.readConfig()
	}
	return nil, nil
}

// readResourceList reads a document, if it is a ResourceList.
func readResourceList(doc manifest.Document) (*ResourceList, error) {
	if !doc.Header.Unsure && !slices.Contains(doc.Header.Kinds, resourceListKind) ||
		!bytes.Contains(doc.Body, []byte(resourceListKind)) {
		return nil, nil
	}
	tree, err := manifest.Decode(doc.Body)
	if err != nil && doc.Header.Unsure {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: cannot be parsed: %w", resourceListKind, err)
	}
	content, _ := tree.Value().(map[string]any)
	version, _ := content["apiVersion"].(string)
	if rootKind(content) != resourceListKind || !strings.HasPrefix(version, resourceListGroup+"/") {
		return nil, nil
	}
	return &ResourceList{doc: doc, tree: tree, content: content}, nil
}

// isList reports whether a decoded value is a list.
func isList(value any) bool {
	_, ok := value.([]any)
	return ok
}

// readConfig reads the configuration of the list. It refuses a list that has no place for
// results. Config is encoded again from the decoded value, because anchors of the list may be
// used in it.
func (l *ResourceList) readConfig() error {
	if results := l.content["results"]; results != nil && !isList(results) {
		return fmt.Errorf("%s: results is no list: leave it out, or write results: []", resourceListKind)
	}
	value := l.content["functionConfig"]
	if value == nil {
		return nil
	}
	config, ok := value.(map[string]any)
	if !ok {
		return fmt.Errorf("functionConfig: it is no mapping: write a %s of %s, or leave it out and "+
			"configure by flags", storage.ConfigKind, storage.APIVersion)
	}
	l.ConfigKind = rootKind(config)
	meta := metadata(config)
	l.Release.Name, _ = meta["name"].(string)
	l.Release.Namespace, _ = meta["namespace"].(string)
	text, err := manifest.Encode(config)
	if err != nil {
		return fmt.Errorf("functionConfig: %w", err)
	}
	l.Config = text
	return nil
}

// RenderResourceList decides about every item of a list. Objects that the items need and the list
// lacks are appended to them; every decision that matters is one of the list's results.
//
// An error refuses the whole list: the output then is the list as it came, with the reasons as
// results of severity error. That is what the specification's own framework does (kyaml,
// fn/framework.Execute), and what kpt shows; kustomize shows standard error, and drops what a
// function that failed has written.
func (r *Renderer) RenderResourceList(list *ResourceList) (*Output, error) {
	err := r.check()
	if err == nil && r.Remove != RemoveNothing {
		err = errors.New("storage cannot be removed from a ResourceList")
	}
	if err != nil {
		return list.Refuse(err), err
	}
	config := *r.Config
	config.Kinds = append(slices.Clip(config.Kinds), kinds.Kind{
		Group: resourceListGroup,
		Kind:  resourceListKind, Objects: []string{"items[*]"},
	})
	renderer := *r
	renderer.Config = &config
	pass := &injection{run: newRun(&renderer, nil), isList: true}
	pass.pass = pass

	ops, err := pass.list(list)
	if err != nil {
		pass.report.Error = err.Error()
	}
	pass.warn()
	if err != nil {
		return list.refused(&pass.report), err
	}
	edits, err := list.edits(ops, list.results(&pass.report))
	if err != nil {
		pass.report.Error = err.Error()
		return list.refused(&pass.report), err
	}
	return &Output{Report: pass.report, stream: list.stream, edits: edits}, nil
}

// Refuse returns the list as it came, with an error that concerns the configuration or the list
// as a whole.
func (l *ResourceList) Refuse(err error) *Output {
	report := refusal(err)
	return l.refused(&report)
}

// refused is the list as it came with the results of a report. Where they have no place, standard
// error has them.
func (l *ResourceList) refused(report *Report) *Output {
	edits, _ := l.edits(nil, l.results(report))
	return &Output{Report: *report, stream: l.stream, edits: edits}
}

// list decides about every item and then about the storage that they need. It returns all
// conflicts at once.
func (p *injection) list(list *ResourceList) ([]jsonpatch.Operation, error) {
	items := map[string]any{ // neither functionConfig nor results are objects of the package
		"apiVersion": list.content["apiVersion"], "kind": list.content["kind"], "items": list.content["items"],
	}
	objects, err := p.table.Find(items)
	if err != nil {
		return nil, err
	}
	var ops []jsonpatch.Operation
	var problems []string
	for _, object := range objects {
		added, err := p.item(object)
		if err != nil {
			problems = append(problems, fmt.Sprintf("%s: %v", title(itemNumber(object.Path), object.Kind, object.Name), err))
		}
		ops = append(ops, added...)
	}
	if len(problems) > 0 {
		return nil, errors.New(strings.Join(problems, "\n"))
	}
	if err := p.refuseUnserved(); err != nil {
		return nil, err
	}
	if profile := p.needsRelease(); profile != "" {
		return nil, fmt.Errorf("profile %q: the names of its objects need a release and its namespace: "+
			"write them as metadata.name and "+
			"metadata.namespace of the %s that is the functionConfig, or pass --release and --namespace",
			profile, storage.ConfigKind)
	}
	missing, err := p.missing()
	for _, object := range missing {
		ops = append(ops, jsonpatch.Operation{Operation: "add", Path: "/items/-", Value: object.Object})
	}
	return ops, err
}

// item decides about one item, which counts as a document of its own. Its number in the report is
// its position in the list. The pointer of a pod starts at the item, not at the list.
func (p *injection) item(object kinds.Object) ([]jsonpatch.Operation, error) {
	u := &unit{number: itemNumber(object.Path), kind: object.Kind}
	if len(object.Pods) == 0 || object.MorePods {
		u.text, _ = manifest.Encode(object.Content) // to search it for the label
	}
	before := len(p.report.Workloads)
	ops, err := p.decideObject(u, object)
	if why := wordOfPod(u, wordsOfDecoded); why != "" && before == len(p.report.Workloads) {
		p.addUnread(u, why)
	}
	for i := range p.report.Workloads[before:] {
		w := &p.report.Workloads[before+i]
		w.Pod = strings.TrimPrefix(w.Pod, fmt.Sprintf("/items/%d", u.number-1))
	}
	return ops, err
}

// itemNumber reads the number of an item, counted from 1, from the pointer of an object in it.
func itemNumber(pointer string) int {
	index, _, _ := strings.Cut(strings.TrimPrefix(pointer, "/items/"), "/")
	n, _ := strconv.Atoi(index)
	return n + 1
}

// edits carries out operations on the list and adds the results, unless the list has them
// already. A function that runs twice thus reports nothing twice.
// The edits are those of the stream.
func (l *ResourceList) edits(ops []jsonpatch.Operation, results []functionResult) ([]manifest.Edit, error) {
	had, _ := l.content["results"].([]any)
	var added []functionResult
	for _, result := range results {
		if !slices.ContainsFunc(had, result.matches) {
			added = append(added, result)
		}
	}
	switch {
	case len(added) > 0 && len(had) == 0:
		ops = append(ops, jsonpatch.Operation{Operation: "add", Path: "/results", Value: added})
	case len(added) > 0:
		for _, result := range added {
			ops = append(ops, jsonpatch.Operation{Operation: "add", Path: "/results/-", Value: result})
		}
	}
	if len(ops) == 0 {
		return nil, nil
	}
	edits, err := l.tree.ApplyWithLast("results", ops)
	if err != nil {
		return nil, l.inItem(err)
	}
	for i := range edits {
		edits[i].Start += l.doc.BodyOffset()
		edits[i].End += l.doc.BodyOffset()
	}
	return edits, nil
}

// inItem names the item that an operation could not be carried out on, unless it concerns the
// list as a whole, as one does that appends to it. It has the form of the errors about documents.
func (l *ResourceList) inItem(err error) error {
	var operation *manifest.OperationError
	if !errors.As(err, &operation) || !strings.HasPrefix(operation.Path, "/items/") || operation.Path == "/items/-" {
		return fmt.Errorf("%s: %w", resourceListKind, err)
	}
	number := itemNumber(operation.Path)
	object := l.item(number)
	return fmt.Errorf("document %d %s/%v: %w", number, rootKind(object), metadata(object)["name"], err)
}

// item returns an item by its number, or nil.
func (l *ResourceList) item(number int) map[string]any {
	items, _ := l.content["items"].([]any)
	if number > len(items) {
		return nil
	}
	object, _ := items[number-1].(map[string]any)
	return object
}
