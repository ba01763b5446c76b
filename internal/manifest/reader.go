package manifest

import (
	"strings"
	"unicode/utf8"
)

// This file reads the plain block style of YAML that Helm, kubectl and controllers print, many times
// as fast as go-yaml. It builds the nodes that go-yaml builds, without comments. It leaves every other
// text to go-yaml, see [parse]: its methods return nil as soon as they meet something else.
//
// It accepts less than YAML, and never more:
//
//	document = collection                      nothing in front of it or behind it but comments
//	mapping  = { key ":" value }               all keys in one column
//	sequence = { "-" item }                    all dashes in one column
//	key      = plain | quoted                  on one line
//	value    = inline                          nothing deeper than the key follows
//	         | collection                      on the next lines, deeper than the key
//	         | sequence                        on the next lines, in the column of the key
//	         | nothing                         null
//	item     = inline | mapping | sequence     the latter two on the line of the dash, or deeper below
//	         | nothing                         null
//	inline   = plain | quoted | flow | block scalar
//	plain    = text on one line up to ": " or " #"
//	quoted   = '…' | "…"                       on one line, with the escapes \" \\ \n \r and \t
//	flow     = "[" [ inline { "," inline } ] "]" | "{" [ key ":" inline { "," key ":" inline } ] "}"
//	                                           on one line, without block scalars
//	block scalar = ("|" | ">") [ "+" | "-" ]   and at least one line of text
//
// It therefore leaves to go-yaml anchors, aliases, tags, merge keys, complex keys, scalars over several
// lines, directives, markers, tabs, and every line break but LF. [FuzzReader] compares it with
// go-yaml.

// maxReaderDepth is how deep collections may be nested.
const maxReaderDepth = 100

// maxKeyBytes bounds a key. go-yaml refuses one of more than 1024 characters. Source: scannerc.go,
// yaml_simple_key_is_valid.
const maxKeyBytes = 1000

// atEnd is the indentation behind the last line.
const atEnd = -1

// reader reads one document. Its methods begin at pos and leave pos behind what they have read.
// Those that return a node return nil for a text that the reader leaves to go-yaml.
type reader struct {
	body    []byte
	text    string
	isASCII bool
	pos     int
	// line is the number of the line at pos, counted from 1, and lineStart its offset.
	line, lineStart int
	// indent is the column of the first text on a line, counted from 0. It is valid when pos is there.
	indent int
	depth  int
	*room
}

// readPlain reads a document into the tree. It reports false for one that go-yaml must read.
func (t *Tree) readPlain() bool {
	isASCII, isReadable := charactersOf(t.body)
	if !isReadable {
		return false
	}
	room := rooms.Get().(*room)
	r := reader{body: t.body, text: textOf(t.body), isASCII: isASCII, line: 1, room: room}
	if r.toContent() && r.indent != atEnd {
		t.root = r.collection()
	}
	if t.root == nil || r.indent != atEnd {
		room.release()
		t.root = nil
		return false
	}
	t.room, t.isASCII = room, isASCII
	return true
}

// collection reads the list or mapping that begins a line.
func (r *reader) collection() *node {
	if r.isDash() {
		return r.sequence(r.indent)
	}
	column := r.indent
	return r.mapping(column, r.key())
}

// mapping reads a mapping behind the colon of its first key. Column is that of its keys.
func (r *reader) mapping(column int, key *node) *node {
	if key == nil || !r.enter() {
		return nil
	}
	n := r.node(aMapping, otherTag)
	n.Line, n.Column = key.Line, key.Column
	first := len(r.open)
	for {
		value := r.value(column, false)
		if value == nil {
			return nil
		}
		r.open = append(r.open, key, value)
		if r.indent != column {
			return r.leave(n, first)
		}
		if key = r.key(); key == nil {
			return nil
		}
	}
}

// sequence reads a list whose dashes stand in a column.
func (r *reader) sequence(column int) *node {
	if !r.enter() {
		return nil
	}
	n := r.node(aSequence, otherTag)
	first := len(r.open)
	for r.indent == column && r.isDash() {
		r.pos++
		item := r.value(column, true)
		if item == nil {
			return nil
		}
		r.open = append(r.open, item)
	}
	return r.leave(n, first)
}

// enter counts a collection that begins. It reports false when it is nested too deep.
func (r *reader) enter() bool {
	r.depth++
	return r.depth <= maxReaderDepth
}

