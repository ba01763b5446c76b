package manifest

import (
	"bytes"
)

// flowCollection is a list or a mapping in flow style, in brackets. New elements are written on
// one line.
type flowCollection struct {
	tree *Tree
	node *node
	// hasNew reports whether something was put between brackets that were empty.
	hasNew bool
}

// isFlow reports whether a node is written in brackets.
func isFlow(n *node) bool { return n.Style&flowStyle != 0 }

// insertFirst puts elements behind the opening bracket, with the comma that they need.
func (f *flowCollection) insertFirst(elements *node) (Edit, error) {
	offset, ok := f.openingBracket()
	if !ok {
		return Edit{}, errStyle
	}
	var out bytes.Buffer
	isEmpty := len(f.node.Content) == 0
	if isEmpty && f.hasNew {
		out.WriteString(", ")
	}
	f.hasNew = true
	writeElements(elements, &out)
	if !isEmpty {
		out.WriteByte(',')
		rest := f.tree.body[offset:]
		if !bytes.HasPrefix(rest, []byte("\n")) && !bytes.HasPrefix(rest, []byte("\r\n")) {
			out.WriteByte(' ')
		}
	}
	return Edit{Start: offset, End: offset, New: out.Bytes()}, nil
}

// append puts elements behind the last one, with a comma in front.
func (f *flowCollection) append(elements *node) (Edit, error) {
	if len(f.node.Content) == 0 {
		return f.insertFirst(elements)
	}
	end, ok := f.end()
	if !ok {
		return Edit{}, errStyle
	}
	out := bytes.NewBufferString(", ")
	writeElements(elements, out)
	offset := trimBlank(f.tree.body, end-1)
	return Edit{Start: offset, End: offset, New: out.Bytes()}, nil
}

// setKey writes a value where the null is.
func (f *flowCollection) setKey(_, null, value *node) Edit {
	return f.tree.replaceNull(null, value)
}

// remove removes elements with the comma and one space behind them, or else with the comma in
// front.
func (f *flowCollection) remove(first, last int) (Edit, error) {
	t, content := f.tree, f.node.Content
	start := t.offsetOf(content[first])
	end, ok := t.end(content[last])
	switch {
	case !ok:
		return Edit{}, errStyle
	case last+1 < len(content):
		if end, ok = behindComma(t.body, end); !ok {
			return Edit{}, errStyle
		}
	case first > 0:
		start = trimBlank(t.body, start) - 1
		if t.body[start] != ',' {
			return Edit{}, errStyle
		}
	}
	return Edit{Start: start, End: end}, nil
}

// behindComma returns the offset behind the comma that follows i, and behind one space that does
// not separate it from a comment.
func behindComma(body []byte, i int) (int, bool) {
	i, ok := textEnd(body, skipBlank(body, i), ",")
	if !ok {
		return 0, false
	}
	if rest := body[i:]; bytes.HasPrefix(rest, []byte(" ")) && !bytes.HasPrefix(rest, []byte(" #")) {
		i++
	}
	return i, true
}

// openingBracket returns the offset behind the opening bracket.
func (f *flowCollection) openingBracket() (int, bool) {
	return openingBracket(f.tree.body, f.tree.offsetOf(f.node))
}

// end returns the offset behind the closing bracket.
func (f *flowCollection) end() (int, bool) {
	start, ok := f.openingBracket()
	if !ok {
		return 0, false
	}
	return closingBracket(f.tree.body, start)
}

// replaceNull writes a value in flow style in the place of a null.
func (t *Tree) replaceNull(null, value *node) Edit {
	var out bytes.Buffer
	writeJSON(value, &out)
	start := t.offsetOf(null)
	return Edit{Start: start, End: start + len(null.Value), New: out.Bytes()}
}
