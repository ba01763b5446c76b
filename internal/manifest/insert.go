package manifest

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// errStyle refuses a place that no rule covers.
var errStyle = errors.New("this style of YAML cannot be edited safely")

// insertItem puts an item in front of a list's first.
//
// In block style that is the line of the first dash, at its column, above the comments that belong to the first item.
func (p *planner) insertItem(list *yaml.Node, item *yaml.Node) error {
	if len(list.Content) == 0 || isFlow(list) {
		return p.insertFlow(list, func(out *bytes.Buffer) { asJSON(item, out) })
	}
	line, column, ok := p.tree.firstDash(list.Content[0])
	if !ok {
		return errStyle
	}
	p.insertLines(p.tree.aboveComments(line), column, &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{item}})
	return nil
}

// insertKey puts a key into a mapping that does not have it.
//
// In block style, when the first key begins its line, the new one goes above it. In a list item the first key stands
// behind the dash: the new one goes on the line behind that key when its value ends there, else above the second key.
func (p *planner) insertKey(mapping *yaml.Node, name string, value *yaml.Node) error {
	if len(mapping.Content) == 0 || isFlow(mapping) {
		return p.insertFlow(mapping, func(out *bytes.Buffer) {
			asJSON(stringNode(name), out)
			out.WriteString(": ")
			asJSON(value, out)
		})
	}
	line, ok := p.tree.lineForKey(mapping)
	if !ok {
		return errStyle
	}
	column := mapping.Content[0].Column - 1
	var text bytes.Buffer
	blockKey(stringNode(name), value, 0, p.tree.listIndent(mapping), &text)
	p.insertText(line, column, text.String())
	return nil
}

// lineForKey returns the line above which a new key of a block mapping goes.
func (t *Tree) lineForKey(mapping *yaml.Node) (int, bool) {
	key, value := mapping.Content[0], mapping.Content[1]
	switch {
	case t.beginsLine(key):
		return t.aboveComments(key.Line), true
	case value.Line == key.Line && t.endsOnLine(value, key.Column):
		return key.Line + 1, true
	case len(mapping.Content) > 2 && t.beginsLine(mapping.Content[2]):
		return mapping.Content[2].Line, true
	}
	return 0, false
}

// fill gives a key that is null or empty its value.
func (p *planner) fill(mapping, key, old, value *yaml.Node) error {
	target := follow(old)
	switch {
	case target != old || old.Anchor != "" || old.Style&yaml.TaggedStyle != 0:
		return errStyle
	case old.Kind != yaml.ScalarNode && len(old.Content) == 0:
		return p.fillFlow(old, value)
	case old.Kind != yaml.ScalarNode || old.ShortTag() != "!!null":
		return errors.New("there is a value already")
	case old.Value == "" && !isFlow(mapping):
		p.fillBelow(key, value, p.tree.listIndent(mapping))
		return nil
	}
	var out bytes.Buffer
	asJSON(value, &out)
	p.edit(p.tree.offset(old.Line, old.Column), len(old.Value), out.Bytes())
	return nil
}

// fillFlow puts the contents of a value between the brackets of an empty list or mapping.
func (p *planner) fillFlow(old, value *yaml.Node) error {
	if old.Kind != value.Kind {
		return errors.New("an empty value of another type is there")
	}
	return p.insertFlow(old, func(out *bytes.Buffer) {
		var whole bytes.Buffer
		asJSON(value, &whole)
		out.Write(whole.Bytes()[1 : whole.Len()-1])
	})
}

// fillBelow writes a value on the lines below a key that has none.
func (p *planner) fillBelow(key, value *yaml.Node, listIndent int) {
	indent := 2
	if value.Kind == yaml.SequenceNode {
		indent = listIndent
	}
	p.insertLines(key.Line+1, key.Column-1+indent, value)
}

// insertLines writes a value in block style above a line, at a column.
func (p *planner) insertLines(line, column int, value *yaml.Node) {
	var text bytes.Buffer
	block(value, 0, &text)
	p.insertText(line, column, text.String())
}

// insertText puts lines of text above a line, indented to a column and with the line breaks of the place.
func (p *planner) insertText(line, column int, text string) {
	body, offset := p.tree.body, p.tree.offset(line, 1)
	newline := LineBreak(body, offset)
	indent := strings.Repeat(" ", column)
	var out bytes.Buffer
	unfinished := offset == len(body) && offset > 0 && body[offset-1] != '\n'
	for textLine := range strings.Lines(text) {
		if unfinished {
			out.WriteString(newline)
		}
		out.WriteString(indent)
		out.WriteString(strings.TrimSuffix(textLine, "\n"))
		if !unfinished {
			out.WriteString(newline)
		}
	}
	p.insert(Edit{Offset: offset, Text: out.Bytes(), column: column})
}