// leave ends a collection, whose elements are open from first on.
func (r *reader) leave(n *node, first int) *node {
	r.depth--
	r.close(n, first)
	return n
}

// key reads a key and its colon.
func (r *reader) key() *node {
	key := r.scalar(false)
	if key == nil || !r.colon(key, false) {
		return nil
	}
	return key
}

// colon reads the colon behind a key. It reports false for a scalar that is no key.
func (r *reader) colon(key *node, inFlow bool) bool {
	i := r.skipSpaces(r.pos)
	if i == len(r.text) || r.text[i] != ':' {
		return false
	}
	isJSON := inFlow && key.Style != 0 // "a":1
	if !isJSON && !r.isBlankAt(i+1) {
		return false
	}
	r.pos = i + 1
	return len(key.Value) <= maxKeyBytes && r.pos-r.lineStart <= maxKeyBytes
}

// value reads what stands behind the colon of a key or behind a dash in a column. Only a key's list may
// stand in its own column.
func (r *reader) value(column int, behindDash bool) *node {
	if !r.isLineEnd() {
		return r.inline(column, behindDash)
	}
	null := r.node(aScalar, nullTag)
	switch {
	case !r.endLine():
		return nil
	case r.indent > column:
		return r.collection()
	case r.indent == column && !behindDash && r.isDash():
		return r.sequence(column)
	}
	return null
}

// inline reads what stands on the line of a key or of a dash in a column. Behind a dash it may be a
// collection.
func (r *reader) inline(column int, behindDash bool) *node {
	r.pos = r.skipSpaces(r.pos)
	var n *node
	switch c := r.text[r.pos]; {
	case c == '|' || c == '>':
		n = r.blockScalar(column)
	case behindDash && r.isDash():
		r.indent = r.pos - r.lineStart
		return r.sequence(r.indent)
	case c == '[' || c == '{':
		n = r.lineOf(r.flow())
	default:
		start := r.pos - r.lineStart
		n = r.scalar(false)
		if n != nil && behindDash && r.colon(n, false) {
			return r.mapping(start, n)
		}
		n = r.lineOf(n)
	}
	if r.indent > column {
		return nil // the scalar goes on, or nothing may stand there
	}
	return n
}

// lineOf returns a node if nothing but a comment follows it on its line, and goes to the next text.
func (r *reader) lineOf(n *node) *node {
	if n == nil || !r.endLine() {
		return nil
	}
	return n
}

// flow reads a list or a mapping in flow style.
func (r *reader) flow() *node {
	if !r.enter() {
		return nil
	}
	kind, closing := aSequence, byte(']')
	if r.text[r.pos] == '{' {
		kind, closing = aMapping, '}'
	}
	n := r.node(kind, otherTag)
	n.Style = flowStyle
	first := len(r.open)
	r.pos = r.skipSpaces(r.pos + 1)
	if r.isAt(closing) {
		r.pos++
		return r.leave(n, first)
	}
	for {
		if !r.flowElement(kind) {
			return nil
		}
		switch r.pos = r.skipSpaces(r.pos); {
		case r.isAt(closing):
			r.pos++
			return r.leave(n, first)
		case !r.isAt(','):
			return nil
		}
		r.pos = r.skipSpaces(r.pos + 1)
	}
}

// flowElement reads an item of a list, or a key and its value, in flow style.
func (r *reader) flowElement(kind kind) bool {
	if kind == aMapping {
		key := r.scalar(true)
		if key == nil || !r.colon(key, true) {
			return false
		}
		r.open = append(r.open, key)
		r.pos = r.skipSpaces(r.pos)
	}
	var n *node
	if r.isAt('[') || r.isAt('{') {
		n = r.flow()
	} else {
		n = r.scalar(true)
	}
	r.open = append(r.open, n)
	return n != nil
}

// scalar reads a plain or quoted scalar.
func (r *reader) scalar(inFlow bool) *node {
	if r.pos == len(r.text) {
		return nil
	}
	if r.isAt('"') || r.isAt('\'') {
		return r.quoted()
	}
	return r.plain(inFlow)
}

