package manifest

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"

	"gomodules.xyz/jsonpatch/v2"
)

// collection is a list or a mapping in one style of YAML. Its methods return the edits that change
// it, or errStyle where no rule covers the text.
//
// New elements are handed over as a node of the collection's own kind, which holds them.
type collection interface {
	// insertFirst puts elements in front of the first one. Called again, it puts the next ones
	// behind those that it put there before.
	insertFirst(elements *node) (Edit, error)
	// append puts elements behind the last one. It returns errStyle where the end of the collection
	// is not certain.
	append(elements *node) (Edit, error)
	// setKey gives a key that is null its value. The null may have no text at all, as behind a key
	// with nothing after the colon.
	setKey(key, null, value *node) Edit
	// remove removes elements. First and last are the first and the last of their nodes. They are
	// indexes in the node's content, where a key and its value count as two.
	remove(first, last int) (Edit, error)
}

// errStyle refuses a place that no rule covers. Callers add the line, see withLine.
var errStyle = errors.New("this style of YAML cannot be edited safely")

// OperationError is an operation that cannot be carried out. The caller can find the object that
// the operation is about by its path.
type OperationError struct {
	// Path is the operation's JSON pointer.
	Path string
	Err  error
}

func (e *OperationError) Error() string { return e.Path + ": " + e.Err.Error() }

// Unwrap returns the reason.
func (e *OperationError) Unwrap() error { return e.Err }

// Apply carries out "add" operations and returns the edits, in the order of the body. The edited
// text is decoded again and must equal the patched original. If it does not, Apply returns an error
// and nothing may be written.
//
// List items can be added at the head of a list only, in order: the beginning of a list is always
// known, its end is hard to find. An operation whose path ends with "-" appends to a list that is
// the value of a root key: there the end is known.
func (t *Tree) Apply(ops []jsonpatch.Operation) ([]Edit, error) { return t.ApplyWithLast("", ops) }

// ApplyWithLast does what [Tree.Apply] does, and puts a new key of that name at the end of the root
// mapping instead of its head.
func (t *Tree) ApplyWithLast(key string, ops []jsonpatch.Operation) ([]Edit, error) {
	p := additions{
		tree: t, lastKey: key,
		collections: map[*node]collection{},
		items:       map[*node]*[]any{},
		keys:        map[*node]map[string]any{},
	}
	steps := make([]addition, len(ops))
	for i, op := range ops {
		step, err := newAddition(op)
		if err == nil {
			err = p.plan(step)
		}
		if err != nil {
			return nil, &OperationError{op.Path, err}
		}
		steps[i] = step
	}
	slices.SortStableFunc(p.edits, func(a, b Edit) int {
		return cmp.Or(a.Start-b.Start, b.column-a.column)
	})
	var patch patch
	defer patch.restore()
	want, err := patch.apply(t.value, steps)
	if err != nil {
		return nil, err
	}
	return p.edits, t.verify(want, p.edits)
}

// Remove carries out "remove" operations and returns the edits, in the order of the body: it
// removes what [Tree.Apply] adds, and nothing else. The operations are in the order that RFC 6902
// needs, with the items of a list from its end, so that their paths are those of the original,
// too.
//
// When a whole list or mapping is removed, its key is removed if [Tree.Apply] can have added it.
// The key is retained, without a value, if the text shows that it was there before: see
// [removals.isAdded]. The edited text is decoded again and must equal the patched original. If it
// does not, Remove returns an error and nothing may be written.
func (t *Tree) Remove(ops []jsonpatch.Operation) ([]Edit, error) {
	p := removals{tree: t, removed: map[*node]bool{}, retained: map[*node]bool{}}
	for _, op := range ops {
		if err := p.plan(op); err != nil {
			return nil, &OperationError{op.Path, err}
		}
	}
	for i := 0; i < len(p.holders); i++ { // a retained key makes a holder of its value
		p.retainKeys(p.holders[i])
	}
	for _, holder := range p.holders {
		if err := p.remove(holder); err != nil {
			return nil, err
		}
	}
	want, err := p.want(ops)
	if err != nil {
		return nil, err
	}
	edits := p.joined()
	if err := t.verify(want, edits); err != nil {
		return nil, fmt.Errorf("line %d: %w", p.firstLine(), err)
	}
	return edits, nil
}

