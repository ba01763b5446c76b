package kinds

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Bounds of the search for objects inside an object, so that its cost grows with the size of a
// document only. What is beyond them is not edited and counts as [Object.MorePods].
const (
	// maxPointer is how many bytes the JSON pointer of an object inside another one may have.
	maxPointer = 1024
	// maxLevels is how many objects may stand around one.
	maxLevels = 8
)

// notSearched are fields of an object that hold no workload. Annotations are notes about the object,
// such as the text of the object itself (kubectl.kubernetes.io/last-applied-configuration), and
// managedFields are field names. Source: Kubernetes, docs/concepts/overview/working-with-objects and
// meta/v1 ManagedFieldsEntry.
var notSearched = map[string]bool{"metadata": true, "status": true}

// Text is a text in an object that may describe pods: a manifest in a ConfigMap, or in a field of a
// custom resource.
type Text struct {
	// Path is the JSON pointer of the text in its document.
	Path  string
	Value string
}

// isEmbedded reports whether a decoded value is an object with content. One with scalar fields and
// metadata only refers to another object, such as an owner or the target of an autoscaler.
func isEmbedded(value map[string]any) bool {
	if StringOf(value["apiVersion"]) == "" || StringOf(value["kind"]) == "" {
		return false
	}
	for field, content := range value {
		switch content.(type) {
		case map[string]any, []any:
			if !notSearched[field] {
				return true
			}
		}
	}
	return false
}

// overview is what a first look at an object shows, in no order and without memory of its own: most
// objects have nothing to search for.
type overview struct {
	hasObject, hasText bool
	// lists is how many lists of containers there are.
	lists int
}

// overviewOf looks at the searched fields of an object.
func overviewOf(object map[string]any) overview {
	var o overview
	for field, value := range object {
		if !notSearched[field] {
			o.look(value)
		}
	}
	return o
}

// look looks at a decoded value.
func (o *overview) look(value any) {
	switch value := value.(type) {
	case string:
		o.hasText = o.hasText || MayDescribePod(value)
	case map[string]any:
		o.hasObject = o.hasObject || isEmbedded(value)
		if hasContainers(value[containersField]) {
			o.lists++
		}
		for _, child := range value {
			o.look(child)
		}
	case []any:
		for _, item := range value {
			o.look(item)
		}
	}
}

// search collects what stands in an object and is found by itself: other objects, and texts.
type search struct {
	table  Table
	around *Object
	// level is how many objects stand around what is found.
	level int
	// wrapped are the pointers of the objects that the row of the object names.
	wrapped map[string]bool
	// containers are the pointers of the containers of the object's own pods, sorted.
	containers []string
	trail
	// objects and texts are what was found, by the names of fields and in the order of lists.
	objects []Object
	texts   []Text
	// taken counts the values that were taken out.
	taken int
}

// findInside finds the objects and texts in an object, but for the objects that its row names. It
// takes all these objects out of the content, and returns an overview of what is left.
func (k Table) findInside(o *Object, wrapped []node, level int) ([]Object, overview) {
	first := overviewOf(o.Content)
	if !first.hasObject && !first.hasText && len(wrapped) == 0 {
		return nil, first
	}
	s := search{
		table: k, around: o, level: level + 1, wrapped: map[string]bool{}, containers: o.containerPaths(),
		trail: trail{start: o.Path},
	}
	for i := range wrapped {
		s.wrapped[wrapped[i].pointer] = true
	}
	content := maps.Clone(o.Content)
	for _, field := range slices.Sorted(maps.Keys(content)) {
		if !notSearched[field] {
			content[field] = s.below(field, content[field])
		}
	}
	o.Texts = s.texts
	if s.taken == 0 {
		return nil, first
	}
	o.Content = content
	for i := range s.objects {
		s.objects[i].inherit(o, true)
		s.objects[i].Deferred = s.objects[i].Deferred || !o.Known // nothing shows when it is created
	}
	return s.objects, overviewOf(content)
}

