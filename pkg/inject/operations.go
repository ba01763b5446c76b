package inject

import (
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"gomodules.xyz/jsonpatch/v2"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
)

// edits collects what is added to one document: to lists, whose new items come first and in order,
// and single values. Pods of one document may share a list, so that an item is known by a key: the
// name of a volume or variable.
type edits struct {
	places []place
	// byPath are positions in places, once there are more than linearSearchLimit.
	byPath map[string]int
	// items are what is added, in the order in which it was.
	items []addedItem
	// keys are the keys of places with more items than linearSearchLimit.
	keys map[placeKey]struct{}
}

// placeKey is a key of the place at a position.
type placeKey struct {
	place int
	key   string
}

// place is a list that gets items, or a field that gets one value, at a JSON pointer.
type place struct {
	path   string
	isList bool
	// empty is true where the list was missing, null or empty.
	empty bool
	// count is how many items it has, and first and last where they are.
	count, first, last int
}

// addedItem is an item of a place. next is where the next item of that place is, if there is one.
type addedItem struct {
	key   string
	value any
	next  int
}

// newEdits makes room for what the pods of a document need, in one piece: the mount of each
// container, the volume, the security context and the annotation.
func newEdits(pods []kinds.Pod) *edits {
	room := 3
	for i := range pods {
		room += len(pods[i].Containers)
	}
	return &edits{places: make([]place, 0, room), items: make([]addedItem, 0, room)}
}

// placeOf returns the position of the place of a path. It adds the place when the path has none
// yet.
func (e *edits) placeOf(path string, isList, empty bool) (position int, isNew bool) {
	if len(e.places) <= linearSearchLimit {
		if i := slices.IndexFunc(e.places, func(p place) bool { return p.path == path }); i >= 0 {
			return i, false
		}
	} else {
		if e.byPath == nil {
			e.byPath = make(map[string]int, cap(e.places))
			for i := range e.places {
				e.byPath[e.places[i].path] = i
			}
		}
		if i, ok := e.byPath[path]; ok {
			return i, false
		}
		e.byPath[path] = len(e.places)
	}
	e.places = append(e.places, place{path: path, isList: isList, empty: empty})
	return len(e.places) - 1, true
}

// put appends an item to a place. It does not compare keys: see has.
func (e *edits) put(position int, key string, value any) {
	p, at := &e.places[position], len(e.items)
	if p.count == 0 {
		p.first = at
	} else {
		e.items[p.last].next = at
	}
	p.last = at
	p.count++
	e.items = append(e.items, addedItem{key: key, value: value})
	if p.count > linearSearchLimit {
		e.index(position)
	}
}

// index notes the keys of a place that has many: all of them the first time, and then the last one.
func (e *edits) index(position int) {
	if e.keys == nil {
		e.keys = map[placeKey]struct{}{}
	}
	p := &e.places[position]
	if p.count > linearSearchLimit+1 {
		e.keys[placeKey{position, e.items[p.last].key}] = struct{}{}
		return
	}
	for item := range e.itemsOf(position) {
		e.keys[placeKey{position, item.key}] = struct{}{}
	}
}

// itemsOf iterates over the items of a place in order.
func (e *edits) itemsOf(position int) iter.Seq[*addedItem] {
	return func(yield func(*addedItem) bool) {
		p := &e.places[position]
		for n, i := 0, p.first; n < p.count; n, i = n+1, e.items[i].next {
			if !yield(&e.items[i]) {
				return
			}
		}
	}
}

// has reports whether a place has an item of that key.
func (e *edits) has(position int, key string) bool {
	if e.places[position].count > linearSearchLimit {
		_, ok := e.keys[placeKey{position, key}]
		return ok
	}
	for item := range e.itemsOf(position) {
		if item.key == key {
			return true
		}
	}
	return false
}

// mergeInto adds to nested objects what they do not have, and reports whether that was anything. A
// value that is there remains.
func mergeInto(into, from any) bool {
	to, _ := into.(map[string]any)
	more, _ := from.(map[string]any)
	isNew := false
	for key, value := range more {
		if old, ok := to[key]; ok {
			isNew = mergeInto(old, value) || isNew
		} else if to != nil {
			to[key], isNew = value, true
		}
	}
	return isNew
}

// operations writes the edits as RFC 6902. A list that was empty gets one operation, because there
// is nothing to index.
func (e *edits) operations() []jsonpatch.Operation {
	ops := make([]jsonpatch.Operation, 0, len(e.items))
	for position := range e.places {
		p, before := &e.places[position], len(ops)
		switch {
		case !p.isList:
			ops = append(ops, jsonpatch.NewOperation("add", p.path, e.items[p.first].value))
		case p.empty:
			ops = append(ops, jsonpatch.NewOperation("add", p.path, e.values(position)))
		default:
			for item := range e.itemsOf(position) {
				ops = append(ops, jsonpatch.NewOperation("add", p.path+"/"+strconv.Itoa(len(ops)-before), item.value))
			}
		}
	}
	return ops
}

