package manifest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// maxAliased bounds how many values aliases may stand for: far more than an object that the API
// server accepts can hold. A small text can stand for billions of values by aliases of aliases.
const maxAliased = 100_000

// Tree is a decoded document together with its text. It is not safe for concurrent use: lines are
// found at the first need.
type Tree struct {
	body []byte
	root *node
	// room is the memory of the nodes, or nil where go-yaml has made them.
	room  *room
	value any
	// lines are the offsets of the lines, as soon as one is needed.
	lines []int
	// isASCII reports whether columns are bytes, as soon as that is known.
	isASCII bool
}

// Decode parses the body of one document. Errors have the line and what is wrong with it, and
// nothing of the text. The body is retained and must not change: decoded texts share its bytes. An
// empty body has a nil value and no error. Call [Tree.Release] when the tree is no longer needed.
func Decode(body []byte) (*Tree, error) {
	t, err := parse(body)
	if err != nil || t.root == nil {
		return t, err
	}
	e := newExpander()
	e.room = t.room
	if t.value, err = e.expand(t.root); err != nil {
		return nil, err
	}
	return t, nil
}

// DecodeValue returns the value of a document that is not edited, see [Tree.Value].
func DecodeValue(body []byte) (any, error) {
	t, err := parse(body)
	if err != nil || t.root == nil {
		return nil, err
	}
	defer t.Release()
	return valueOf(t.root)
}

// Release gives the memory of the tree and of its value to the next one. Neither may be used afterwards,
// but the texts of the value may.
func (t *Tree) Release() {
	t.root = nil
	if t.room != nil {
		t.room.release()
		t.room = nil
	}
}

// SecondValueError refuses a document with something behind its first value, such as a second JSON
// object, or text behind the end marker "...". The parsers of Helm, kubectl and kustomize read the
// first value only and pass over the rest without an error.
// Source: go-yaml, Unmarshal; sigs.k8s.io/yaml, YAMLToJSON; kyaml, kio/byteio_reader.go decode.
type SecondValueError struct {
	// Line is where the second value begins, counted from 1, or 0 where it cannot be parsed.
	Line int
}

// Error names the line and what to do.
func (e *SecondValueError) Error() string {
	where := ""
	if e.Line > 0 {
		where = fmt.Sprintf("line %d: ", e.Line)
	}
	return where + "a second value begins, but kubectl and Helm read only the first one of a document: " +
		"put a line --- in front of it, or remove it"
}

// parse returns the tree of a document without its value. The root is nil when the document is empty.
func parse(body []byte) (*Tree, error) {
	t := &Tree{body: body}
	if t.readPlain() {
		return t, nil
	}
	var err error
	if t.root, err = parseAny(body); err != nil {
		return nil, err
	}
	return t, nil
}

// parseAny returns the root of a document as go-yaml reads it, or nil when the document is empty. The
// error has been cleaned of the text. It is a [SecondValueError] where something stands behind the root
// that only a separator may be behind.
func parseAny(body []byte) (*node, error) {
	var document, second yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(body))
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		if first := withoutDirectives(body); len(first) < len(body) && endsWithMarker(first) {
			return parseAny(first) // go-yaml has read one that it refuses
		}
		if line := lineBehindJSON(body); line > 0 {
			return nil, &SecondValueError{Line: line}
		}
		return nil, sanitize(err)
	}
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		if first := withoutDirectives(body); len(first) < len(body) {
			return parseAny(first)
		}
		return nil, &SecondValueError{Line: cmp.Or(second.Line, lineOfSecond(err))}
	}
	if len(document.Content) == 0 {
		return nil, nil
	}
	return (&converter{anchored: map[*yaml.Node]*node{}}).convert(document.Content[0]), nil
}

