package manifest

import (
	"bytes"
	"slices"
	"unicode/utf8"
)

// This file reads JSON without parsing it: where an object ends, and which kind it has.

// splitJSON divides a stream of JSON objects that nothing but white space separates, as jq prints
// them. It returns nil for every other stream. That is also a stream of one object, which is YAML as
// well. kubectl reads such a stream as JSON from its first byte to its last.
// Source: k8s.io/apimachinery, pkg/util/yaml/decoder.go YAMLOrJSONDecoder.
func splitJSON(stream []byte) []Document {
	var docs []Document
	start := 0
	i := skipBlank(stream, len(stream)-len(bytes.TrimPrefix(stream, bom)))
	for i < len(stream) {
		end, header, ok := scanJSON(stream, i)
		if !ok {
			return nil
		}
		next := skipBlank(stream, end)
		docs = append(docs, Document{
			Raw: stream[start:next], Offset: start, Body: stream[i:next], Header: header, IsJSON: true,
		})
		start, i = next, next
	}
	if len(docs) < 2 {
		return nil
	}
	number(docs)
	return docs
}

// jsonScan is the state of a scan of one object.
type jsonScan struct {
	header Header
	depth  int
	// isKey is true where the next string is a key of the root, and isKind where it is the value of
	// the root's kind.
	isKey, isKind bool
}

// scanJSON returns the offset behind the JSON object that begins at i, and its header. It returns
// false for what is not JSON, such as YAML in flow style: JSON has only double quotes, no comments,
// and no words but numbers, true, false and null. Thus brackets are found as every parser finds them.
// It does not judge the order of tokens.
func scanJSON(text []byte, i int) (end int, header Header, ok bool) {
	if i == len(text) || text[i] != '{' {
		return 0, Header{}, false
	}
	var s jsonScan
	for i < len(text) {
		switch c := text[i]; {
		case c == '"':
			end = jsonQuoteEnd(text, i)
			s.addString(text, i, end)
			i = end
		case isBlank(c) || c == ':':
			i++
		case bytes.IndexByte([]byte("{}[],"), c) >= 0:
			i++
			if s.addBracket(c); s.depth == 0 {
				return i, s.header, true
			}
		default:
			i = jsonWordEnd(text, i)
		}
		if i < 0 {
			return 0, Header{}, false
		}
	}
	return 0, Header{}, false
}

// addBracket reads a bracket or a comma.
func (s *jsonScan) addBracket(c byte) {
	switch c {
	case '{', '[':
		s.depth++
	case '}', ']':
		s.depth--
	}
	s.isKey, s.isKind = s.depth == 1 && (c == '{' || c == ','), false
}

// addString reads a string of the root. One with an escape can be anything.
func (s *jsonScan) addString(text []byte, start, end int) {
	if s.depth != 1 || end < 0 {
		return
	}
	value := text[start+1 : end-1]
	isPlain := bytes.IndexByte(value, '\\') < 0
	switch {
	case s.isKey:
		s.isKind = string(value) == "kind"
		s.header.Unsure = s.header.Unsure || !isPlain
	case s.isKind && isPlain && isASCII(value):
		s.header.Kinds = append(s.header.Kinds, string(value))
	case s.isKind:
		s.header.Unsure = true
	}
	s.isKey = false
}

// jsonQuoteEnd returns the offset behind the string that begins at start, or -1 where it does not
// end or holds a character that JSON must escape.
func jsonQuoteEnd(text []byte, start int) int {
	for i := start + 1; i < len(text); i++ {
		switch c := text[i]; {
		case c < ' ':
			return -1
		case c == '"':
			return i + 1
		case c == '\\' && i+1 < len(text) && text[i+1] >= ' ':
			i++
		}
	}
	return -1
}

// lineBehindJSON returns the line of what stands behind a JSON object at the start of a body, or 0.
// kubectl reads the object first and then the rest, also where both are no YAML together.
func lineBehindJSON(body []byte) int {
	end, _, ok := scanJSON(body, contentStart(body))
	if !ok || !hasContent(body[end:]) {
		return 0
	}
	return 1 + bytes.Count(body[:end+contentStart(body[end:])], []byte("\n"))
}

// isASCII reports whether every character of a text is one byte.
func isASCII(text []byte) bool {
	return !slices.ContainsFunc(text, func(c byte) bool { return c >= utf8.RuneSelf })
}

// jsonWords are the words of JSON that are not numbers.
var jsonWords = [][]byte{[]byte("true"), []byte("false"), []byte("null")}

// jsonWordEnd returns the offset behind the number or the word that begins at i, or -1 where neither
// does.
func jsonWordEnd(text []byte, i int) int {
	for _, word := range jsonWords {
		if bytes.HasPrefix(text[i:], word) {
			return i + len(word)
		}
	}
	digits := bytes.TrimPrefix(text[i:], []byte("-"))
	if len(digits) == 0 || digits[0] < '0' || digits[0] > '9' {
		return -1
	}
	rest := bytes.TrimLeft(digits, "0123456789+-.eE")
	return len(text) - len(rest)
}
