package manifest

import (
	"bytes"
	"strings"
)

// blockCollection is a list or a mapping in block style, which has elements. Its edits are whole
// lines.
type blockCollection struct {
	tree *Tree
	node *node
}

// insertFirst puts items on the line of the first dash, above the comments that belong to the first
// item.
//
// A key goes above the first one when that begins its line. In a list item the first key stands
// behind the dash: the new one goes on the line behind that key when its value ends there, else
// above the second key.
func (b *blockCollection) insertFirst(elements *node) (Edit, error) {
	line, ok := b.firstLine()
	if !ok {
		return Edit{}, errStyle
	}
	return b.insertElements(line, elements)
}

// firstLine returns the line above which a new first element goes. It returns false where the
// first key shares its line with something that cannot be passed.
func (b *blockCollection) firstLine() (int, bool) {
	t, content := b.tree, b.node.Content
	if b.node.Kind == aSequence {
		line, _, ok := t.firstDash(content[0])
		return t.aboveComments(line), ok
	}
	key, value := content[0], content[1]
	switch {
	case t.beginsLine(key):
		return t.aboveComments(key.Line), true
	case value.Line == key.Line && t.endsOnLine(value, key.Column):
		return key.Line + 1, true
	case len(content) > 2 && t.beginsLine(content[2]):
		return content[2].Line, true
	}
	return 0, false
}

// append puts elements behind the last one. The end is known of the root mapping and of the
// values of its keys only: it is the line of the next root key, or the end of the document.
// It fails for every other collection.
func (b *blockCollection) append(elements *node) (Edit, error) {
	line, ok := b.tree.lineBehind(b.node)
	if !ok {
		return Edit{}, errStyle
	}
	return b.insertElements(line, elements)
}

// insertElements writes elements above a line, in the column of those that are there. It fails
// for a list whose dashes cannot be found.
func (b *blockCollection) insertElements(line int, elements *node) (Edit, error) {
	if b.node.Kind == aMapping {
		column := b.node.Content[0].Column - 1
		return b.tree.insertLines(line, column, elements, b.listIndent()), nil
	}
	_, column, ok := b.tree.firstDash(b.node.Content[0])
	if !ok {
		return Edit{}, errStyle
	}
	return b.tree.insertLines(line, column, elements, 0), nil
}

// setKey writes a value on the lines below a key that has none, and in the place of a null literal.
func (b *blockCollection) setKey(key, null, value *node) Edit {
	if null.Value != "" {
		return b.tree.replaceNull(null, value)
	}
	indent := 2
	if value.Kind == aSequence {
		indent = b.listIndent()
	}
	return b.tree.insertLines(key.Line+1, key.Column-1+indent, value, 0)
}

// remove removes the lines of elements, with the comments on them. Comments above an element
// stay: they may be about what follows.
func (b *blockCollection) remove(first, last int) (Edit, error) {
	t, content := b.tree, b.node.Content
	end, ok := t.linesEnd(content[last])
	if !ok {
		return Edit{}, errStyle
	}
	line, ok := content[first].Line, t.beginsLine(content[first])
	if b.node.Kind == aSequence {
		line, _, ok = t.firstDash(content[first])
	}
	if ok {
		return Edit{Start: t.offset(line, 1), End: end}, nil
	}
	// The first key of an item stands behind its dash: the next key moves there.
	if b.node.Kind != aMapping || last+1 == len(content) {
		return Edit{}, errStyle
	}
	next := t.offsetOf(content[last+1])
	if len(bytes.TrimSpace(t.body[end:next])) > 0 {
		return Edit{}, errStyle
	}
	return Edit{Start: t.offsetOf(content[first]), End: next}, nil
}

// listIndent returns how far the lists in a mapping stand from their keys, as the first one shows.
func (b *blockCollection) listIndent() int {
	content := b.node.Content
	for i := 0; i+1 < len(content); i += 2 {
		value := content[i+1]
		if value.Kind != aSequence || isFlow(value) || len(value.Content) == 0 {
			continue
		}
		if _, column, ok := b.tree.firstDash(value.Content[0]); ok {
			return max(0, column-(content[i].Column-1))
		}
	}
	return 0
}