// expectedStart is the error of go-yaml about a second document without a separator. Its lines are
// counted from 0, and 0 is left out. Source: go-yaml, parserc.go yaml_parser_parse_document_start and
// decode.go fail.
var expectedStart = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^yaml: (?:line (\d+): )?did not find expected <document start>$`)
})

// lineOfSecond reads the line of a second value from the error about it, or returns 0.
func lineOfSecond(err error) int {
	if err == nil {
		return 0
	}
	match := expectedStart().FindStringSubmatch(err.Error())
	if match == nil {
		return 0
	}
	line, _ := strconv.Atoi(match[1])
	return line + 1
}

// withoutDirectives returns a body without the directives at its end: they belong to the document
// behind the next separator.
func withoutDirectives(body []byte) []byte {
	first := len(body)
	for end := len(body); end > 0; {
		start := bytes.LastIndexByte(body[:end-1], '\n') + 1
		line := bytes.TrimSpace(body[start:end])
		switch {
		case body[start] == '%':
			first = start
		case len(line) > 0 && line[0] != '#':
			return body[:first]
		}
		end = start
	}
	return body[:first]
}

// endsWithMarker reports whether a body ends with an end marker, behind which at most comments stand.
func endsWithMarker(body []byte) bool {
	for end := len(body); end > 0; {
		start := bytes.LastIndexByte(body[:end-1], '\n') + 1
		if isEnd(body[start:end]) {
			return true
		}
		if line := bytes.TrimSpace(body[start:end]); len(line) > 0 && line[0] != '#' {
			return false
		}
		end = start
	}
	return false
}

// Value returns the decoded document: map[string]any, []any, string, bool, [json.Number] or nil.
// Numbers keep their text. Aliases and merge keys are expanded; of repeated keys the last one
// counts, as it does for Helm. [Tree.Apply] and [Tree.Remove] change the value while they run, and
// restore it: do not read it at the same time.
func (t *Tree) Value() any { return t.value }

// sanitize keeps the place and the kind of a syntax error. It drops the name of an anchor, the one
// thing that go-yaml's parser quotes from the text: documents hold secrets.
func sanitize(err error) error {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	if before, _, quotes := strings.Cut(message, " anchor '"); quotes {
		message = before + " anchor"
	}
	return errors.New(message)
}

// expander turns nodes into values.
type expander struct {
	// aliased counts the values that were read through aliases. It stays 0 for a document without
	// aliases, whose size is the bound.
	aliased int
	// open are the aliases that are being expanded. They show an alias that contains itself.
	open map[*node]bool
	// room has maps for the value, or is nil.
	room *room
}

func newExpander() *expander { return &expander{open: map[*node]bool{}} }

// valueOf decodes a node.
func valueOf(n *node) (any, error) { return newExpander().expand(n) }

// expand decodes a node. It refuses aliases that contain themselves or stand for too many values.
func (e *expander) expand(n *node) (any, error) {
	if len(e.open) > 0 {
		e.aliased++
	}
	if e.aliased > maxAliased {
		return nil, fmt.Errorf("line %d: aliases stand for more than %d values", n.Line, maxAliased)
	}
	switch n.Kind {
	case anAlias:
		return e.alias(n)
	case aMapping:
		return e.mapping(n)
	case aSequence:
		return e.sequence(n)
	default:
		return scalar(n), nil
	}
}

// alias decodes what an alias stands for, and refuses one inside itself.
func (e *expander) alias(n *node) (any, error) {
	if e.open[n.Alias] {
		return nil, fmt.Errorf("line %d: an alias contains itself", n.Line)
	}
	e.open[n.Alias] = true
	defer delete(e.open, n.Alias)
	return e.expand(n.Alias)
}

// sequence decodes a list.
func (e *expander) sequence(n *node) (any, error) {
	list := make([]any, len(n.Content))
	for i, item := range n.Content {
		value, err := e.expand(item)
		if err != nil {
			return nil, err
		}
		list[i] = value
	}
	return list, nil
}

// mapping decodes a mapping with text keys. Merge keys are carried out in their place.
func (e *expander) mapping(n *node) (any, error) {
	m := e.room.newMap(len(n.Content) / 2)
	for i := 0; i < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind != aScalar {
			return nil, fmt.Errorf("line %d: a key is no plain text", key.Line)
		}
		value, err := e.expand(n.Content[i+1])
		if err != nil {
			return nil, err
		}
		if !isMerge(key) {
			m[key.Value] = value
			continue
		}
		if err := mergeInto(m, value); err != nil {
			return nil, fmt.Errorf("line %d: %w", key.Line, err)
		}
	}
	return m, nil
}

// equals reports whether a node decodes to a value. It decodes only what needs it: nearly all of
// a document is compared as it stands. The error is that of decoding; the values then count as
// different.
func (e *expander) equals(n *node, want any) (bool, error) {
	switch {
	case n.Kind == aScalar:
		return equalsScalar(n, want), nil
	case n.Kind == aSequence:
		return e.equalsList(n, want)
	case n.Kind == aMapping && isSimple(n):
		return e.equalsMap(n, want)
	}
	value, err := e.expand(n)
	return err == nil && equal(want, value), err
}

// equalsList compares a list item by item, up to the first difference.
func (e *expander) equalsList(n *node, want any) (bool, error) {
	list, ok := want.([]any)
	if !ok || len(list) != len(n.Content) {
		return false, nil
	}
	for i, item := range n.Content {
		if same, err := e.equals(item, list[i]); !same {
			return false, err
		}
	}
	return true, nil
}

// equalsMap compares a mapping without merge keys and repeated keys, for which the number of keys
// shows that none is missing.
func (e *expander) equalsMap(n *node, want any) (bool, error) {
	m, ok := want.(map[string]any)
	if !ok || len(m) != len(n.Content)/2 {
		return false, nil
	}
	for i := 0; i < len(n.Content); i += 2 {
		value, ok := m[n.Content[i].Value]
		if !ok {
			return false, nil
		}
		if same, err := e.equals(n.Content[i+1], value); !same {
			return false, err
		}
	}
	return true, nil
}

// maxSimple is how many keys a simple mapping may have, because they are compared with each other.
const maxSimple = 16

// isSimple reports whether a mapping has no merge key, no key twice and no key that is not text.
func isSimple(n *node) bool {
	if len(n.Content) > 2*maxSimple {
		return false
	}
	for i := 0; i < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind != aScalar || isMerge(key) || isRepeated(n, key) {
			return false
		}
	}
	return true
}

// mergeInto puts the keys of a merge key's value in front of those that follow. A merge key
// behind a key that it would set again is refused, because decoders disagree about it: in go-yaml
// v2, which Helm uses, the merge wins; in the others it does not.
func mergeInto(m map[string]any, value any) error {
	list, isList := value.([]any)
	if !isList {
		list = []any{value}
	}
	merged := map[string]any{}
	for _, item := range slices.Backward(list) {
		source, ok := item.(map[string]any)
		if !ok {
			return errors.New("a merge key needs a mapping")
		}
		maps.Copy(merged, source)
	}
	for key, v := range merged {
		if _, isSet := m[key]; isSet {
			return errors.New("a merge key stands behind a key that it sets again: move it to the front")
		}
		m[key] = v
	}
	return nil
}

// isMerge reports whether a key is the merge key <<. Source: yaml.org/type/merge.html.
func isMerge(key *node) bool { return key.Value == "<<" && key.Tag == mergeTag }

// scalar reads a scalar by its resolved tag.
func scalar(n *node) any {
	switch n.Tag {
	case nullTag:
		return nil
	case boolTag:
		return strings.EqualFold(n.Value, "true")
	case numberTag:
		return json.Number(n.Value)
	case otherTag, stringTag, mergeTag:
	}
	if value, isBool := yaml11Bool(n); isBool {
		return value
	}
	return n.Value
}

// equalsScalar reports whether a scalar decodes to a value. Most are text, for which it makes no value.
func equalsScalar(n *node, want any) bool {
	text, isText := want.(string)
	if !isText || n.Tag != stringTag {
		return scalar(n) == want
	}
	_, isBool := yaml11Bool(n)
	return !isBool && n.Value == text
}

// yaml11Bool reads a plain text that Helm reads as a boolean.
func yaml11Bool(n *node) (value, isBool bool) {
	if len(n.Value) > len("off") || n.Style != 0 {
		return false, false
	}
	value, isBool = yaml11Bools[n.Value]
	return value, isBool
}

// yaml11Bools are booleans when they stand plain, as Helm reads them. Source: go-yaml v2,
// resolve.go.
var yaml11Bools = map[string]bool{
	"y": true, "Y": true, "yes": true, "Yes": true, "YES": true,
	"n": false, "N": false, "no": false, "No": false, "NO": false,
	"on": true, "On": true, "ON": true, "off": false, "Off": false, "OFF": false,
}

// find returns the node at the tokens of a JSON pointer, through aliases and merge keys, or nil.
func (t *Tree) find(tokens []string) *node {
	n := t.root
	for _, token := range tokens {
		if n = child(n, token); n == nil {
			return nil
		}
	}
	return follow(n)
}

// follow returns what an alias stands for.
func follow(n *node) *node {
	for n != nil && n.Kind == anAlias {
		n = n.Alias
	}
	return n
}

// child returns an item of a list, or the value of a key: the last of repeated keys, else a
// merged one. It is nil without one.
func child(n *node, token string) *node {
	n = follow(n)
	if n == nil {
		return nil
	}
	if n.Kind == aSequence {
		if i, ok := index(token); ok && i < len(n.Content) {
			return n.Content[i]
		}
		return nil
	}
	_, value := entry(n, token)
	return value
}

// entry returns a mapping's key and value by name. Of repeated keys it is the last one; a key of
// the mapping has precedence over merged ones. Both are nil without such a key.
func entry(n *node, name string) (key, value *node) {
	if n.Kind != aMapping {
		return nil, nil
	}
	for i := len(n.Content) - 2; i >= 0; i -= 2 {
		if n.Content[i].Value == name && !isMerge(n.Content[i]) {
			return n.Content[i], n.Content[i+1]
		}
	}
	for i := 0; i < len(n.Content); i += 2 {
		if !isMerge(n.Content[i]) {
			continue
		}
		for _, source := range mergeSources(n.Content[i+1]) {
			if key, value := entry(source, name); value != nil {
				return key, value
			}
		}
	}
	return nil, nil
}

// mergeSources returns the mappings that a merge key names, in the order of their precedence.
func mergeSources(n *node) []*node {
	n = follow(n)
	if n.Kind != aSequence {
		return []*node{n}
	}
	sources := make([]*node, len(n.Content))
	for i, item := range n.Content {
		sources[i] = follow(item)
	}
	return sources
}

// owner returns the mapping that has a key: the mapping itself, or one that it merges. It is nil
// for a key that neither has.
func owner(mapping, key *node) *node {
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

// isRepeated reports whether a mapping has another key of the same name.
func isRepeated(mapping, key *node) bool {
	for i := 0; i < len(mapping.Content); i += 2 {
		if other := mapping.Content[i]; other != key && other.Value == key.Value {
			return true
		}
	}
	return false
}

// offset returns the byte offset of a line and column, both counted from 1, columns in characters
// as go-yaml does. The line behind the last is the end of the body.
func (t *Tree) offset(line, column int) int {
	if t.lines == nil {
		t.lines = lineStarts(t.body)
		t.isASCII = t.isASCII || isASCII(t.body)
	}
	if line > len(t.lines) {
		return len(t.body)
	}
	i := t.lines[line-1]
	if t.isASCII { // a document on one line would be walked for every edit
		return min(i+column-1, len(t.body))
	}
	for ; column > 1 && i < len(t.body); column-- {
		_, size := utf8.DecodeRune(t.body[i:])
		i += size
	}
	return i
}

// lineStarts returns the offset of every line, as go-yaml counts them. A byte order mark does not
// belong to the first line.
func lineStarts(body []byte) []int {
	starts := make([]int, 1, bytes.Count(body, []byte("\n"))+2)
	starts[0] = len(body) - len(bytes.TrimPrefix(body, bom))
	next := lineEnd
	if hasOddBreak(body) {
		next = oddLineEnd
	}
	for i := next(body, 0); i < len(body); i = next(body, i) {
		starts = append(starts, i)
	}
	return starts
}

// oddLineEnd returns the offset behind the line break that follows i, of whatever sort it is.
func oddLineEnd(body []byte, i int) int {
	start, size := lineBreak(body, i)
	return start + size
}

// offsetOf returns the offset at which a node begins.
func (t *Tree) offsetOf(n *node) int { return t.offset(n.Line, n.Column) }

// end returns the offset behind a node. It reports false for what is not simple to find: tags,
// anchors of scalars, block scalars, and plain scalars over several lines.
func (t *Tree) end(n *node) (int, bool) {
	start := t.offsetOf(n)
	switch {
	case n.Kind == anAlias:
		return textEnd(t.body, start, "*"+n.Value)
	case n.Kind != aScalar && isFlow(n):
		return (&flowCollection{tree: t, node: n}).end()
	case n.Kind != aScalar:
		return t.end(n.Content[len(n.Content)-1])
	case n.HasAnchor || n.Style&(taggedStyle|literalStyle|foldedStyle) != 0:
		return 0, false
	case n.Style&(doubleQuotedStyle|singleQuotedStyle) != 0:
		return closingQuote(t.body, start)
	}
	return textEnd(t.body, start, n.Value)
}

// line returns the text of a line, counted from 1. It includes the line break.
func (t *Tree) line(n int) []byte { return t.body[t.offset(n, 1):t.offset(n+1, 1)] }

// restOfLine returns what follows an offset on its line, without the space around it.
func (t *Tree) restOfLine(offset int) []byte {
	end, _ := lineBreak(t.body, offset)
	return bytes.TrimSpace(t.body[offset:end])
}

// beginsLine reports whether nothing but indentation stands in front of a node. A dash or a
// bracket in front of it counts as something.
func (t *Tree) beginsLine(n *node) bool {
	return len(bytes.Trim(t.body[t.offset(n.Line, 1):t.offsetOf(n)], " ")) == 0
}
