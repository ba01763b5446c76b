package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"gomodules.xyz/jsonpatch/v2"
)

// Remove carries out "remove" operations and returns the edits, in the order of the body: it takes out what [Tree.Apply] puts
// in, and nothing beside it. The operations stand as RFC 6902 wants them, with the items of a list from its end, and their
// paths are those of the original, too.
//
// When a whole list or mapping is removed, its key goes where it could have been put in with it, and stays without a value
// where the text shows that it was there before: see [remover.goes]. The edited text is decoded again and must equal the
// patched original; if not, an error says that nothing may be written.
func (t *Tree) Remove(ops []jsonpatch.Operation) ([]Edit, error) {
	r := remover{tree: t, gone: map[*yaml.Node]bool{}, stays: map[*yaml.Node]bool{}}
	for _, op := range ops {
		if err := r.plan(op); err != nil {
			return nil, &OperationError{op.Path, err}
		}
	}
	for i := 0; i < len(r.holders); i++ { // a key that stays makes a holder of its value
		r.keepKeys(r.holders[i])
	}
	for _, holder := range r.holders {
		if err := r.cut(holder); err != nil {
			return nil, err
		}
	}
	want, err := r.wanted(ops)
	if err != nil {
		return nil, err
	}
	edits := r.edits()
	if err := t.verify(want, edits); err != nil {
		return nil, fmt.Errorf("line %d: %w", r.firstLine(), err)
	}
	return edits, nil
}

// remover finds the text of every operation. Through aliases several operations may have one place, which is taken once;
// the verification tells whether that is right.
type remover struct {
	tree *Tree
	// gone are the items of lists and the keys of mappings that go.
	gone map[*yaml.Node]bool
	// stays are the keys that stay, without a value.
	stays map[*yaml.Node]bool
	// holders are the lists and mappings that lose something.
	holders []*yaml.Node
	cuts    []span
}

// span is a part of the body.
type span struct{ from, to int }

func (r *remover) plan(op jsonpatch.Operation) error {
	if op.Operation != "remove" {
		return fmt.Errorf("operation %q is not supported, only remove is", op.Operation)
	}
	tokens := tokens(op.Path)
	if len(tokens) == 0 {
		return errors.New("the whole document cannot be removed")
	}
	last := tokens[len(tokens)-1]
	parent := r.tree.find(tokens[:len(tokens)-1])
	switch {
	case parent == nil:
		return errors.New("there is no such place")
	case parent.Kind == yaml.SequenceNode:
		i, ok := index(last)
		if !ok || i >= len(parent.Content) {
			return errors.New("there is no such item")
		}
		r.take(parent, parent.Content[i])
		return nil
	}
	key, _ := entry(parent, last)
	if key == nil {
		return errors.New("there is no such key")
	}
	r.take(owner(parent, key), key)
	return nil
}

func (r *remover) take(holder, part *yaml.Node) {
	r.gone[part] = true
	if !slices.Contains(r.holders, holder) {
		r.holders = append(r.holders, holder)
	}
}

// owner returns the mapping that has a key: the one that was asked, or one that it merges.
func owner(mapping, key *yaml.Node) *yaml.Node {
	for i := 0; i < len(mapping.Content); i += 2 {
		if mapping.Content[i] == key {
			return mapping
		}
		if !isMerge(mapping.Content[i]) {
			continue
		}
		for _, source := range mergeSources(mapping.Content[i+1]) {
			if found := owner(source, key); found != nil {
				return found
			}
		}
	}
	return nil
}

// keepKeys decides which of a mapping's keys stay. All of their values goes instead.
func (r *remover) keepKeys(mapping *yaml.Node) {
	if mapping.Kind != yaml.MappingNode {
		return
	}
	atHead := true
	for i := 0; i < len(mapping.Content); i += 2 {
		key, value := mapping.Content[i], mapping.Content[i+1]
		if !r.gone[key] || r.goes(mapping, key, value, atHead) {
			atHead = atHead && r.gone[key]
			continue
		}
		atHead = false
		delete(r.gone, key)
		r.stays[key] = true
		target := follow(value)
		for j := 0; j < len(target.Content); j += step(target) {
			r.take(target, target.Content[j])
		}
	}
}

// goes reports whether a key goes together with its value, because [Tree.Apply] can have put in both:
//   - into a mapping in block style it writes a key without needless quotes, alone on its line, and a value in block style;
//   - into one in flow style it writes a quoted key, at the head.
//
// Every other key was there before, with a list or a mapping that was empty, or null; so was one that is there twice.
func (r *remover) goes(mapping, key, value *yaml.Node, atHead bool) bool {
	switch {
	case isRepeated(mapping, key):
		return false // without it another would count
	case value.Kind == yaml.ScalarNode:
		return true
	case value.Kind == yaml.AliasNode || value.Anchor != "" || value.Style&yaml.TaggedStyle != 0:
		return false
	case isFlow(mapping):
		return atHead && key.Style&yaml.DoubleQuotedStyle != 0
	case isFlow(value) || key.Style != stringNode(key.Value).Style:
		return false
	}
	end, ok := r.tree.end(key)
	return ok && len(r.tree.restOfLine(end)) == 1 // the colon
}

