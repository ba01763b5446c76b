package postrender

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"gomodules.xyz/jsonpatch/v2"

	"github.com/pipeline-storage/pipeline-storage/internal/manifest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// What a KRM function reads and writes. Source: kustomize, cmd/config/docs/api-conventions/functions-spec.md.
const (
	resourceListGroup = "config.kubernetes.io"
	resourceListKind  = "ResourceList"
)

// ResourceList is the input of a KRM function, as kustomize and kpt send it: the objects of a package under items, and the
// function's own configuration.
type ResourceList struct {
	// Config is functionConfig as a YAML document for [storage.Load]. Nil: the list has none.
	Config []byte
	// ConfigKind is the kind of functionConfig: a caller can pass any.
	ConfigKind string
	// Release is what functionConfig says of it: its metadata.name and metadata.namespace.
	Release storage.Release

	doc     manifest.Document
	tree    *manifest.Tree
	content map[string]any
	stream  []byte
}

// ReadResourceList reads a stream that is one ResourceList. It returns nil for every other stream, and refuses a ResourceList
// among other documents, which would pass without its storage.
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
		case err != nil || list == nil: // whatever it is, Render tells
			continue
		case len(docs) > 1:
			return nil, fmt.Errorf("document %d is a %s and stands among %d documents: give a function one %s and nothing else, or put the others into its items",
				doc.Number, resourceListKind, len(docs), resourceListKind)
		}
		list.stream = stream
		return list, list.readConfig()
	}
	return nil, nil
}