// usualBody is how long an edited body usually is at most. Memory that is not written to costs nothing.
const usualBody = 64 << 10

// editedBodies are buffers for them.
var editedBodies = sync.Pool{New: func() any { return bytes.NewBuffer(make([]byte, 0, usualBody)) }}

// verify parses the edited body and compares it with the patched original. This is the promise of
// the package: no rule above needs to be right for every text, because a wrong edit is refused
// here.
func (t *Tree) verify(want any, edits []Edit) error {
	text := editedBodies.Get().(*bytes.Buffer)
	defer editedBodies.Put(text)
	text.Reset()
	_, _ = Write(text, t.body, edits) // writing to a buffer does not fail
	edited, err := parse(text.Bytes())
	if err != nil {
		return fmt.Errorf("%w: %w", errStyle, err)
	}
	defer edited.Release()
	same := want == nil
	if edited.root != nil {
		same, err = newExpander().equals(edited.root, want)
	}
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", errStyle, err)
	case !same:
		return fmt.Errorf("%w: the edited text would mean something else, as when an alias "+
			"shares the edited list with a place that must stay: write that list out", errStyle)
	}
	return nil
}

// collection returns a node in its style. An empty block collection has no text, so go-yaml returns
// none.
func (t *Tree) collection(n *node) collection {
	if len(n.Content) == 0 || isFlow(n) {
		return &flowCollection{tree: t, node: n}
	}
	return &blockCollection{tree: t, node: n}
}

// withLine adds the line and what to do to a style of YAML that no rule covers.
func withLine(n *node, err error) error {
	if errors.Is(err, errStyle) {
		return fmt.Errorf("line %d: %w: write it in plain block style", n.Line, err)
	}
	return err
}

// additions finds the place of every "add" operation. Through aliases several operations may have
// one place: what is added there once serves them all, and verify shows whether that is right.
type additions struct {
	tree *Tree
	// lastKey is the name of the root's key that goes to its end.
	lastKey string
	edits   []Edit
	// collections are those that have edits already.
	collections map[*node]collection
	// items are the items that were added at the head of a list.
	items map[*node]*[]any
	// keys are the values that were given to keys of a mapping.
	keys map[*node]map[string]any
}

// addition is an "add" operation with its value encoded once: the node becomes text, and the decoded
// value is what this text must mean.
type addition struct {
	pointer string
	path    []string
	node    *node
	value   any
}

// newAddition reads an operation. It refuses every operation but add, and the root as its target.
func newAddition(op jsonpatch.Operation) (addition, error) {
	if op.Operation != "add" {
		return addition{}, fmt.Errorf("operation %q is not supported, only add is", op.Operation)
	}
	path := tokens(op.Path)
	if len(path) == 0 {
		return addition{}, errors.New("the whole document cannot be replaced")
	}
	node, err := toNode(op.Value)
	if err != nil {
		return addition{}, err
	}
	value, err := valueOf(node)
	return addition{pointer: op.Path, path: path, node: node, value: value}, err
}

// plan finds the edit of one addition. The tree is not changed: later additions see it as it was.
func (p *additions) plan(a addition) error {
	last := a.path[len(a.path)-1]
	parent := p.tree.find(a.path[:len(a.path)-1])
	switch {
	case parent == nil:
		return errNoPlace
	case parent.Kind == aSequence && last == endOfList:
		apiVersionFirst(a.node)
		return withLine(parent, p.add(p.collection(parent).append(itemNode(a.node))))
	case parent.Kind == aSequence:
		return withLine(parent, p.addItem(parent, last, a))
	case parent.Kind == aMapping:
		return withLine(parent, p.addKey(parent, last, a))
	}
	return errNoCollection
}

// addItem puts an item at the head of a list, behind those that were put there before.
func (p *additions) addItem(list *node, token string, a addition) error {
	i, ok := index(token)
	if !ok {
		return fmt.Errorf("%q is no index", token)
	}
	items := p.items[list]
	if items == nil {
		items = &[]any{}
		p.items[list] = items
	}
	if i < len(*items) && equal((*items)[i], a.value) {
		return nil // another alias of the list was here before
	}
	if i != len(*items) {
		return errors.New("items are added at the head of a list, in order")
	}
	*items = append(*items, a.value)
	return p.add(p.collection(list).insertFirst(itemNode(a.node)))
}

