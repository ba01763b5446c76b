package manifest

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"gomodules.xyz/jsonpatch/v2"
)

// Edit puts text in at a place of a body. It takes something away only where a null literal is filled, or where [Tree.Remove]
// takes out what was put in.
type Edit struct {
	// Offset is the place in the body.
	Offset int
	// Delete is how many bytes go: of a null literal that the text takes the place of, or of what is removed.
	Delete int
	// Text is what is put in.
	Text []byte
	// column is that of lines that are put in.
	column int
}

// OperationError tells which operation cannot be carried out.
type OperationError struct {
	// Path is the operation's JSON pointer.
	Path string
	Err  error
}

func (e *OperationError) Error() string { return e.Path + ": " + e.Err.Error() }

// Unwrap returns what is wrong there.
func (e *OperationError) Unwrap() error { return e.Err }

// Apply carries out "add" operations and returns the edits, in the order of the body. List items can be added at the head
// of a list only, in order: the end of a list is hard to tell from what follows it, its beginning never is. The edited
// text is decoded again and must equal the patched original; if not, an error says that nothing may be written.
//
// An operation whose path ends with "-" appends to a list that is the value of a root key, whose end is known.
func (t *Tree) Apply(ops []jsonpatch.Operation) ([]Edit, error) { return t.apply("", ops) }

// apply is Apply, with the name of the root's key that goes to its end.
func (t *Tree) apply(last string, ops []jsonpatch.Operation) ([]Edit, error) {
	planner := planner{tree: t, last: last, offsets: map[int]bool{}, done: map[*yaml.Node]*[]any{}, keys: map[*yaml.Node]map[string]any{}}
	for _, op := range ops {
		if err := planner.plan(op); err != nil {
			return nil, &OperationError{op.Path, err}
		}
	}
	edits := planner.edits
	// At one place, the deeper lines come first: they belong to what stands above.
	slices.SortStableFunc(edits, func(a, b Edit) int { return cmp.Or(a.Offset-b.Offset, b.column-a.column) })
	want, err := patched(t.value, ops)
	if err != nil {
		return nil, err
	}
	return edits, t.verify(want, edits)
}

// verify decodes the edited body and compares it with the patched original.
func (t *Tree) verify(want any, edits []Edit) error {
	edited, err := Decode(Splice(t.body, edits))
	if err != nil {
		return fmt.Errorf("this style of YAML cannot be edited safely: %w", err)
	}
	if !equal(want, edited.value) {
		return errors.New("this style of YAML cannot be edited safely: the edited text would mean something else, as when an alias " +
			"shares the edited list with a place that must stay: write that list out")
	}
	return nil
}

// Splice returns the body with the edits carried out.
func Splice(body []byte, edits []Edit) []byte {
	size := len(body)
	for _, e := range edits {
		size += len(e.Text)
	}
	out := bytes.NewBuffer(make([]byte, 0, size))
	_, _ = Write(out, body, edits) // a buffer takes everything
	return out.Bytes()
}

// Write writes the body with the edits carried out, in pieces and without a copy. It returns how much it wrote.
func Write(w io.Writer, body []byte, edits []Edit) (int64, error) {
	var total int64
	at := 0
	for _, e := range append(slices.Clip(edits), Edit{Offset: len(body)}) {
		for _, piece := range [][]byte{body[at:e.Offset], e.Text} {
			if len(piece) == 0 {
				continue
			}
			n, err := w.Write(piece)
			total += int64(n)
			if err != nil {
				return total, err
			}
		}
		at = e.Offset + e.Delete
	}
	return total, nil
}

// planner finds the place of every operation. Through aliases several operations may have one place: what is put in there
// once serves them all, and the verification tells whether that is right.
type planner struct {
	tree  *Tree
	edits []Edit
	// offsets are the places of the edits.
	offsets map[int]bool
	// done are the items that were put in at the head of a list.
	done map[*yaml.Node]*[]any
	// keys are the values that were given to keys of a mapping.
	keys map[*yaml.Node]map[string]any
	// last is the name of the root's key that goes to its end.
	last string
}

func (p *planner) plan(op jsonpatch.Operation) error {
	if op.Operation != "add" {
		return fmt.Errorf("operation %q is not supported, only add is", op.Operation)
	}
	tokens := tokens(op.Path)
	if len(tokens) == 0 {
		return errors.New("the whole document cannot be replaced")
	}
	last := tokens[len(tokens)-1]
	parent := p.tree.find(tokens[:len(tokens)-1])
	value, err := toNode(op.Value)
	if err != nil {
		return err
	}
	switch {
	case parent == nil:
		return errors.New("there is no such place")
	case parent.Kind == yaml.SequenceNode && last == endOfList:
		return atLine(parent, p.appendItem(parent, value))
	case parent.Kind == yaml.SequenceNode:
		return atLine(parent, p.addItem(parent, last, value))
	case parent.Kind == yaml.MappingNode:
		return atLine(parent, p.addKey(parent, last, value))
	}
	return errors.New("neither a list nor a mapping is there")
}

