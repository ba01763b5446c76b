package manifest

import (
	"bytes"
	"slices"
)

// separator begins a line that separates two documents. Helm splits at every line that starts so,
// whatever follows (releaseutil.SplitManifests). So does Split, or a document glued to its separator
// would be lost.
var separator = []byte("---")

var bom = []byte("\uFEFF")

// Document is one document of a stream. Its slices share the bytes of the stream.
type Document struct {
	// Number counts the documents from 1. Blank text and comments in front of the first separator
	// are no document.
	Number int
	// Raw is everything from the document's separator to the next one.
	Raw []byte
	// Offset is where Raw starts in the stream.
	Offset int
	// Body is what is parsed: Raw behind its separator, and behind a byte order mark in front of
	// the first content.
	Body []byte
	// Header is what is known of the document's kind before it is parsed.
	Header Header
	// IsJSON is true for an object of a stream of JSON objects that nothing but white space separates.
	// Its body begins with the object. Every document of such a stream is one.
	IsJSON bool
}

// Header is what is known of a document's kind before it is parsed: the scan of its lines shows it.
type Header struct {
	// Blank is true when the document holds nothing but space, comments and markers.
	Blank bool
	// Kinds are the values of the lines that look like the root's kind. More than one is possible
	// in odd documents.
	Kinds []string
	// Unsure is true when the root is neither a plain block mapping nor JSON: its kind needs parsing.
	Unsure bool
	// MayContinue is true when something may stand behind the first value, which no reader of
	// manifests would read: parsing shows it, see [SecondValueError].
	MayContinue bool
}

// BodyOffset is where the body starts in the stream.
func (d Document) BodyOffset() int { return d.Offset + len(d.Raw) - len(d.Body) }

// Split divides a stream into documents. Their Raw bytes, joined, are the stream. It looks at the
// beginning of every line once and finds the kind of every document that Helm itself prints. It
// parses nothing and accepts any bytes, also those that are not YAML. JSON objects that follow each
// other are documents of their own where the whole stream consists of them.
func Split(stream []byte) []Document {
	if docs := splitJSON(stream); docs != nil {
		return docs
	}
	var docs []Document
	oddBreak := hasOddBreak(stream)
	start, header := 0, Header{}
	for line := 0; line < len(stream); line = lineEnd(stream, line) {
		switch stream[line] {
		case '-':
			if line > start && bytes.HasPrefix(stream[line:], separator) {
				docs = append(docs, newDocument(stream[start:line], start, header, oddBreak))
				start, header = line, Header{}
			}
		case '.':
			header.MayContinue = header.MayContinue || isEnd(stream[line:])
		case 'k', '"', '\'', '<', '?', '!', '&', '*':
			header.addLine(stream[line:])
		}
	}
	if start < len(stream) {
		docs = append(docs, newDocument(stream[start:], start, header, oddBreak))
	}
	number(docs)
	return docs
}

// newDocument makes a document of a piece of the stream. OddBreak reports whether the stream has
// a line break that Split does not see.
func newDocument(raw []byte, offset int, header Header, oddBreak bool) Document {
	body := raw
	if offset == 0 {
		body = bytes.TrimPrefix(body, bom)
	}
	if rest, ok := bytes.CutPrefix(body, separator); ok {
		body = bytes.TrimLeft(rest, " \t") // as Helm does: a tab in front of the content would be no YAML
	}
	i := contentStart(body)
	if bytes.HasPrefix(body[i:], bom) {
		body, i = body[i+len(bom):], 0
	}
	header.complete(body, i, len(body) < len(raw), oddBreak && hasOddBreak(body))
	return Document{Raw: raw, Offset: offset, Body: body, Header: header}
}

// number counts the documents as people count them, see [Document].
func number(docs []Document) {
	n := 0
	for i := range docs {
		hasSeparator := bytes.HasPrefix(docs[i].Raw, separator)
		isPreamble := i == 0 && len(docs) > 1 && docs[i].Header.Blank && !hasSeparator
		if !isPreamble {
			n++
		}
		docs[i].Number = n
	}
}

// contentStart returns the offset of the first byte that is neither blank, comment nor directive.
func contentStart(body []byte) int {
	for i := 0; i < len(body); {
		end := lineEnd(body, i)
		line := bytes.TrimLeft(body[i:end], " \t\r\n")
		if len(line) > 0 && line[0] != '#' && !isMarker(body[i:end]) {
			return end - len(line)
		}
		i = end
	}
	return len(body)
}

// isMarker reports whether a line is a directive or an end marker, neither of which is content.
func isMarker(line []byte) bool {
	return line[0] == '%' || isEnd(line) && !hasContent(line[len(endMarker):])
}

// endMarker begins a line that ends a document.
var endMarker = []byte("...")

// isEnd reports whether a text begins with an end marker. Source: go-yaml, scannerc.go
// yaml_parser_fetch_next_token.
func isEnd(text []byte) bool {
	return bytes.HasPrefix(text, endMarker) && isBlankAt(text, len(endMarker))
}

