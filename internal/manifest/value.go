package manifest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
	"gomodules.xyz/jsonpatch/v2"
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

// added returns a copy of a value with "add" operations applied.
func added(value any, ops []jsonpatch.Operation) (any, error) {
	value = clone(value)
	for _, op := range ops {
		n, err := toNode(op.Value)
		if err != nil {
			return nil, err
		}
		child, err := valueOf(n)
		if err != nil {
			return nil, err
		}
		if value, err = add(value, tokens(op.Path), child); err != nil {
			return nil, fmt.Errorf("%s: %w", op.Path, err)
		}
	}
	return value, nil
}

// add is the RFC 6902 operation. It changes the collection and returns it.
func add(into any, path []string, value any) (any, error) {
	if len(path) == 0 {
		return value, nil
	}
	switch into := into.(type) {
	case map[string]any:
		child, ok := into[path[0]]
		if !ok && len(path) > 1 {
			return nil, errNoPlace
		}
		changed, err := add(child, path[1:], value)
		if err != nil {
			return nil, err
		}
		into[path[0]] = changed
		return into, nil
	case []any:
		return addToList(into, path, value)
	}
	return nil, errNoCollection
}

func addToList(list []any, path []string, value any) (any, error) {
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
	changed, err := add(list[i], path[1:], value)
	if err != nil {
		return nil, err
	}
	list[i] = changed
	return list, nil
}

// replacement is what a key that is retained has instead of its value.
type replacement struct{ value any }

// remove is the RFC 6902 operation, which changes the collection and returns it. A key with a
// replacement is retained.
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

// clone copies a decoded value, parts of which aliases may share, into a tree.
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

// equal compares decoded values.
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

// tokens splits a JSON pointer (RFC 6901).
func tokens(pointer string) []string {
	return slices.Collect(jsontext.Pointer(pointer).Tokens())
}

// index reads a token as an index of a list.
func index(token string) (int, bool) {
	i, err := strconv.Atoi(token)
	return i, err == nil && i >= 0 && strconv.Itoa(i) == token
}