// values are those of the items of a place.
func (e *edits) values(position int) []any {
	values := make([]any, 0, e.places[position].count)
	for item := range e.itemsOf(position) {
		values = append(values, item.value)
	}
	return values
}

// addItem puts an item at the head of a list of the pod, behind what was added before, and reports
// it. It does nothing where an item of that key was added already: pods of the document share the
// list. isEmpty is true where the list is absent, null or empty.
func (p *podPatch) addItem(list string, isEmpty bool, key string, item any, report Addition) {
	position, isNew := p.edits.placeOf(list, true, isEmpty)
	if isNew || !p.edits.has(position, key) {
		p.edits.put(position, key, item)
		p.report(report)
	}
}

// setField gives a field that is absent or null a value and reports it, unless another pod of the
// document has set it.
func (p *podPatch) setField(path string, value any, reports ...Addition) {
	position, isNew := p.edits.placeOf(path, false, false)
	if !isNew {
		return
	}
	p.edits.put(position, "", value)
	for _, a := range reports {
		p.report(a)
	}
}

// mergeField gives a field a value, or adds to the objects that another pod of the document has set
// there. It reports whether something is new.
func (p *podPatch) mergeField(path string, value any, reports ...Addition) bool {
	position, isNew := p.edits.placeOf(path, false, false)
	if isNew {
		p.edits.put(position, "", value)
	} else {
		isNew = mergeInto(p.edits.items[p.edits.places[position].first].value, value)
	}
	if isNew {
		for _, a := range reports {
			p.report(a)
		}
	}
	return isNew
}

// report adds an addition to the decision. Only what the document really gets is reported: another
// pod of the document may have brought it already.
func (p *podPatch) report(a Addition) {
	if p.decision.Added == nil { // most often a volume, and a mount in each container
		p.decision.Added = make([]Addition, 0, len(p.pod.Containers)+1)
	}
	p.decision.Added = append(p.decision.Added, a)
}

// removedPlace is a list that loses items, a map that loses keys, or a field that is removed: one
// without a size.
type removedPlace struct {
	path  string
	size  int
	items []int
	keys  []string
}

// removeItem notes that an item of a list is to be removed.
func (r *removal) removeItem(list string, item int) {
	if r.isRemoved(list, item) {
		return
	}
	p := r.place(list)
	if p == nil {
		p = &removedPlace{path: list, size: len(r.list(list))}
		r.places = append(r.places, p)
	}
	p.items = append(p.items, item)
}

// removeField notes that a field is to be removed. It reports false when another pod of the object
// has it, too.
func (r *removal) removeField(path string) bool {
	if r.place(path) != nil {
		return false
	}
	r.places = append(r.places, &removedPlace{path: path})
	return true
}

// removeKey notes that a key of a map is to be removed. A map that loses every key was missing or
// empty before, and is removed as a whole, with an object that holds nothing else. It reports false
// when the key is noted already.
func (r *removal) removeKey(path string, size int, key string) bool {
	p := r.place(path)
	if p == nil {
		p = &removedPlace{path: path, size: size}
		r.places = append(r.places, p)
	}
	if slices.Contains(p.keys, key) {
		return false
	}
	p.keys = append(p.keys, key)
	return true
}

// isRemoved reports whether an item of a list is noted for removal.
func (r *removal) isRemoved(list string, item int) bool {
	p := r.place(list)
	return p != nil && slices.Contains(p.items, item)
}

// place returns what is noted for a path, or nil.
func (r *removal) place(path string) *removedPlace {
	for _, p := range r.places {
		if p.path == path {
			return p
		}
	}
	return nil
}

// operations writes the removals as RFC 6902. The items of a list are removed from its end, so that
// the others keep their place. A list that loses every item was missing or empty before, and is
// removed as a whole.
func (r *removal) operations() []jsonpatch.Operation {
	var ops []jsonpatch.Operation
	for _, p := range r.places {
		if len(p.items)+len(p.keys) == p.size {
			ops = append(ops, jsonpatch.NewOperation("remove", r.whole(p), nil))
			continue
		}
		for _, key := range p.keys {
			ops = append(ops, jsonpatch.NewOperation("remove", string(jsontext.Pointer(p.path).AppendToken(key)), nil))
		}
		slices.Sort(p.items)
		for _, item := range slices.Backward(p.items) {
			ops = append(ops, jsonpatch.NewOperation("remove", p.path+"/"+strconv.Itoa(item), nil))
		}
	}
	return ops
}

// whole is the pointer of a place that is removed as a whole: for labels, that of metadata which
// holds nothing else.
func (r *removal) whole(p *removedPlace) string {
	parent := p.path[:strings.LastIndexByte(p.path, '/')]
	if around, _ := r.lookup(parent).(map[string]any); len(p.keys) > 0 && len(around) == 1 {
		return parent
	}
	return p.path
}
