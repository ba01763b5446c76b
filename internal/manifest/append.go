package manifest

import (
	"bytes"

	"go.yaml.in/yaml/v3"
	"gomodules.xyz/jsonpatch/v2"
)

// endOfList is the last token of an operation that appends to a list (RFC 6902, section 4.1).
const endOfList = "-"

// ApplyWithLast carries out operations as [Tree.Apply] does, and puts a key of that name, when it is new, at the end of the
// root mapping instead of its head.
func (t *Tree) ApplyWithLast(key string, ops []jsonpatch.Operation) ([]Edit, error) {
	return t.apply(key, ops)
}

// appendItem puts an item behind the last one of a list that is the value of a root key. Only there the list's end is known:
// it is the line of the next root key, or the end of the document.
func (p *planner) appendItem(list, item *yaml.Node) error {
	apiVersionFirst(item)
	switch {
	case len(list.Content) == 0:
		return p.insertItem(list, item)
	case isFlow(list):
		return p.appendFlow(list, func(out *bytes.Buffer) { asJSON(item, out) })
	}
	line, ok := p.tree.lineBehind(list)
	if !ok {
		return errStyle
	}
	_, column, ok := p.tree.firstDash(list.Content[0])
	if !ok {
		return errStyle
	}
	p.insertLines(line, column, &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{item}})
	return nil
}

// appendKey puts a key behind the last one of the root mapping.
func (p *planner) appendKey(name string, value *yaml.Node) error {
	root := p.tree.root
	switch {
	case len(root.Content) == 0:
		return p.insertKey(root, name, value)
	case isFlow(root):
		return p.appendFlow(root, func(out *bytes.Buffer) {
			asJSON(stringNode(name), out)
			out.WriteString(": ")
			asJSON(value, out)
		})
	}
	var text bytes.Buffer
	blockKey(stringNode(name), value, 0, p.tree.listIndent(root), &text)
	p.insertText(p.tree.lastLine(), root.Content[0].Column-1, text.String())
	return nil
}

// appendFlow puts text behind the last entry of a flow list or mapping that has one.
func (p *planner) appendFlow(collection *yaml.Node, write func(*bytes.Buffer)) error {
	end, ok := p.tree.closingBracket(collection)
	if !ok {
		return errStyle
	}
	out := bytes.NewBufferString(", ")
	write(out)
	p.edit(len(bytes.TrimRight(p.tree.body[:end], " \t\r\n")), 0, out.Bytes())
	return nil
}

// lineBehind returns the line behind the value of a root key: where the next key begins, or the end of the document.
func (t *Tree) lineBehind(value *yaml.Node) (int, bool) {
	content := t.root.Content
	for i := 0; t.root.Kind == yaml.MappingNode && i < len(content); i += 2 {
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

// closingBracket returns the offset of the bracket that closes a flow collection. A quote inside a plain word misleads it;
// the verification tells.
func (t *Tree) closingBracket(n *yaml.Node) (int, bool) {
	i, ok := t.openingBracket(n)
	if !ok {
		return 0, false
	}
	for depth := 1; i < len(t.body); i++ {
		switch t.body[i] {
		case '"', '\'':
			i = quoteEnd(t.body, i)
		case '#':
			if bytes.IndexByte([]byte(" \t\n"), t.body[i-1]) >= 0 {
				i = lineEnd(t.body, i) - 1
			}
		case '[', '{':
			depth++
		case ']', '}':
			if depth--; depth == 0 {
				return i, true
			}
		}
	}
	return 0, false
}

// quoteEnd returns the offset of the quote that ends a text in quotes, or the end of the body.
func quoteEnd(body []byte, start int) int {
	for i := start + 1; i < len(body); i++ {
		switch {
		case body[i] == '\\' && body[start] == '"':
			i++
		case body[i] == body[start]:
			return i // a doubled single quote is the beginning of another text
		}
	}
	return len(body)
}