// containerPaths are the pointers of all containers of the object's pods, sorted.
func (o *Object) containerPaths() []string {
	var paths []string
	for i := range o.Pods {
		for j := range o.Pods[i].Containers {
			paths = append(paths, o.Pods[i].Containers[j].Path)
		}
	}
	slices.Sort(paths)
	return paths
}

// below searches a field or an item, and returns it without the objects in it. What changes is a
// copy.
func (s *search) below(name string, value any) any {
	if !s.enter(name) {
		return value
	}
	defer s.leave()
	switch value := value.(type) {
	case string:
		if MayDescribePod(value) {
			s.texts = append(s.texts, Text{s.pointer(), value})
		}
	case map[string]any:
		if rest, isObject := s.object(value); isObject {
			return rest
		}
		return s.fields(value)
	case []any:
		return s.items(value)
	}
	return value
}

// fields searches the fields of a mapping.
func (s *search) fields(value map[string]any) map[string]any {
	rest, isCopy := value, false
	for _, field := range slices.Sorted(maps.Keys(value)) {
		before := s.taken
		child := s.below(field, value[field])
		if s.taken == before {
			continue
		}
		if !isCopy {
			rest, isCopy = maps.Clone(value), true
		}
		rest[field] = child
	}
	return rest
}

// items searches the items of a list.
func (s *search) items(value []any) []any {
	rest, isCopy := value, false
	for i, item := range value {
		before := s.taken
		child := s.below(strconv.Itoa(i), item)
		if s.taken == before {
			continue
		}
		if !isCopy {
			rest, isCopy = slices.Clone(value), true
		}
		rest[i] = child
	}
	return rest
}

// object finds the objects of a mapping that is one itself, and returns what is left of it: nothing,
// unless it only surrounds others. It reports false for what is no object, or is one of the pods of
// the object around it.
func (s *search) object(value map[string]any) (rest any, isObject bool) {
	if len(s.wrapped) > 0 && s.wrapped[s.pointer()] {
		s.taken++
		return nil, true
	}
	if !isEmbedded(value) || s.level > maxLevels || isAbove(s.pointer(), s.containers) {
		return nil, false
	}
	objects, err := s.table.find(value, s.around, s.pointer(), "", "", s.level)
	if err != nil { // only the API server can judge what stands in a kind that is not known
		o := identify(value, s.pointer(), "", "")
		o.Around, o.Problem = s.around, err.Error()
		objects = []Object{o}
	}
	if len(objects) > 0 && objects[0].Path == s.pointer() && !objects[0].isFound() { // it only surrounds the others
		rest, objects = objects[0].Content, objects[1:]
	}
	if len(objects) == 0 {
		return value, true
	}
	s.taken++
	s.objects = append(s.objects, objects...)
	return rest, true
}

// isFound reports whether there is something to decide about in an object that stands in another one.
func (o *Object) isFound() bool {
	return o.Problem != "" || o.IsPolicy || len(o.Pods) > 0 || o.MorePods || len(o.Texts) > 0 || o.Known && o.Advice != ""
}

// isAbove reports whether one of the sorted pointers is below a pointer.
func isAbove(pointer string, sorted []string) bool {
	below := pointer + "/"
	i, _ := slices.BinarySearch(sorted, below)
	return i < len(sorted) && strings.HasPrefix(sorted[i], below)
}

// trail is the way from an object to a place in it. Its pointer is made when something is found
// there.
type trail struct {
	// start is the pointer of the object.
	start string
	// tokens are the tokens of the pointer, with their slashes, and length counts their bytes.
	tokens []string
	length int
}

// enter goes to a field or an item, unless that is too far away.
func (t *trail) enter(name string) bool {
	token := string(jsontext.Pointer("").AppendToken(name))
	if len(t.start)+t.length+len(token) > maxPointer {
		return false
	}
	t.tokens, t.length = append(t.tokens, token), t.length+len(token)
	return true
}

// leave goes back.
func (t *trail) leave() {
	last := len(t.tokens) - 1
	t.tokens, t.length = t.tokens[:last], t.length-len(t.tokens[last])
}

// pointer is the JSON pointer of the place.
func (t *trail) pointer() string { return t.start + strings.Join(t.tokens, "") }
