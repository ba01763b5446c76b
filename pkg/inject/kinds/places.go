package kinds

import (
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// containersField is the list of containers of a pod. podLists are the fields of a pod in which
// nothing else is searched.
const containersField = "containers"

var podLists = map[string]bool{
	containersField: true, "initContainers": true, "ephemeralContainers": true, "volumes": true,
}

// maxPlaces is how many places of pods are named in one object. People write the row of an object
// that has more of them by hand.
const maxPlaces = 64

// podWords are words of manifests that hold pods and stand beside a kind there.
var podWords = []string{"image", "executor", "volumes", "Pod"}

// MayDescribePod reports whether it is worth to decode a text, because it may be a manifest with a
// pod: it has containers, or a kind and one of the words. Nearly every text is too short or has none of
// them.
func MayDescribePod(text string) bool {
	const shortest = len("containers: [{}]")
	if len(text) < shortest {
		return false
	}
	isWord := func(word string) bool { return strings.Contains(text, word) }
	return isWord("ontainers") && isWord(":") || isWord("kind") && slices.ContainsFunc(podWords, isWord)
}

// hasObject reports whether a decoded value is a list with an object that has one of the fields as
// text.
func hasObject(value any, fields ...string) bool {
	list, _ := value.([]any)
	return slices.ContainsFunc(list, func(item any) bool {
		object, _ := item.(map[string]any)
		return slices.ContainsFunc(fields, func(field string) bool {
			_, isText := object[field].(string)
			return isText
		})
	})
}

// hasImages reports whether a value is a list of containers of a pod that can run.
func hasImages(value any) bool { return hasObject(value, "image") }

// hasContainers reports whether a value is a list of containers. An operator may fill in the image; where
// none does, containers without one only patch those of another place.
func hasContainers(value any) bool { return hasObject(value, "image", "name") }

// seemsToHoldPod reports whether a decoded value seems to have a pod in it: lists of containers,
// volumes or mounts, a list of things with images (Tekton's steps), one such thing (Argo's
// templates), or Spark's pair of driver and executor. It may be wrong both ways: the result is a
// report entry, never a change.
func seemsToHoldPod(value any) bool {
	switch value := value.(type) {
	case map[string]any:
		for _, key := range []string{containersField, "volumes", "volumeMounts"} {
			if list, _ := value[key].([]any); len(list) > 0 && isMapping(list[0]) {
				return true
			}
		}
		isSpark := isMapping(value["driver"]) && isMapping(value["executor"])
		if isSpark || hasImages([]any{value["container"], value["script"]}) {
			return true
		}
		for _, child := range value {
			if seemsToHoldPod(child) {
				return true
			}
		}
	case []any:
		return hasImages(value) || slices.ContainsFunc(value, seemsToHoldPod)
	}
	return false
}

func isMapping(value any) bool {
	_, ok := value.(map[string]any)
	return ok
}

// findMore finds pods that are not among the object's own.
func (o *Object) findMore(row *Kind, lists int) {
	if o.Known {
		o.MorePods = len(row.podRows())+len(row.Objects) > 0 && lists > o.countLists()
	} else {
		o.MorePods = seemsToHoldPod(searched(o.Content))
	}
	if !o.MorePods {
		return
	}
	f := placeFinder{
		object: o, row: row, containers: o.containerPaths(), trail: trail{start: o.Path}, isSeen: map[string]int{},
	}
	f.pods = make(map[string]bool, len(o.Pods))
	for i := range o.Pods {
		f.pods[o.Pods[i].Path] = true
	}
	content := searched(o.Content)
	f.pod(nil, "", content)
	f.fields("", content)
	o.Places, o.Labelled = f.places(), slices.Contains(f.isLabelled, true)
	if o.Known {
		o.row = row
		o.MorePods = len(o.Places) > 0 || f.isCut
	}
}

// searched is an object without the fields that hold no workload.
func searched(object map[string]any) map[string]any {
	rest := maps.Clone(object)
	maps.DeleteFunc(rest, func(field string, _ any) bool { return notSearched[field] })
	return rest
}

// countLists counts the lists of containers in which the object's own pods have some.
func (o *Object) countLists() int {
	lists, last := 0, ""
	for i := range o.Pods {
		for j := range o.Pods[i].Containers {
			path := o.Pods[i].Containers[j].Path
			list := path[:strings.LastIndexByte(path, '/')]
			if list != last && strings.HasSuffix(list, "/"+containersField) {
				lists++
			}
			last = list
		}
	}
	return lists
}

// placeFinder finds what looks like a pod in an object, as paths of a row.
type placeFinder struct {
	object *Object
	row    *Kind
	// containers are the pointers of the containers of the object's own pods, sorted, and pods those of the
	// pods.
	containers []string
	pods       map[string]bool
	trail
	// steps is the place of the search as a path.
	steps []string
	// found are rows, each once by its path, and isSeen are their positions. isLabelled are those that
	// have the opt-in label.
	found      []PodPaths
	isLabelled []bool
	isSeen     map[string]int
	// isCut is true where a place cannot be written as a path, or is one too many.
	isCut bool
}

// places are the rows that were found, those with the opt-in label first.
func (f *placeFinder) places() []PodPaths {
	var labelled, others []PodPaths
	for i, paths := range f.found {
		if f.isLabelled[i] {
			labelled = append(labelled, paths)
		} else {
			others = append(others, paths)
		}
	}
	return append(labelled, others...)
}

// below searches a field or an item of a value, which is a step of a path.
func (f *placeFinder) below(around map[string]any, step, name string, value any) {
	fields, isObject := value.(map[string]any)
	items, isList := value.([]any)
	if !isObject && !isList {
		return
	}
	if !f.enter(name) {
		f.isCut = f.isCut || seemsToHoldPod(value)
		return
	}
	f.steps = append(f.steps, step)
	if isObject {
		f.pod(around, step, fields)
		f.fields(name, fields)
	}
	for i, item := range items {
		f.below(nil, anyItem, strconv.Itoa(i), item)
	}
	f.steps = f.steps[:len(f.steps)-1]
	f.leave()
}

// fields searches the fields of a mapping, which has a name in the object, but for the object itself.
func (f *placeFinder) fields(name string, value map[string]any) {
	varies := name != "" && keysVary(name, value)
	for _, field := range slices.Sorted(maps.Keys(value)) {
		step := "." + field
		if varies {
			step = anyValue
		}
		if !podLists[field] {
			f.below(value, step, field, value[field])
		}
	}
}

// pod notes a pod spec. One in a field spec belongs to the pod, or the pod template, around it.
func (f *placeFinder) pod(around map[string]any, step string, spec map[string]any) {
	isPod := hasImages(spec[containersField]) && !f.isServed()
	if !f.object.Known && f.object.Kind != "" {
		isPod = hasContainers(spec[containersField])
	}
	if !isPod {
		return
	}
	if step == ".spec" {
		template := f.path(len(f.steps) - 1)
		f.note(template, PodPaths{PodTemplate: template}, around["metadata"])
		return
	}
	paths := PodPaths{
		Scope: f.path(len(f.steps)), Metadata: []string{"$.metadata"}, Spec: ".",
		SecurityContext: []string{"securityContext"}, Affinity: []string{"affinity"}, Volumes: "volumes",
		Containers: []string{"initContainers[*]", "containers[*]"},
	}
	metadata := f.object.Content["metadata"]
	if isMapping(spec["metadata"]) {
		paths.Metadata, metadata = []string{"metadata", "$.metadata"}, spec["metadata"]
	}
	f.note(paths.Scope, paths, metadata)
}

// isServed reports whether the row of the object finds the pod spec at the place. The built-in rows
// have the places of all pods: what else stands in one of them belongs to that pod.
func (f *placeFinder) isServed() bool {
	pointer := f.pointer()
	if isAbove(pointer+"/"+containersField, f.containers) {
		return true
	}
	for range f.tokens {
		if f.row.Source != "" && f.pods[pointer] {
			return true
		}
		pointer = pointer[:strings.LastIndexByte(pointer, '/')]
	}
	return false
}

// path writes the first steps as a path.
func (f *placeFinder) path(steps int) string {
	if steps == 0 {
		return "."
	}
	return strings.TrimPrefix(strings.Join(f.steps[:steps], ""), ".")
}

// note notes a row, once.
func (f *placeFinder) note(path string, paths PodPaths, metadata any) {
	meta, _ := metadata.(map[string]any)
	isLabelled := stringMap(meta["labels"])[Label] == LabelEnabled
	at, isSeen := f.isSeen[path]
	switch {
	case isSeen:
		f.isLabelled[at] = f.isLabelled[at] || isLabelled
	case len(f.found) == maxPlaces || strings.HasPrefix(path, anyValue):
		f.isCut = true
	default:
		f.isSeen[path] = len(f.found)
		f.found, f.isLabelled = append(f.found, paths), append(f.isLabelled, isLabelled)
	}
}

// fieldName is what the names of fields look like. Keys that users choose often do not. Source:
// Kubernetes, community contributors/devel/sig-architecture/api-conventions.md, naming conventions.
var fieldName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[a-z][A-Za-z0-9]*$`)
})

// keysVary reports whether users choose the keys of a mapping, such as the roles of a training. Then
// one of them cannot be the name of a field, or all values are alike and none has the name that API
// authors give to a single pod.
func keysVary(name string, value map[string]any) bool {
	alike, first := len(value) > 1 && name != "spec", ""
	for key, child := range value {
		if !isMapping(child) {
			alike = false
			continue
		}
		if !fieldName().MatchString(key) {
			return true
		}
		lower := strings.ToLower(key)
		alike = alike && !strings.HasSuffix(lower, "template") && !strings.HasSuffix(lower, "spec")
	}
	for _, child := range value {
		if !alike {
			break
		}
		shape := shapeOf(child, shapeDepth)
		alike = shape != "" && (first == "" || shape == first)
		first = shape
	}
	return alike
}

// shapeDepth is how many fields below values are compared, so that each field is compared for few
// mappings around it.
const shapeDepth = 4

// shapeOf is the path from a value to the first pod in it, or "" where none is near.
func shapeOf(value any, depth int) string {
	switch value := value.(type) {
	case map[string]any:
		if hasContainers(value[containersField]) {
			return "."
		}
		if depth == 0 {
			return ""
		}
		for _, field := range slices.Sorted(maps.Keys(value)) {
			if shape := shapeOf(value[field], depth-1); shape != "" {
				return "." + field + shape
			}
		}
	case []any:
		if len(value) > 0 && depth > 0 {
			if shape := shapeOf(value[0], depth-1); shape != "" {
				return anyItem + shape
			}
		}
	}
	return ""
}

// Row returns a row for the configuration that finds the pods of Places, in addition to those that
// the row in force finds. It reports false where no row can: no place is known, or the row in
// force has parts that a configuration cannot have.
func (o *Object) Row() (Kind, bool) {
	row := Kind{Group: o.Group, Kind: o.Kind}
	if o.row != nil {
		row = *o.row
		row.Pods = nil
		for _, parsed := range o.row.podRows() {
			if !reflect.ValueOf(parsed.ProjectPaths).IsZero() {
				return Kind{}, false
			}
			row.Pods = append(row.Pods, parsed.written())
		}
	}
	row.Pods = append(row.Pods, o.Places...)
	return row, len(o.Places) > 0
}

// written is the part of a row as the configuration has it: with the short form of a pod template, if
// it was written so.
func (row *podRow) written() PodPaths {
	paths := *row.PodPaths
	if paths.PodTemplate != "" {
		paths.Scope, paths.Spec, paths.Volumes = "", "", ""
		paths.Metadata, paths.SecurityContext, paths.Affinity, paths.Containers = nil, nil, nil, nil
	}
	return paths
}