// addKey adds a key to a mapping, or gives one that is null or empty its value. A key that has a
// value is refused: an addition never replaces.
func (p *additions) addKey(mapping *node, name string, a addition) error {
	if p.keys[mapping] == nil {
		p.keys[mapping] = map[string]any{}
	}
	if before, ok := p.keys[mapping][name]; ok && equal(before, a.value) {
		return nil // another alias of the mapping was here before
	}
	p.keys[mapping][name] = a.value
	key, old := entry(mapping, name)
	switch {
	case old != nil:
		return p.setKey(mapping, key, old, a.node)
	case mapping == p.tree.root && name == p.lastKey:
		return p.add(p.collection(mapping).append(keyNode(name, a.node)))
	}
	return p.add(p.collection(mapping).insertFirst(keyNode(name, a.node)))
}

// setKey gives a key that is null or empty its value. It refuses what has an anchor or a tag:
// other places of the document may depend on it.
func (p *additions) setKey(mapping, key, old, value *node) error {
	isEmpty := old.Kind != aScalar && len(old.Content) == 0
	switch {
	case old.Kind == anAlias || old.HasAnchor || old.Style&taggedStyle != 0:
		return errStyle
	case isEmpty && old.Kind != value.Kind:
		return errors.New("an empty value of another type is there")
	case isEmpty:
		return p.add(p.collection(old).insertFirst(value))
	case old.Kind != aScalar || old.Tag != nullTag:
		return errors.New("there is a value already")
	}
	return p.add(p.collection(mapping).setKey(key, old, value), nil)
}

// add notes an edit.
func (p *additions) add(e Edit, err error) error {
	if err == nil {
		p.edits = append(p.edits, e)
	}
	return err
}

// collection returns the collection of a node, the same one each time. A flow collection
// remembers whether it has new elements, which need commas between them.
func (p *additions) collection(n *node) collection {
	if p.collections[n] == nil {
		p.collections[n] = p.tree.collection(n)
	}
	return p.collections[n]
}

// itemNode returns a list of one item.
func itemNode(item *node) *node {
	return &node{Kind: aSequence, Content: []*node{item}}
}

// keyNode returns a mapping of one key.
func keyNode(name string, value *node) *node {
	return &node{Kind: aMapping, Content: []*node{stringNode(name), value}}
}

// removals finds the text of every "remove" operation. Through aliases several operations may have
// one place, which is removed once: verify shows whether that is right.
type removals struct {
	tree *Tree
	// removed are the items of lists and the keys of mappings that are removed.
	removed map[*node]bool
	// retained are the keys whose value is removed.
	retained map[*node]bool
	// holders are the lists and mappings that lose something.
	holders []*node
	edits   []Edit
}

// plan notes what one operation removes. Edits are made later, when everything is noted, so that
// neighbors are removed together.
func (p *removals) plan(op jsonpatch.Operation) error {
	if op.Operation != "remove" {
		return fmt.Errorf("operation %q is not supported, only remove is", op.Operation)
	}
	tokens := tokens(op.Path)
	if len(tokens) == 0 {
		return errors.New("the whole document cannot be removed")
	}
	last := tokens[len(tokens)-1]
	parent := p.tree.find(tokens[:len(tokens)-1])
	switch {
	case parent == nil:
		return errNoPlace
	case parent.Kind == aSequence:
		i, ok := index(last)
		if !ok || i >= len(parent.Content) {
			return errNoItem
		}
		p.note(parent, parent.Content[i])
		return nil
	}
	key, _ := entry(parent, last)
	if key == nil {
		return errNoKey
	}
	p.note(owner(parent, key), key)
	return nil
}

// note notes that an item or a key is removed. Holders are in the order in which they were noted,
// so that edits and errors are the same each time.
func (p *removals) note(holder, element *node) {
	p.removed[element] = true
	if !slices.Contains(p.holders, holder) {
		p.holders = append(p.holders, holder)
	}
}