// isRepeated reports whether a mapping has another key of the name.
func isRepeated(mapping, key *yaml.Node) bool {
	for i := 0; i < len(mapping.Content); i += 2 {
		if other := mapping.Content[i]; other != key && other.Value == key.Value {
			return true
		}
	}
	return false
}

// step is how many nodes an element of a collection takes: an item one, a key and its value two.
func step(collection *yaml.Node) int {
	if collection.Kind == yaml.MappingNode {
		return 2
	}
	return 1
}

// cut notes what goes of the text of a list or mapping.
func (r *remover) cut(holder *yaml.Node) error {
	n := step(holder)
	for i := 0; i < len(holder.Content); i += n {
		if !r.gone[holder.Content[i]] {
			continue
		}
		first := i
		for i+n < len(holder.Content) && r.gone[holder.Content[i+n]] {
			i += n
		}
		cut := r.cutLines
		if isFlow(holder) {
			cut = r.cutFlow
		}
		if err := cut(holder, first, i+n-1); err != nil {
			return atLine(holder.Content[first], err)
		}
	}
	return nil
}

// cutFlow takes elements of a flow collection, with the comma behind them and one space, or else with the comma before them.
func (r *remover) cutFlow(holder *yaml.Node, first, last int) error {
	body := r.tree.body
	from := r.tree.offset(holder.Content[first].Line, holder.Content[first].Column)
	to, ok := r.tree.end(holder.Content[last])
	if !ok {
		return errStyle
	}
	if last+1 < len(holder.Content) {
		to += len(body[to:]) - len(bytes.TrimLeft(body[to:], " \t\r\n"))
		if !bytes.HasPrefix(body[to:], []byte(",")) {
			return errStyle
		}
		to++
		if rest := body[to:]; bytes.HasPrefix(rest, []byte(" ")) && !bytes.HasPrefix(rest, []byte(" #")) {
			to++
		}
	} else if first > 0 {
		from = len(bytes.TrimRight(body[:from], " \t\r\n")) - 1
		if body[from] != ',' {
			return errStyle
		}
	}
	r.cuts = append(r.cuts, span{from, to})
	return nil
}

// cutLines takes the lines of elements of a block collection, with the comments on them.
func (r *remover) cutLines(holder *yaml.Node, first, last int) error {
	to, ok := r.tree.behindLines(holder.Content[last])
	if !ok {
		return errStyle
	}
	line, ok := holder.Content[first].Line, r.tree.beginsLine(holder.Content[first])
	if holder.Kind == yaml.SequenceNode {
		line, _, ok = r.tree.firstDash(holder.Content[first])
	}
	if ok {
		r.cuts = append(r.cuts, span{r.tree.offset(line, 1), to})
		return nil
	}
	// The first key of an item stands behind its dash: the next one takes its place.
	if holder.Kind != yaml.MappingNode || last+1 == len(holder.Content) {
		return errStyle
	}
	key, next := holder.Content[first], holder.Content[last+1]
	place := r.tree.offset(next.Line, next.Column)
	if len(bytes.TrimSpace(r.tree.body[to:place])) > 0 {
		return errStyle
	}
	r.cuts = append(r.cuts, span{r.tree.offset(key.Line, key.Column), place})
	return nil
}

// firstLine is the line of the first part that goes.
func (r *remover) firstLine() int {
	first := 0
	for part := range r.gone {
		if first == 0 || part.Line < first {
			first = part.Line
		}
	}
	return first
}

// wanted applies the operations to the decoded body: an RFC 6902 "remove" on plain values, apart from the text.
func (r *remover) wanted(ops []jsonpatch.Operation) (any, error) {
	value := clone(r.tree.value)
	for _, op := range ops {
		path := tokens(op.Path)
		key, old := entry(r.tree.find(path[:len(path)-1]), path[len(path)-1])
		left, isLeft := emptied(old), r.stays[key]
		var err error
		if value, err = remove(value, path, left, isLeft); err != nil {
			return nil, fmt.Errorf("%s: %w", op.Path, err)
		}
	}
	return value, nil
}

// emptied is what a collection is when everything in it is gone: nothing keeps the place of one in block style.
func emptied(n *yaml.Node) any {
	n = follow(n)
	switch {
	case n == nil || !isFlow(n):
		return nil
	case n.Kind == yaml.MappingNode:
		return map[string]any{}
	}
	return []any{}
}

