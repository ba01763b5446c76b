package inject

import (
	"iter"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
	"gomodules.xyz/jsonpatch/v2"
)

// edits collects what is added to one document: to lists, whose new items come first and in order, and single values.
// Pods of one document may share a list, so that an item is known by a key: the name of a volume or variable.
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

type place struct {
	path   string
	isList bool
	// empty says that the list was missing, null or empty.
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

// newEdits makes room for what a pod needs: its volumes, its security context, its mark, and each container's mount.
func newEdits(containers int) *edits {
	const others = 3
	return &edits{places: make([]place, 0, containers+others), items: make([]addedItem, 0, containers+others)}
}

// at returns the position of a path's place, which it makes when there is none.
func (e *edits) at(path string, isList, empty bool) (position int, isNew bool) {
	if i, ok := e.find(path); ok {
		return i, false
	}
	e.places = append(e.places, place{path: path, isList: isList, empty: empty})
	if e.byPath != nil {
		e.byPath[path] = len(e.places) - 1
	}
	return len(e.places) - 1, true
}

// find returns the position of a path's place.
func (e *edits) find(path string) (int, bool) {
	if len(e.places) <= linearSearchLimit {
		i := slices.IndexFunc(e.places, func(p place) bool { return p.path == path })
		return i, i >= 0
	}
	if e.byPath == nil {
		e.byPath = make(map[string]int, cap(e.places))
		for i := range e.places {
			e.byPath[e.places[i].path] = i
		}
	}
	i, ok := e.byPath[path]
	return i, ok
}

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

// itemsOf visits the items of a place in order.
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

// add puts an item at the head of a list, behind what was added before. It reports false when an item of that key was
// added already.
func (e *edits) add(path string, empty bool, key string, item any) bool {
	position, isNew := e.at(path, true, empty)
	if !isNew && e.has(position, key) {
		return false
	}
	e.put(position, key, item)
	return true
}

// set gives a field that is absent or null a value. It reports false when another pod of the document has set it.
func (e *edits) set(path string, value any) bool {
	position, isNew := e.at(path, false, false)
	if isNew {
		e.put(position, "", value)
	}
	return isNew
}

// merge gives a field a value, or adds to the objects that another pod of the document has set there. It reports false when
// all of it is there.
func (e *edits) merge(path string, value any) bool {
	if e.set(path, value) {
		return true
	}
	position, _ := e.find(path)
	return mergeInto(e.items[e.places[position].first].value, value)
}

// mergeInto adds to nested objects what they do not have.
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

// entry adds a key to a map. A map that is missing, null or empty is added as a whole, and with the field below which it
// stands when the object that holds it is missing, too: then the path is that object's. It reports false when the key was
// added already.
func (e *edits) entry(path, below string, empty bool, key, value string) bool {
	if !empty {
		return e.set(string(jsontext.Pointer(path).AppendToken(key)), value)
	}
	entry := map[string]any{key: value}
	if below != "" {
		entry = map[string]any{below: entry}
	}
	return e.merge(path, entry)
}

// operations writes the edits as RFC 6902. A list that was empty gets one operation, because there is nothing to index.
func (e *edits) operations() []jsonpatch.Operation {
	ops := make([]jsonpatch.Operation, 0, len(e.items))
	for position := range e.places {
		p := &e.places[position]
		switch {
		case !p.isList:
			ops = append(ops, jsonpatch.NewOperation("add", p.path, e.values(position)[0]))
		case p.empty:
			ops = append(ops, jsonpatch.NewOperation("add", p.path, e.values(position)))
		default:
			for i, value := range e.values(position) {
				ops = append(ops, jsonpatch.NewOperation("add", p.path+"/"+strconv.Itoa(i), value))
			}
		}
	}
	return ops
}

// values are the items of a place.
func (e *edits) values(position int) []any {
	values := make([]any, 0, e.places[position].count)
	for item := range e.itemsOf(position) {
		values = append(values, item.value)
	}
	return values
}