// retainKeys decides which of a mapping's removed keys are retained. The content of their values is
// removed instead.
func (p *removals) retainKeys(mapping *node) {
	if mapping.Kind != aMapping {
		return
	}
	atHead := true
	for i := 0; i < len(mapping.Content); i += 2 {
		key, value := mapping.Content[i], mapping.Content[i+1]
		if !p.removed[key] || p.isAdded(mapping, key, value, atHead) {
			atHead = atHead && p.removed[key]
			continue
		}
		atHead = false
		delete(p.removed, key)
		p.retained[key] = true
		target := follow(value)
		for j := 0; j < len(target.Content); j += step(target) {
			p.note(target, target.Content[j])
		}
	}
}

// isAdded reports whether [Tree.Apply] can have added a key together with its value:
//   - to a mapping in block style it adds a key without needless quotes, alone on its line, and a
//     value in block style;
//   - to one in flow style it adds a quoted key, at the head.
//
// Every other key was there before, with a list or a mapping that was empty, or null; so was one
// that is there twice.
func (p *removals) isAdded(mapping, key, value *node, atHead bool) bool {
	switch {
	case isRepeated(mapping, key):
		return false // without it another would count
	case value.Kind == aScalar:
		return true
	case value.Kind == anAlias || value.HasAnchor || value.Style&taggedStyle != 0:
		return false
	case isFlow(mapping):
		return atHead && key.Style&doubleQuotedStyle != 0
	case isFlow(value) || key.Style != stringNode(key.Value).Style:
		return false
	}
	end, ok := p.tree.end(key)
	return ok && len(p.tree.restOfLine(end)) == 1 // the colon
}

// remove removes the noted elements of a list or a mapping, neighbours together.
func (p *removals) remove(holder *node) error {
	n := step(holder)
	for i := 0; i < len(holder.Content); i += n {
		if !p.removed[holder.Content[i]] {
			continue
		}
		first := i
		for i+n < len(holder.Content) && p.removed[holder.Content[i+n]] {
			i += n
		}
		e, err := p.tree.collection(holder).remove(first, i+n-1)
		if err != nil {
			return withLine(holder.Content[first], err)
		}
		p.edits = append(p.edits, e)
	}
	return nil
}

// firstLine is the line of the first element that is removed.
func (p *removals) firstLine() int {
	first := 0
	for element := range p.removed {
		if first == 0 || element.Line < first {
			first = element.Line
		}
	}
	return first
}

// want returns a copy of the decoded body with the operations applied. A retained key gets an
// empty value there, or null.
func (p *removals) want(ops []jsonpatch.Operation) (any, error) {
	value := clone(p.tree.value)
	for _, op := range ops {
		path := tokens(op.Path)
		key, old := entry(p.tree.find(path[:len(path)-1]), path[len(path)-1])
		var instead *replacement
		if p.retained[key] {
			instead = &replacement{emptied(old)}
		}
		var err error
		if value, err = remove(value, path, instead); err != nil {
			return nil, fmt.Errorf("%s: %w", op.Path, err)
		}
	}
	return value, nil
}

// emptied is the value of a collection without its elements. In block style no text remains of
// it, which is null. It returns the same for an alias as for what the alias stands for.
func emptied(n *node) any {
	n = follow(n)
	switch {
	case n == nil || !isFlow(n):
		return nil
	case n.Kind == aMapping:
		return map[string]any{}
	}
	return []any{}
}

// joined sorts the edits and joins those that touch. An edit up to the end of a text that ends
// without a line break removes the one in front of it.
func (p *removals) joined() []Edit {
	slices.SortFunc(p.edits, func(a, b Edit) int { return a.Start - b.Start })
	joined := make([]Edit, 0, len(p.edits))
	for _, e := range p.edits {
		if n := len(joined); n > 0 && e.Start <= joined[n-1].End {
			joined[n-1].End = max(joined[n-1].End, e.End)
			continue
		}
		joined = append(joined, e)
	}
	body := p.tree.body
	for i := range joined {
		if e := &joined[i]; e.End == len(body) && !bytes.HasSuffix(body, []byte("\n")) {
			text := bytes.TrimSuffix(body[:e.Start], []byte("\n"))
			e.Start = len(bytes.TrimSuffix(text, []byte("\r")))
		}
	}
	return joined
}