// readResourceList reads a document, if it is a ResourceList.
func readResourceList(doc manifest.Document) (*ResourceList, error) {
	if !doc.Header.Unsure && !slices.Contains(doc.Header.Kinds, resourceListKind) || !bytes.Contains(doc.Body, []byte(resourceListKind)) {
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

// readConfig takes the configuration out of the list, and looks whether there is a place for results.
func (l *ResourceList) readConfig() error {
	if results := l.content["results"]; results != nil && !isList(results) {
		return fmt.Errorf("%s: results is no list: leave it out, or write results: []", resourceListKind)
	}
	given := l.content["functionConfig"]
	if given == nil {
		return nil
	}
	config, ok := given.(map[string]any)
	if !ok {
		return fmt.Errorf("functionConfig: it is no mapping: write a %s of %s, or leave it out and configure by flags", storage.ConfigKind, storage.APIVersion)
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

// RenderResourceList decides about every item of a list. What the items need and the list lacks is appended to them; every
// decision that matters is told in the list's results.
//
// An error refuses the whole list: the output then is the list as it came, with the reasons as results of severity error.
// That is what the specification's own framework does (kyaml, fn/framework.Execute), and what kpt shows; kustomize shows
// standard error, and drops what a function that failed has written.
func (r *Renderer) RenderResourceList(list *ResourceList) (*Output, error) {
	if err := r.check(); err != nil {
		return list.Refuse(err), err
	}
	config := *r.Config
	config.Kinds = append(slices.Clip(config.Kinds), kinds.Kind{Group: resourceListGroup, Kind: resourceListKind, Objects: "items[*]"})
	renderer := *r
	renderer.Config = &config
	run := newRun(&renderer, nil)
	run.inList = true

	ops, err := run.list(list)
	if err != nil {
		run.report.Error = err.Error()
	}
	run.finish()
	if err != nil {
		return list.refused(&run.report), err
	}
	edits, err := list.edits(ops, list.results(&run.report))
	if err != nil {
		run.report.Error = err.Error()
		return list.refused(&run.report), err
	}
	return &Output{Report: run.report, stream: list.stream, edits: edits}, nil
}

// Refuse returns the list as it came, with an error that concerns the configuration or the list as a whole.
func (l *ResourceList) Refuse(err error) *Output {
	return l.refused(&Report{Workloads: []Workload{}, Objects: []Object{}, Error: err.Error()})
}

// refused is the list as it came with the results of a report. Where they have no place, standard error still tells.
func (l *ResourceList) refused(report *Report) *Output {
	edits, _ := l.edits(nil, l.results(report))
	return &Output{Report: *report, stream: l.stream, edits: edits}
}

// list decides about every item and then about the storage that they need. All conflicts are told at once.
func (r *run) list(list *ResourceList) ([]jsonpatch.Operation, error) {
	objects, err := r.kinds.Find(list.content)
	if err != nil {
		return nil, err
	}
	var ops []jsonpatch.Operation
	var problems []string
	for _, object := range objects {
		added, err := r.item(object)
		if err != nil {
			problems = append(problems, fmt.Sprintf("document %d %s/%s: %v", itemNumber(object.Path), object.Kind, object.Name, err))
		}
		ops = append(ops, added...)
	}
	if len(problems) > 0 {
		return nil, errors.New(strings.Join(problems, "\n"))
	}
	if profile := r.needsRelease(); profile != "" {
		return nil, fmt.Errorf("profile %q: the names of its objects need a release and its namespace: write them as metadata.name and "+
			"metadata.namespace of the %s that is the functionConfig, or pass --release and --namespace", profile, storage.ConfigKind)
	}
	missing, err := r.missing()
	for _, object := range missing {
		ops = append(ops, jsonpatch.Operation{Operation: "add", Path: "/items/-", Value: object.Object})
	}
	return ops, err
}

// item decides about one item, which counts as a document of its own.
func (r *run) item(object kinds.Object) ([]jsonpatch.Operation, error) {
	doc := manifest.Document{Number: itemNumber(object.Path)}
	switch text := configMapText(object); {
	case mentionsPod(text) && mentionsPodKey(text):
		doc.Body = text
		r.addWorkload(doc, object, inject.Decision{Reason: inject.ReasonPodInConfigMap, Message: r.podInConfigMapMessage()})
		return nil, nil
	case !object.Known && quietKinds[object.Kind]:
		return nil, nil
	case !object.Known:
		doc.Body, _ = manifest.Encode(object.Content) // to look for the label in
	}
	before := len(r.report.Workloads)
	ops, err := r.object(doc, object)
	for i := range r.report.Workloads[before:] {
		w := &r.report.Workloads[before+i]
		w.Pod = strings.TrimPrefix(w.Pod, fmt.Sprintf("/items/%d", doc.Number-1))
	}
	return ops, err
}

// itemNumber reads the number of an item, counted from 1, from the pointer of an object in it.
func itemNumber(pointer string) int {
	index, _, _ := strings.Cut(strings.TrimPrefix(pointer, "/items/"), "/")
	n, _ := strconv.Atoi(index)
	return n + 1
}

// edits carries out operations on the list and adds the results, of which one that is there already is not told twice.
func (l *ResourceList) edits(ops []jsonpatch.Operation, results []functionResult) ([]manifest.Edit, error) {
	had, _ := l.content["results"].([]any)
	var told []functionResult
	for _, result := range results {
		if !slices.ContainsFunc(had, result.is) {
			told = append(told, result)
		}
	}
	switch {
	case len(told) > 0 && len(had) == 0:
		ops = append(ops, jsonpatch.Operation{Operation: "add", Path: "/results", Value: told})
	case len(told) > 0:
		for _, result := range told {
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

// inItem names the item that an operation could not be carried out on, unless it concerns the list as a whole, as one does that
// appends to it.
func (l *ResourceList) inItem(err error) error {
	var operation *manifest.OperationError
	if !errors.As(err, &operation) || !strings.HasPrefix(operation.Path, "/items/") || operation.Path == "/items/-" {
		return fmt.Errorf("%s: %w", resourceListKind, err)
	}
	number := itemNumber(operation.Path)
	object := l.item(number)
	return fmt.Errorf("document %d %s/%v: %w", number, rootKind(object), metadata(object)["name"], err)
}

// functionResult is one entry of a list's results. Source: the specification, definitions/Result.
type functionResult struct {
	Message     string         `json:"message"`
	Severity    string         `json:"severity"`
	ResourceRef *resourceRef   `json:"resourceRef,omitempty"`
	Field       *resourceField `json:"field,omitempty"`
	File        *resourceFile  `json:"file,omitempty"`
}

type resourceRef struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace,omitempty"`
	Name       string `json:"name"`
}

type resourceField struct {
	Path string `json:"path"`
}

type resourceFile struct {
	Path  string `json:"path"`
	Index int    `json:"index,omitempty"`
}

// The severities of a result.
const (
	severityError   = "error"
	severityWarning = "warning"
	severityInfo    = "info"
)

// is reports whether a decoded result says the same of the same object.
func (f functionResult) is(have any) bool {
	result, _ := have.(map[string]any)
	ref, _ := result["resourceRef"].(map[string]any)
	if result["message"] != f.Message || result["severity"] != f.Severity || (ref == nil) != (f.ResourceRef == nil) {
		return false
	}
	namespace, _ := ref["namespace"].(string)
	return ref == nil || ref["kind"] == f.ResourceRef.Kind && ref["name"] == f.ResourceRef.Name && namespace == f.ResourceRef.Namespace
}

// results tells a report as the specification has it.
func (l *ResourceList) results(report *Report) []functionResult {
	var all []functionResult
	refused := false
	for i := range report.Workloads {
		w := &report.Workloads[i]
		about := l.about(w)
		add := func(severity, message string) {
			about.Severity, about.Message = severity, message
			all = append(all, about)
		}
		switch {
		case w.Reason.Refuses():
			refused = true
			add(severityError, w.Message)
		case w.Reason == inject.ReasonInjected && report.Error == "":
			add(severityInfo, "mounted "+mountedClaims(w))
		}
		for _, warning := range w.Warnings {
			add(severityWarning, warning)
		}
	}
	for _, object := range report.Objects {
		if object.Action == Created && report.Error == "" {
			all = append(all, functionResult{Message: "created", Severity: severityInfo, ResourceRef: &resourceRef{
				APIVersion: object.apiVersion(), Kind: object.Kind, Namespace: object.Namespace, Name: object.Name,
			}})
		}
	}
	for _, warning := range report.Warnings {
		all = append(all, functionResult{Message: warning, Severity: severityWarning})
	}
	if report.Error != "" && !refused {
		all = append(all, l.problems(report.Error)...)
	}
	return all
}

// about refers to a workload as its item has it: the object, the place of the pod in it, and its file.
func (l *ResourceList) about(w *Workload) functionResult {
	meta := metadata(l.item(w.Document))
	namespace, _ := meta["namespace"].(string)
	result := functionResult{
		ResourceRef: &resourceRef{APIVersion: w.APIVersion, Kind: w.Kind, Namespace: namespace, Name: w.Name},
		File:        fileOf(meta),
	}
	if path := fieldPath(w.Pod); path != "" {
		result.Field = &resourceField{path}
	}
	return result
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

func metadata(object map[string]any) map[string]any {
	meta, _ := object["metadata"].(map[string]any)
	return meta
}

// fieldPath writes a JSON pointer as the specification writes fields: spec.template.spec.containers[3].
func fieldPath(pointer string) string {
	var path strings.Builder
	for token := range jsontext.Pointer(pointer).Tokens() {
		if _, err := strconv.Atoi(token); err == nil {
			path.WriteString("[" + token + "]")
			continue
		}
		path.WriteString("." + token)
	}
	return strings.TrimPrefix(path.String(), ".")
}

// fileOf is where the orchestrator found an item, or nil. These annotations are the orchestrator's: a function reads them,
// and gives what it creates none, so that the orchestrator chooses a file. The second of each is what older ones write.
func fileOf(meta map[string]any) *resourceFile {
	annotations, _ := meta["annotations"].(map[string]any)
	first := func(keys ...string) string {
		for _, key := range keys {
			if text, _ := annotations[key].(string); text != "" {
				return text
			}
		}
		return ""
	}
	path := first("internal.config.kubernetes.io/path", "config.kubernetes.io/path")
	if path == "" {
		return nil
	}
	index, _ := strconv.Atoi(first("internal.config.kubernetes.io/index", "config.kubernetes.io/index"))
	return &resourceFile{path, index}
}

// mountedClaims says in a few words what a pod has got.
func mountedClaims(w *Workload) string {
	var parts []string
	for _, a := range w.Added {
		if a.MountPath != "" {
			parts = append(parts, fmt.Sprintf("%s at %s in container %q", a.Volume, a.MountPath, a.Container))
		}
	}
	return strings.Join(parts, ", ")
}

// apiVersion is that of one of the storage kinds.
func (o *Object) apiVersion() string {
	if group := storageGroups[o.Kind]; group != "" {
		return group + "/v1"
	}
	return "v1"
}

// aboutField begins a problem that concerns one field of the configuration.
var aboutField = regexp.MustCompile(`^functionConfig: ([a-z]\w*(?:[.\[\]]+\w+)*\]?): `)

// problems are the lines of an error that no item is the cause of, with the field of functionConfig where one is.
func (l *ResourceList) problems(message string) []functionResult {
	var all []functionResult
	for line := range strings.SplitSeq(message, "\n") {
		result := functionResult{Message: line, Severity: severityError}
		if at := aboutField.FindStringSubmatch(line); at != nil && l.Release.Name != "" {
			result.ResourceRef = &resourceRef{
				APIVersion: storage.APIVersion, Kind: storage.ConfigKind, Namespace: l.Release.Namespace, Name: l.Release.Name,
			}
			result.Field = &resourceField{at[1]}
		}
		all = append(all, result)
	}
	return all
}