// insertFlow puts text behind the opening bracket of a flow list or mapping, with the comma that it needs.
func (p *planner) insertFlow(collection *yaml.Node, write func(*bytes.Buffer)) error {
	offset, ok := p.tree.openingBracket(collection)
	if !ok {
		return errStyle
	}
	first := !p.editedAt(offset)
	var out bytes.Buffer
	if len(collection.Content) == 0 && !first {
		out.WriteString(", ")
	}
	write(&out)
	if len(collection.Content) > 0 {
		out.WriteByte(',')
		if !bytes.HasPrefix(p.tree.body[offset:], []byte("\n")) && !bytes.HasPrefix(p.tree.body[offset:], []byte("\r\n")) {
			out.WriteByte(' ')
		}
	}
	p.edit(offset, 0, out.Bytes())
	return nil
}

func (p *planner) editedAt(offset int) bool {
	return p.offsets[offset]
}

func isFlow(n *yaml.Node) bool { return n.Style&yaml.FlowStyle != 0 }

// openingBracket returns the offset behind the bracket that opens a flow collection, past its anchor and tag.
func (t *Tree) openingBracket(n *yaml.Node) (int, bool) {
	i := t.offset(n.Line, n.Column)
	for i < len(t.body) && (t.body[i] == '&' || t.body[i] == '!') {
		end := bytes.IndexAny(t.body[i:], " \t\r\n")
		if end < 0 {
			return 0, false
		}
		i += end
		i += len(t.body[i:]) - len(bytes.TrimLeft(t.body[i:], " \t\r\n"))
	}
	if i < len(t.body) && (t.body[i] == '[' || t.body[i] == '{') {
		return i + 1, true
	}
	return 0, false
}

// offset returns the byte offset of a line and column, both counted from 1, columns in characters as go-yaml does. The
// line behind the last is the end of the body.
func (t *Tree) offset(line, column int) int {
	if t.lines == nil {
		t.lines = lineStarts(t.body)
		t.ascii = !slices.ContainsFunc(t.body, func(c byte) bool { return c >= utf8.RuneSelf })
	}
	if line > len(t.lines) {
		return len(t.body)
	}
	i := t.lines[line-1]
	if t.ascii { // a document on one line would be walked for every edit
		return min(i+column-1, len(t.body))
	}
	for ; column > 1 && i < len(t.body); column-- {
		_, size := utf8.DecodeRune(t.body[i:])
		i += size
	}
	return i
}

// lineStarts returns the offset of every line, with the line breaks of YAML 1.1 that go-yaml counts: LF, CR LF, CR, NEL, LS
// and PS. Source: go-yaml, yamlprivateh.go is_break.
func lineStarts(body []byte) []int {
	starts := []int{len(body) - len(bytes.TrimPrefix(body, bom))}
	for i := 0; i < len(body); {
		n := breakAt(body[i:])
		if n == 0 {
			i++
			continue
		}
		i += n
		if i < len(body) {
			starts = append(starts, i)
		}
	}
	return starts
}

// breakAt returns the length of the line break that the text begins with, or 0.
func breakAt(text []byte) int {
	switch text[0] {
	case '\n':
		return 1
	case '\r':
		if len(text) > 1 && text[1] == '\n' {
			return 2
		}
		return 1
	case 0xC2:
		if bytes.HasPrefix(text, []byte("\u0085")) {
			return 2
		}
	case 0xE2:
		if bytes.HasPrefix(text, []byte("\u2028")) || bytes.HasPrefix(text, []byte("\u2029")) {
			return 3
		}
	}
	return 0
}

// line returns the text of a line, counted from 1.
func (t *Tree) line(n int) []byte { return t.body[t.offset(n, 1):t.offset(n+1, 1)] }

// beginsLine reports whether nothing but indentation stands in front of a node.
func (t *Tree) beginsLine(n *yaml.Node) bool {
	before := t.body[t.offset(n.Line, 1):t.offset(n.Line, n.Column)]
	return len(bytes.Trim(before, " ")) == 0
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

// endsOnLine reports whether a value is a scalar that the next line does not go on with. The column is its mapping's.
func (t *Tree) endsOnLine(value *yaml.Node, column int) bool {
	isBlock := value.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0
	if isBlock || (value.Kind != yaml.ScalarNode && value.Kind != yaml.AliasNode) {
		return false
	}
	next := t.line(value.Line + 1)
	indent := len(next) - len(bytes.TrimLeft(next, " "))
	return indent < column || len(bytes.TrimSpace(next)) == 0
}

// firstDash returns the line and column of the dash of a block list's first item.
func (t *Tree) firstDash(item *yaml.Node) (line, column int, ok bool) {
	start, end := t.offset(item.Line, 1), t.offset(item.Line, item.Column)
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

// listIndent returns how far the lists in a block mapping stand from their keys, as the first one shows.
func (t *Tree) listIndent(mapping *yaml.Node) int {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		value := mapping.Content[i+1]
		if value.Kind != yaml.SequenceNode || isFlow(value) || len(value.Content) == 0 {
			continue
		}
		if _, column, ok := t.firstDash(value.Content[0]); ok {
			return max(0, column-(mapping.Content[i].Column-1))
		}
	}
	return 0
}
