package manifest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// This file applies RFC 6902 operations to decoded values, apart from the text: the result is what
// the edited text must decode to.

// endOfList is the last token of an operation that appends to a list (RFC 6902, section 4.1).
const endOfList = "-"

// What is wrong with the path of an operation.
var (
	errNoPlace      = errors.New("there is no such place")
	errNoItem       = errors.New("there is no such item")
	errNoKey        = errors.New("there is no such key")
	errNoCollection = errors.New("neither a list nor a mapping is there")
)

// patch carries additions out on a decoded value, and reverses them.
//
// A copy of the value would cost as much as all other work on it.
type patch struct {
	// undo restores the collections that were changed, the last one first.
	undo []func()
}

// apply returns the value with the additions. The value shares its collections with the result until
// [patch.restore] is called.
func (p *patch) apply(value any, additions []addition) (any, error) {
	for _, a := range additions {
		var err error
		if value, err = p.add(value, a.path, a.value); err != nil {
			return nil, fmt.Errorf("%s: %w", a.pointer, err)
		}
	}
	return value, nil
}

// restore makes the value again what it was before the additions.
func (p *patch) restore() {
	for _, undo := range slices.Backward(p.undo) {
		undo()
	}
	p.undo = nil
}

// add is the RFC 6902 operation. It changes the collection and returns it.
func (p *patch) add(into any, path []string, value any) (any, error) {
	if len(path) == 0 {
		return value, nil
	}
	switch into := into.(type) {
	case map[string]any:
		return into, p.addToMap(into, path, value)
	case []any:
		return p.addToList(into, path, value)
	}
	return nil, errNoCollection
}

// addToMap adds to a map, or to a value inside it. Every level between must exist.
func (p *patch) addToMap(m map[string]any, path []string, value any) error {
	key := path[0]
	old, isThere := m[key]
	if !isThere && len(path) > 1 {
		return errNoPlace
	}
	changed, err := p.add(old, path[1:], value)
	if err != nil || isMap(old) && len(path) > 1 {
		return err // a map changes in its place
	}
	m[key] = changed
	p.undo = append(p.undo, func() {
		if isThere {
			m[key] = old
		} else {
			delete(m, key)
		}
	})
	return nil
}

// addToList needs no undo for items that it inserts: a decoded list has no room for them, so that they
// make another list, and what held the old one is restored.
func (p *patch) addToList(list []any, path []string, value any) (any, error) {
	if len(path) == 1 && path[0] == endOfList {
		return append(list, value), nil
	}
	i, ok := index(path[0])
	if !ok || i > len(list) || (i == len(list) && len(path) > 1) {
		return nil, errNoItem
	}
	if len(path) == 1 {
		return slices.Insert(list, i, value), nil
	}
	old := list[i]
	changed, err := p.add(old, path[1:], value)
	if err != nil {
		return nil, err
	}
	if !isMap(old) {
		list[i] = changed
		p.undo = append(p.undo, func() { list[i] = old })
	}
	return list, nil
}

// isMap reports whether a decoded value is a mapping.
func isMap(value any) bool {
	_, ok := value.(map[string]any)
	return ok
}

// replacement is what a key that is retained has instead of its value.
type replacement struct{ value any }

// remove is the RFC 6902 operation, which changes the collection and returns it. A key with a
// replacement is retained. The result shares everything else with the original, so its caller
// passes a copy.
func remove(from any, path []string, instead *replacement) (any, error) {
	switch from := from.(type) {
	case map[string]any:
		child, ok := from[path[0]]
		switch {
		case !ok:
			return nil, errNoPlace
		case len(path) == 1 && instead != nil:
			from[path[0]] = instead.value
			return from, nil
		case len(path) == 1:
			delete(from, path[0])
			return from, nil
		}
		changed, err := remove(child, path[1:], instead)
		from[path[0]] = changed
		return from, err
	case []any:
		i, ok := index(path[0])
		if !ok || i >= len(from) {
			return nil, errNoItem
		}
		if len(path) == 1 {
			return slices.Delete(from, i, i+1), nil
		}
		changed, err := remove(from[i], path[1:], instead)
		from[i] = changed
		return from, err
	}
	return nil, errNoCollection
}

// clone copies a decoded value, parts of which aliases may share, into a tree. The result has no
// part twice, so that a change of one place changes no other.
func clone(value any) any {
	switch value := value.(type) {
	case map[string]any:
		m := make(map[string]any, len(value))
		for key, child := range value {
			m[key] = clone(child)
		}
		return m
	case []any:
		list := make([]any, len(value))
		for i, child := range value {
			list[i] = clone(child)
		}
		return list
	}
	return value
}

// equal compares decoded values. Numbers are compared as text: 1.0 and 1 differ.
func equal(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && maps.EqualFunc(a, b, equal)
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, equal)
	default:
		return a == b
	}
}

// tokens splits a JSON pointer (RFC 6901). The escapes ~0 and ~1 are replaced. The pointer of the
// root has no tokens.
func tokens(pointer string) []string {
	return slices.Collect(jsontext.Pointer(pointer).Tokens())
}

// index reads a token as an index of a list. It refuses signs and leading zeros, as RFC 6901
// does.
func index(token string) (int, bool) {
	i, err := strconv.Atoi(token)
	return i, err == nil && i >= 0 && strconv.Itoa(i) == token
}
