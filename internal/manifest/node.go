package manifest

import (
	"slices"
	"sync"

	"go.yaml.in/yaml/v3"
)

// node is a value of a document and its place. It has what go-yaml's Node has, as far as this package
// needs it, in less than half of the memory: a stream has a node for every 15 bytes.
type node struct {
	Value   string
	Content []*node
	// Alias is the value that an alias stands for.
	Alias *node
	// Line and Column are counted from 1, columns in characters.
	Line, Column int
	Kind         kind
	Style        style
	Tag          tag
	HasAnchor    bool
}

// kind is what a node is.
type kind uint8

// The kinds.
const (
	aScalar kind = iota
	aMapping
	aSequence
	anAlias
)

// kinds has what the kinds of go-yaml are here.
var kinds = map[yaml.Kind]kind{
	yaml.ScalarNode: aScalar, yaml.MappingNode: aMapping, yaml.SequenceNode: aSequence, yaml.AliasNode: anAlias,
}

// style is how a node is written. It has the bits of go-yaml's Style.
type style uint8

// The styles.
const (
	taggedStyle       = style(yaml.TaggedStyle)
	doubleQuotedStyle = style(yaml.DoubleQuotedStyle)
	singleQuotedStyle = style(yaml.SingleQuotedStyle)
	literalStyle      = style(yaml.LiteralStyle)
	foldedStyle       = style(yaml.FoldedStyle)
	flowStyle         = style(yaml.FlowStyle)
)

// tag is the type of a node, as far as it matters.
type tag uint8

// The tags.
const (
	// otherTag is that of collections, and of scalars that count as text.
	otherTag tag = iota
	stringTag
	nullTag
	boolTag
	numberTag
	mergeTag
)

// tags has what the tags of go-yaml are here.
var tags = map[string]tag{
	"!!str": stringTag, "!!null": nullTag, "!!bool": boolTag, "!!int": numberTag, "!!float": numberTag,
	"!!merge": mergeTag,
}

// wordTag returns the tag of a scalar that the text as a whole decides. It is a switch because a map
// would take a thirtieth of a run (make bench). Source: go-yaml, resolve.go.
func wordTag(value string) tag {
	switch value {
	case "true", "True", "TRUE", "false", "False", "FALSE":
		return boolTag
	case "", "~", "null", "Null", "NULL":
		return nullTag
	case "<<":
		return mergeTag
	}
	return stringTag
}

// plainTag returns the tag that go-yaml gives to a plain scalar. Only what may be a number is given to
// go-yaml. Source: go-yaml, resolve.go.
func plainTag(value string) tag {
	switch {
	case value == "" || !beginsNumber.has(value[0]):
		return wordTag(value)
	case hasAny(value[1:], noNumber):
		return stringTag
	case isSmallNumber(value):
		return numberTag
	}
	return tags[(&yaml.Node{Kind: yaml.ScalarNode, Value: value}).ShortTag()]
}

// hasAny reports whether a text has a character of a class.
func hasAny(text string, c class) bool {
	for i := range len(text) {
		if c.has(text[i]) {
			return true
		}
	}
	return false
}

// isSmallNumber reports whether a text has one to nine digits.
func isSmallNumber(text string) bool {
	if len(text) > 9 || text[0] == '0' {
		return false
	}
	for i := range len(text) {
		if !isDigit.has(text[i]) {
			return false
		}
	}
	return true
}

// converter turns the nodes of go-yaml into nodes.
type converter struct {
	// anchored are the nodes that aliases stand for.
	anchored map[*yaml.Node]*node
}

// convert turns a node with all below it. An alias may stand in the value that it stands for.
func (c *converter) convert(from *yaml.Node) *node {
	n := &node{
		Value: from.Value, Line: from.Line, Column: from.Column,
		Kind: kinds[from.Kind], Style: style(from.Style), Tag: tags[from.Tag], HasAnchor: from.Anchor != "",
	}
	if n.HasAnchor {
		c.anchored[from] = n
	}
	if from.Alias != nil {
		n.Alias = c.anchored[from.Alias]
	}
	for _, child := range from.Content {
		n.Content = append(n.Content, c.convert(child))
	}
	return n
}

// room is memory for a document. New memory costs more than reading does, so that [Tree.Release] gives it
// back for the next document (make bench).
type room struct {
	nodes    []node
	contents []*node
	// open are the nodes of the collections that are not read to their end.
	open []*node
	// scratch is for the text of a block scalar.
	scratch []byte
	// small and large are the maps of the decoded value.
	small, large mapRoom
}

// usualRoom is how many nodes there is room for. Memory that is not written to costs nothing.
const usualRoom = 4096

// rooms are those that no tree needs.
var rooms = sync.Pool{New: func() any {
	return &room{nodes: make([]node, 0, usualRoom), contents: make([]*node, 0, usualRoom)}
}}

// newNode returns a node without content.
func (r *room) newNode() *node {
	if len(r.nodes) == cap(r.nodes) {
		r.nodes = make([]node, 0, 2*cap(r.nodes))
	}
	r.nodes = r.nodes[:len(r.nodes)+1]
	return &r.nodes[len(r.nodes)-1]
}

// close gives a collection the open nodes from first on.
func (r *room) close(n *node, first int) {
	elements := r.open[first:]
	r.open = r.open[:first]
	if len(r.contents)+len(elements) > cap(r.contents) {
		r.contents = make([]*node, 0, max(2*cap(r.contents), len(elements)))
	}
	start := len(r.contents)
	r.contents = append(r.contents, elements...)
	n.Content = slices.Clip(r.contents[start:])
}

// newMap returns an empty map for so many keys. A tree without room has a new one.
func (r *room) newMap(size int) map[string]any {
	switch {
	case r == nil || size > largeMap:
		return make(map[string]any, size)
	case size > smallMap:
		return r.large.take(largeMap)
	}
	return r.small.take(smallMap)
}

// release gives the memory back, unless it is that of an unusual document: a stream must not pay for its
// largest document with every other one. Its nodes and maps must not be used any more.
func (r *room) release() {
	if cap(r.nodes) > usualRoom {
		return
	}
	clear(r.nodes)
	clear(r.contents)
	r.nodes, r.contents, r.open = r.nodes[:0], r.contents[:0], r.open[:0]
	if cap(r.scratch) > usualBody {
		r.scratch = nil
	}
	r.small.release()
	r.large.release()
	rooms.Put(r)
}

// How many keys there is place for in a map of one group and in one of two, as far as Go fills them.
// Source: Go, internal/runtime/maps.
const (
	smallMap = 8
	largeMap = 14
)

// mapRoom has maps of one size, of which the first ones are in use.
type mapRoom struct {
	maps []map[string]any
	used int
}

// take returns an empty map.
func (r *mapRoom) take(size int) map[string]any {
	if r.used == len(r.maps) {
		r.maps = append(r.maps, make(map[string]any, size))
	}
	r.used++
	return r.maps[r.used-1]
}

// release empties the maps that are in use.
func (r *mapRoom) release() {
	for _, m := range r.maps[:r.used] {
		clear(m)
	}
	r.used = 0
}