// escapes are the escapes that the reader accepts. go-yaml refuses the one of a slash, which JSON has.
// Source: scannerc.go, yaml_parser_scan_flow_scalar.
var escapes = strings.NewReplacer(`\"`, `"`, `\\`, `\`, `\n`, "\n", `\r`, "\r", `\t`, "\t")

// quoted reads a scalar in quotes.
func (r *reader) quoted() *node {
	n := r.node(aScalar, stringTag)
	start := r.pos
	end, isClosed := closingQuote(r.body, start)
	if !isClosed {
		return nil
	}
	r.pos = end
	n.Value = r.text[start+1 : end-1]
	if strings.IndexByte(n.Value, '\n') >= 0 {
		return nil
	}
	if r.text[start] == '\'' {
		n.Style = singleQuotedStyle
		n.Value = strings.ReplaceAll(n.Value, "''", "'")
		return n
	}
	n.Style = doubleQuotedStyle
	if !hasSimpleEscapes(n.Value) {
		return nil
	}
	if strings.IndexByte(n.Value, '\\') >= 0 {
		n.Value = escapes.Replace(n.Value)
	}
	return n
}

// hasSimpleEscapes reports whether a text has no other escapes than those that the reader
// accepts.
func hasSimpleEscapes(text string) bool {
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		if i++; strings.IndexByte(`"\nrt`, text[i]) < 0 {
			return false
		}
	}
	return true
}

// plain reads a plain scalar. Source: go-yaml, scannerc.go yaml_parser_scan_plain_scalar.
func (r *reader) plain(inFlow bool) *node {
	start := r.pos
	if c := r.text[start]; noPlainStart.has(c) || c == '-' && !r.isDashPlain(inFlow) {
		return nil
	}
	stops := mayEndPlain
	if inFlow {
		stops |= endsInFlow
	}
	i := start
	for ; i < len(r.text); i++ {
		if stops.has(r.text[i]) && r.endsPlain(i) {
			break
		}
	}
	value := strings.TrimRight(r.text[start:i], " ")
	if value == "<<" {
		return nil
	}
	n := r.node(aScalar, plainTag(value))
	n.Value = value
	r.pos = start + len(value)
	return n
}

// endsPlain reports whether a character that may end a plain scalar does so.
func (r *reader) endsPlain(i int) bool {
	switch r.text[i] {
	case ':':
		return r.isBlankAt(i + 1)
	case '#':
		return r.text[i-1] == ' '
	}
	return true
}

// isDashPlain reports whether the dash at the position begins a plain scalar.
func (r *reader) isDashPlain(inFlow bool) bool {
	return !r.isBlankAt(r.pos+1) && (!inFlow || !endsInFlow.has(r.text[r.pos+1]))
}

// blockScalar reads a block scalar behind the key or the dash in a column.
func (r *reader) blockScalar(column int) *node {
	n := r.node(aScalar, stringTag)
	n.Style = literalStyle
	if r.isAt('>') {
		n.Style = foldedStyle
	}
	r.pos++
	chomping := byte(0)
	if r.isAt('+') || r.isAt('-') {
		chomping = r.text[r.pos]
		r.pos++
	}
	if !r.isLineEnd() {
		return nil
	}
	s := blockScalar{reader: r, isFolded: n.Style == foldedStyle, text: r.scratch[:0]}
	r.nextLine()
	if !s.begin() || s.indent <= column {
		return nil
	}
	for s.hasLine() {
		s.readLine()
	}
	n.Value, r.scratch = s.value(chomping), s.text
	if !r.toContent() {
		return nil
	}
	return n
}

// blockScalar reads the lines of a block scalar. Source: go-yaml, scannerc.go
// yaml_parser_scan_block_scalar.
type blockScalar struct {
	*reader
	isFolded bool
	// indent is that of the text.
	indent int
	text   []byte
	// hasBreak reports whether the last line of text ended with a line break, and breaks counts the
	// empty lines behind it.
	hasBreak bool
	breaks   int
	// wasBlank reports whether the last line of text began with a space.
	wasBlank bool
}

// begin finds the indentation of the text. It reports false without text, and when an empty line in
// front of it is longer than the indentation.
func (s *blockScalar) begin() bool {
	longest := 0
	for s.pos < len(s.reader.text) {
		i := s.skipSpaces(s.pos)
		if i == len(s.reader.text) {
			return false
		}
		if s.reader.text[i] != '\n' {
			s.indent = i - s.pos
			return s.indent >= longest
		}
		longest = max(longest, i-s.pos)
		s.breaks++
		s.nextLine()
	}
	return false
}