// insertLines writes a list or a mapping in block style above a line, at a column and with the
// line breaks of the place. Lists that are values of its keys are indented by listIndent. Where
// the text ends without a line break, each line begins with one instead, so that the end stays as
// it is.
func (t *Tree) insertLines(line, column int, value *node, listIndent int) Edit {
	var text bytes.Buffer
	writeBlock(value, 0, listIndent, &text)
	offset := t.offset(line, 1)
	newline := LineBreak(t.body, offset)
	indent := strings.Repeat(" ", column)
	isUnfinished := offset == len(t.body) && offset > 0 && t.body[offset-1] != '\n'
	var out bytes.Buffer
	for textLine := range strings.Lines(text.String()) {
		if isUnfinished {
			out.WriteString(newline)
		}
		out.WriteString(indent)
		out.WriteString(strings.TrimSuffix(textLine, "\n"))
		if !isUnfinished {
			out.WriteString(newline)
		}
	}
	return Edit{Start: offset, End: offset, New: out.Bytes(), column: column}
}

// lineBehind returns the line behind the root mapping, or behind the value of one of its keys. It
// returns false for every other value.
func (t *Tree) lineBehind(value *node) (int, bool) {
	if t.root.Kind != aMapping {
		return 0, false
	}
	if value == t.root {
		return t.lastLine(), true
	}
	content := t.root.Content
	for i := 0; i < len(content); i += 2 {
		switch {
		case content[i+1] != value:
			continue
		case i+2 == len(content):
			return t.lastLine(), true
		}
		return content[i+2].Line, t.beginsLine(content[i+2])
	}
	return 0, false
}

// lastLine returns the line of the marker that ends the document, or the one behind the last.
//
//	Lines are counted from 1.
func (t *Tree) lastLine() int {
	end := 1
	for t.offset(end, 1) < len(t.body) {
		end++
	}
	for line := end - 1; line > 0; line-- {
		switch string(bytes.TrimSpace(t.line(line))) {
		case "...":
			return line
		case "":
			continue
		}
		break
	}
	return end
}

// aboveComments returns the first of the comment and blank lines that stand directly above a line.
func (t *Tree) aboveComments(line int) int {
	for line > 2 { // line 1 may be the rest of a separator's line
		above := bytes.TrimSpace(t.line(line - 1))
		if len(above) > 0 && above[0] != '#' {
			break
		}
		line--
	}
	return line
}

// endsOnLine reports whether a value is a scalar that does not continue on the next line. The
// column is that of its mapping.
func (t *Tree) endsOnLine(value *node, column int) bool {
	isBlock := value.Style&(literalStyle|foldedStyle) != 0
	if isBlock || (value.Kind != aScalar && value.Kind != anAlias) {
		return false
	}
	next := t.line(value.Line + 1)
	indent := len(next) - len(bytes.TrimLeft(next, " "))
	return indent < column || len(bytes.TrimSpace(next)) == 0
}

// firstDash returns the line and the column, counted from 0, of the dash in front of an item. It
// may stand on a line above the item, with comments between. Ok is false where something else
// stands there.
func (t *Tree) firstDash(item *node) (line, column int, ok bool) {
	start, end := t.offset(item.Line, 1), t.offsetOf(item)
	for line = item.Line; line > 0; line-- {
		text := bytes.TrimLeft(t.body[start:end], " ")
		column = end - start - len(text)
		if len(text) > 0 && text[0] == '-' {
			return line, column, len(bytes.TrimLeft(text[1:], " ")) == 0 || line < item.Line
		}
		if trimmed := bytes.TrimSpace(text); len(trimmed) > 0 && trimmed[0] != '#' {
			return 0, 0, false
		}
		start, end = t.offset(line-1, 1), start
	}
	return 0, 0, false
}

// linesEnd returns the offset behind the line on which a node ends. Nothing but a comment may
// follow the node there.
func (t *Tree) linesEnd(n *node) (int, bool) {
	end, ok := t.end(n)
	if !ok {
		return 0, false
	}
	rest := t.restOfLine(end)
	start, size := lineBreak(t.body, end)
	return start + size, len(rest) == 0 || rest[0] == '#'
}