// complete judges the first content of a body. The scan of lines has not read it where it does
// not begin a line of the stream: behind a separator or a byte order mark.
func (h *Header) complete(body []byte, content int, mayBeUnread, oddBreak bool) {
	if content == len(body) {
		*h = Header{Blank: true}
		return
	}
	text := body[content:]
	first := text[0]
	beginsLine := content == 0 || body[content-1] == '\n'
	h.MayContinue = h.MayContinue && continuesBehindEnd(text)
	switch {
	case first == '{' || first == '[':
		h.completeFlow(text)
	case isDash(text):
		*h = Header{MayContinue: h.MayContinue} // a list has no kind
	case !beginsLine || !isKeyStart(first) || oddBreak:
		h.Unsure, h.MayContinue = true, true
	case content == 0 && mayBeUnread:
		h.addLine(body)
	}
}

// completeFlow judges a root in flow style. Of JSON it finds the kind.
func (h *Header) completeFlow(text []byte) {
	end, header, isClosed := scanJSON(text, 0)
	if !isClosed {
		header = Header{Kinds: h.Kinds, Unsure: true}
		if text[0] == '[' {
			header = Header{} // a list has no kind
		}
		end, isClosed = closingBracket(text, 1)
	}
	header.MayContinue = !isClosed || hasContent(text[end:])
	*h = header
}

// continuesBehindEnd reports whether content stands behind the first end marker of a text.
func continuesBehindEnd(text []byte) bool {
	for i := 0; i < len(text); i = lineEnd(text, i) {
		if isEnd(text[i:]) {
			return hasContent(text[i+len(endMarker):])
		}
	}
	return false
}

// hasContent reports whether a text is more than space, comments and markers.
func hasContent(text []byte) bool { return contentStart(text) < len(text) }

// isDash reports whether a text begins with an item of a block list.
func isDash(text []byte) bool {
	return text[0] == '-' && (len(text) == 1 || bytes.IndexByte([]byte(" \t\r\n"), text[1]) >= 0)
}

// isKeyStart reports whether a byte can start a plain or quoted key of a block mapping.
func isKeyStart(c byte) bool {
	isDigit := c >= '0' && c <= '9'
	return isLetter(c) || isDigit || bytes.IndexByte([]byte(`"'_-./`), c) >= 0
}

// oddBreaks are line breaks of YAML 1.1 in addition to LF, CR LF and CR: NEL, LS and PS.
var oddBreaks = [][]byte{[]byte("\u0085"), []byte("\u2028"), []byte("\u2029")}

// hasOddBreak reports whether a line may end with something else than LF or CR LF. The first bytes of
// odd breaks are searched for, of which most texts have none.
func hasOddBreak(body []byte) bool {
	return hasLoneCR(body) || slices.ContainsFunc(oddBreaks, func(lineBreak []byte) bool {
		return bytes.IndexByte(body, lineBreak[0]) >= 0 && bytes.Contains(body, lineBreak)
	})
}

// hasLoneCR reports whether a carriage return stands without a line feed, which ends a line in
// YAML.
func hasLoneCR(body []byte) bool {
	for i := bytes.IndexByte(body, '\r'); i >= 0; {
		if i+1 == len(body) || body[i+1] != '\n' {
			return true
		}
		next := bytes.IndexByte(body[i+1:], '\r')
		if next < 0 {
			return false
		}
		i += 1 + next
	}
	return false
}

// kindKeys are the spellings of the key.
var kindKeys = [][]byte{[]byte("kind"), []byte(`"kind"`), []byte("'kind'")}

// oddKeys begin lines that may bring a kind from another place: a merge key, a key in long form, an
// escaped one.
var oddKeys = [][]byte{
	[]byte("<<"), []byte("?"), []byte(`"\`), []byte(`"k\`), []byte("!"), []byte("&"), []byte("*"),
}

// addLine reads a line that begins with the text.
func (h *Header) addLine(text []byte) {
	for _, key := range kindKeys {
		if rest, ok := bytes.CutPrefix(text, key); ok {
			h.add(rest)
			return
		}
	}
	for _, key := range oddKeys {
		h.Unsure = h.Unsure || bytes.HasPrefix(text, key)
	}
}

// add reads the value behind a key that looks like kind.
func (h *Header) add(rest []byte) {
	line := bytes.TrimLeft(rest[:lineEnd(rest, 0)], " \t")
	if len(line) == 0 || line[0] != ':' {
		return
	}
	value := bytes.TrimSpace(line[1:])
	for i := range value {
		if value[i] == '#' && i > 0 && (value[i-1] == ' ' || value[i-1] == '\t') {
			value = bytes.TrimSpace(value[:i])
			break
		}
	}
	kind, ok := unquote(value)
	if !ok {
		h.Unsure = true
		return
	}
	h.Kinds = append(h.Kinds, string(kind))
}

// unquote reads a scalar that stands whole on its line. It reports false for what only a parser
// can read: anchors, tags, blocks, flow style, escapes, and quotes that do not end here.
func unquote(value []byte) ([]byte, bool) {
	if len(value) == 0 || bytes.IndexByte([]byte("&*!|>#{["), value[0]) >= 0 {
		return nil, false
	}
	if value[0] != '"' && value[0] != '\'' {
		return value, true
	}
	inner, ends := bytes.CutSuffix(value[1:], value[:1])
	return inner, ends && !bytes.ContainsAny(inner, `\"'`)
}