// atLine tells where a style of YAML is that no rule covers, and what to do.
func atLine(n *yaml.Node, err error) error {
	if errors.Is(err, errStyle) {
		return fmt.Errorf("line %d: %w: write it in plain block style", n.Line, err)
	}
	return err
}

// addItem puts an item at the head of a list that is not empty.
func (p *planner) addItem(list *yaml.Node, token string, value *yaml.Node) error {
	i, ok := index(token)
	if !ok {
		return fmt.Errorf("%q is no index", token)
	}
	plain, err := plainValue(value)
	if err != nil {
		return err
	}
	done := p.done[list]
	if done == nil {
		done = &[]any{}
		p.done[list] = done
	}
	if i < len(*done) && equal((*done)[i], plain) {
		return nil // an alias leads here, too
	}
	if i != len(*done) {
		return errors.New("items are added at the head of a list, in order")
	}
	*done = append(*done, plain)
	return p.insertItem(list, value)
}

// addKey gives a mapping a key, or fills it where it is null or empty.
func (p *planner) addKey(mapping *yaml.Node, name string, value *yaml.Node) error {
	plain, err := plainValue(value)
	if err != nil {
		return err
	}
	if p.keys[mapping] == nil {
		p.keys[mapping] = map[string]any{}
	}
	if before, ok := p.keys[mapping][name]; ok && equal(before, plain) {
		return nil // an alias leads here, too
	}
	p.keys[mapping][name] = plain
	if key, old := entry(mapping, name); old != nil {
		return p.fill(mapping, key, old, value)
	}
	if mapping == p.tree.root && name == p.last {
		return p.appendKey(name, value)
	}
	return p.insertKey(mapping, name, value)
}

func (p *planner) edit(offset, remove int, text []byte) {
	p.insert(Edit{Offset: offset, Delete: remove, Text: text})
}

func (p *planner) insert(e Edit) {
	p.offsets[e.Offset] = true
	p.edits = append(p.edits, e)
}

// plainValue decodes a node that we made ourselves.
func plainValue(n *yaml.Node) (any, error) {
	return newExpander().expand(n)
}

// patched applies the operations to a decoded body: an RFC 6902 "add" on plain values, apart from the text.
func patched(value any, ops []jsonpatch.Operation) (any, error) {
	value = clone(value)
	for _, op := range ops {
		n, err := toNode(op.Value)
		if err != nil {
			return nil, err
		}
		added, err := plainValue(n)
		if err != nil {
			return nil, err
		}
		if value, err = add(value, tokens(op.Path), added); err != nil {
			return nil, fmt.Errorf("%s: %w", op.Path, err)
		}
	}
	return value, nil
}

// add is the RFC 6902 operation on a decoded value. It returns a changed copy, which shares what did not change.
func add(into any, path []string, value any) (any, error) {
	if len(path) == 0 {
		return value, nil
	}
	switch into := into.(type) {
	case map[string]any:
		child, ok := into[path[0]]
		if !ok && len(path) > 1 {
			return nil, errors.New("there is no such place")
		}
		changed, err := add(child, path[1:], value)
		if err != nil {
			return nil, err
		}
		into[path[0]] = changed
		return into, nil
	case []any:
		if len(path) == 1 && path[0] == endOfList {
			return append(into, value), nil
		}
		i, ok := index(path[0])
		if !ok || i > len(into) || (i == len(into) && len(path) > 1) {
			return nil, errors.New("there is no such item")
		}
		if len(path) == 1 {
			return slices.Insert(into, i, value), nil
		}
		changed, err := add(into[i], path[1:], value)
		if err != nil {
			return nil, err
		}
		into[i] = changed
		return into, nil
	}
	return nil, errors.New("neither a list nor a mapping is there")
}

// clone copies a decoded value, which aliases may share in parts, into a tree.
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
	if pointer == "" {
		return nil
	}
	parts := strings.Split(pointer[1:], "/")
	for i, part := range parts {
		parts[i] = strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~")
	}
	return parts
}

// index reads a token as an index of a list.
func index(token string) (int, bool) {
	i, err := strconv.Atoi(token)
	return i, err == nil && i >= 0 && strconv.Itoa(i) == token
}

// LineBreak returns the line break that the text around a place uses.
func LineBreak(body []byte, offset int) string {
	end := bytes.IndexByte(body[offset:], '\n')
	if end < 0 {
		offset = max(0, offset-1)
		end = bytes.LastIndexByte(body[:offset], '\n') - offset
	}
	if i := offset + end; i > 0 && body[i-1] == '\r' {
		return "\r\n"
	}
	return "\n"
}