// hasLine reports whether the line at the position belongs to the text and is not empty. It counts
// empty lines and passes over them.
func (s *blockScalar) hasLine() bool {
	text := s.reader.text
	for s.pos < len(text) {
		i := s.pos
		for i < len(text) && text[i] == ' ' && i < s.pos+s.indent {
			i++
		}
		if i == len(text) || text[i] != '\n' {
			return i < len(text) && i == s.pos+s.indent
		}
		s.breaks++
		s.nextLine()
	}
	return false
}

// readLine reads a line of text. Lines are folded where neither begins with a space.
func (s *blockScalar) readLine() {
	start := s.pos + s.indent
	isBlank := s.reader.text[start] == ' '
	isFolded := s.isFolded && !s.wasBlank && !isBlank
	switch {
	case s.hasBreak && isFolded && s.breaks == 0:
		s.text = append(s.text, ' ')
	case s.hasBreak && !isFolded:
		s.text = append(s.text, '\n')
	}
	s.writeBreaks()
	s.nextLine()
	end := s.pos
	s.hasBreak = s.reader.text[end-1] == '\n'
	if s.hasBreak {
		end--
	}
	s.text = append(s.text, s.reader.text[start:end]...)
	s.wasBlank = isBlank
}

// writeBreaks writes the line breaks of empty lines.
func (s *blockScalar) writeBreaks() {
	for ; s.breaks > 0; s.breaks-- {
		s.text = append(s.text, '\n')
	}
}

// value returns the text with the line breaks at its end that the chomping indicator keeps.
func (s *blockScalar) value(chomping byte) string {
	if s.hasBreak && chomping != '-' {
		s.text = append(s.text, '\n')
	}
	if chomping == '+' {
		s.writeBreaks()
	}
	return string(s.text)
}

// node returns a node that begins at the position.
func (r *reader) node(kind kind, tag tag) *node {
	n := r.newNode()
	n.Kind, n.Tag, n.Line, n.Column = kind, tag, r.line, r.pos-r.lineStart+1
	if !r.isASCII {
		n.Column = utf8.RuneCountInString(r.text[r.lineStart:r.pos]) + 1
	}
	return n
}

// endLine goes to the next text. It reports false when something else than a comment stands on the
// rest of the line, or the next text is a marker.
func (r *reader) endLine() bool {
	if !r.isLineEnd() {
		return false
	}
	r.pos = r.skipSpaces(r.pos)
	r.nextLine()
	return r.toContent()
}

// nextLine goes to the beginning of the next line.
func (r *reader) nextLine() {
	if !r.isAt('\n') { // the end of most lines has been found already
		end := strings.IndexByte(r.text[r.pos:], '\n')
		if end < 0 {
			r.pos = len(r.text)
			return
		}
		r.pos += end
	}
	r.pos++
	r.line++
	r.lineStart = r.pos
}

// toContent goes from the beginning of a line to the next text. It reports false when that is a marker.
func (r *reader) toContent() bool {
	for r.pos < len(r.text) {
		i := r.skipSpaces(r.pos)
		if i < len(r.text) && r.text[i] != '\n' && r.text[i] != '#' {
			r.pos, r.indent = i, i-r.lineStart
			return r.indent > 0 || !isMarkerText(r.text[i:])
		}
		r.nextLine()
	}
	r.indent = atEnd
	return true
}

// isMarkerText reports whether a line may be a directive or a marker.
func isMarkerText(text string) bool {
	return text[0] == '%' || strings.HasPrefix(text, "---") || strings.HasPrefix(text, "...")
}

// isLineEnd reports whether nothing but spaces and a comment stands on the rest of the line.
func (r *reader) isLineEnd() bool {
	i := r.skipSpaces(r.pos)
	return i == len(r.text) || r.text[i] == '\n' || r.text[i] == '#' && i > r.pos
}

// isDash reports whether the dash of an item is at the position.
func (r *reader) isDash() bool { return r.isAt('-') && r.isBlankAt(r.pos+1) }

// isAt reports whether a character is at the position.
func (r *reader) isAt(c byte) bool { return r.pos < len(r.text) && r.text[r.pos] == c }

// isBlankAt reports whether a space, a line break or the end is at an offset.
func (r *reader) isBlankAt(i int) bool {
	return i == len(r.text) || r.text[i] == ' ' || r.text[i] == '\n'
}

// skipSpaces returns the offset of the first character from i on that is no space.
func (r *reader) skipSpaces(i int) int {
	for i < len(r.text) && r.text[i] == ' ' {
		i++
	}
	return i
}