// remove is the RFC 6902 operation on a decoded value, which it changes, but for a key that stays with what is left.
func remove(from any, path []string, left any, isLeft bool) (any, error) {
	switch from := from.(type) {
	case map[string]any:
		child, ok := from[path[0]]
		switch {
		case !ok:
			return nil, errors.New("there is no such place")
		case len(path) == 1 && isLeft:
			from[path[0]] = left
			return from, nil
		case len(path) == 1:
			delete(from, path[0])
			return from, nil
		}
		changed, err := remove(child, path[1:], left, isLeft)
		from[path[0]] = changed
		return from, err
	case []any:
		i, ok := index(path[0])
		if !ok || i >= len(from) {
			return nil, errors.New("there is no such item")
		}
		if len(path) == 1 {
			return slices.Delete(from, i, i+1), nil
		}
		changed, err := remove(from[i], path[1:], left, isLeft)
		from[i] = changed
		return from, err
	}
	return nil, errors.New("neither a list nor a mapping is there")
}

// edits turns the cuts into edits. A cut up to the end of a text that ends without a line break takes the one before it.
func (r *remover) edits() []Edit {
	slices.SortFunc(r.cuts, func(a, b span) int { return a.from - b.from })
	var joined []span
	for _, c := range r.cuts {
		if n := len(joined); n > 0 && c.from <= joined[n-1].to {
			joined[n-1].to = max(joined[n-1].to, c.to)
			continue
		}
		joined = append(joined, c)
	}
	edits := make([]Edit, 0, len(joined))
	for _, c := range joined {
		body := r.tree.body
		if c.to == len(body) && !bytes.HasSuffix(body, []byte("\n")) {
			c.from = len(bytes.TrimSuffix(bytes.TrimSuffix(body[:c.from], []byte("\n")), []byte("\r")))
		}
		edits = append(edits, Edit{Offset: c.from, Delete: c.to - c.from})
	}
	return edits
}

// behindLines returns where the line behind a node begins. Nothing but a comment may follow the node on its own.
func (t *Tree) behindLines(n *yaml.Node) (int, bool) {
	end, ok := t.end(n)
	if !ok {
		return 0, false
	}
	rest := t.restOfLine(end)
	if len(rest) > 0 && rest[0] != '#' {
		return 0, false
	}
	for end < len(t.body) {
		if size := breakAt(t.body[end:]); size > 0 {
			return end + size, true
		}
		end++
	}
	return end, true
}

// restOfLine is what follows a place on its line, without the space around it.
func (t *Tree) restOfLine(at int) []byte {
	end := at
	for end < len(t.body) && breakAt(t.body[end:]) == 0 {
		end++
	}
	return bytes.TrimSpace(t.body[at:end])
}

// end returns the offset behind a node. It reports false for what is not simple to find: tags, anchors of scalars, block
// scalars, and plain ones over several lines.
func (t *Tree) end(n *yaml.Node) (int, bool) {
	i := t.offset(n.Line, n.Column)
	switch {
	case n.Kind == yaml.AliasNode:
		return behind(t.body, i, "*"+n.Value)
	case n.Kind != yaml.ScalarNode && isFlow(n):
		open, ok := t.openingBracket(n)
		if !ok {
			return 0, false
		}
		return closing(t.body, open)
	case n.Kind != yaml.ScalarNode:
		return t.end(n.Content[len(n.Content)-1])
	case n.Anchor != "" || n.Style&(yaml.TaggedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return 0, false
	case n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0:
		return closingQuote(t.body, i)
	}
	return behind(t.body, i, n.Value)
}

// behind returns the offset behind a text that stands at a place.
func behind(body []byte, at int, text string) (int, bool) {
	return at + len(text), bytes.HasPrefix(body[at:], []byte(text))
}

// closingQuote returns the offset behind the quoted scalar that begins at a place.
func closingQuote(body []byte, at int) (int, bool) {
	quote := body[at]
	for i := at + 1; i < len(body); i++ {
		switch {
		case quote == '"' && body[i] == '\\':
			i++
		case body[i] == quote && quote == '\'' && bytes.HasPrefix(body[i+1:], []byte{quote}):
			i++
		case body[i] == quote:
			return i + 1, true
		}
	}
	return 0, false
}

// closing returns the offset behind the bracket that closes a flow collection. The place is behind the opening one.
func closing(body []byte, at int) (int, bool) {
	depth := 1
	for i := at; i < len(body); i++ {
		before := body[i-1]
		switch c := body[i]; {
		case c == '[' || c == '{':
			depth++
		case c == ']' || c == '}':
			if depth--; depth == 0 {
				return i + 1, true
			}
		case c == '#' && strings.ContainsRune(" \t\r\n", rune(before)):
			i = lineEnd(body, i) - 1
		case (c == '"' || c == '\'') && strings.ContainsRune(" \t\r\n[{,:", rune(before)):
			end, ok := closingQuote(body, i)
			if !ok {
				return 0, false
			}
			i = end - 1
		}
	}
	return 0, false
}
