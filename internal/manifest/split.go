package manifest

import "bytes"

// separator begins a line that separates two documents. Helm splits at every line that starts so, whatever follows
// (releaseutil.SplitManifests); so do we, or a document glued to its separator would be lost.
var separator = []byte("---")

var bom = []byte("\uFEFF")

// Document is one document of a stream.
type Document struct {
	// Number counts the documents from 1. Blank text and comments in front of the first separator are no document.
	Number int
	// Raw is everything from the document's separator to the next one.
	Raw []byte
	// Offset is where Raw starts in the stream.
	Offset int
	// Body is what is parsed: Raw behind its separator, and behind a byte order mark in front of the first content.
	Body []byte
}

// BodyOffset is where the body starts in the stream.
func (d Document) BodyOffset() int { return d.Offset + len(d.Raw) - len(d.Body) }

// Split cuts a stream into documents. Their Raw bytes, joined, are the stream.
func Split(stream []byte) []Document {
	var docs []Document
	for start := 0; start < len(stream); {
		end := nextSeparator(stream, start)
		docs = append(docs, newDocument(stream[start:end], start))
		start = end
	}
	number(docs)
	return docs
}

// nextSeparator returns the start of the next separator line behind the one at start, or the end of the stream.
func nextSeparator(stream []byte, start int) int {
	for from := start; ; {
		i := bytes.Index(stream[from:], []byte("\n---"))
		if i < 0 {
			return len(stream)
		}
		return from + i + 1
	}
}

func newDocument(raw []byte, offset int) Document {
	body := raw
	if offset == 0 {
		body = bytes.TrimPrefix(body, bom)
	}
	body = bytes.TrimPrefix(body, separator)
	if i := contentStart(body); bytes.HasPrefix(body[i:], bom) {
		body = body[i+len(bom):]
	}
	return Document{Raw: raw, Offset: offset, Body: body}
}

func number(docs []Document) {
	n := 0
	for i := range docs {
		isPreamble := i == 0 && len(docs) > 1 && IsBlank(docs[i].Body) && !bytes.HasPrefix(docs[i].Raw, separator)
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
	return line[0] == '%' || (bytes.HasPrefix(line, []byte("...")) && len(bytes.TrimSpace(line[3:])) == 0)
}

// lineEnd returns the offset behind the line that holds i, with its line feed.
func lineEnd(text []byte, i int) int {
	if n := bytes.IndexByte(text[i:], '\n'); n >= 0 {
		return i + n + 1
	}
	return len(text)
}

// IsBlank reports whether a body holds nothing but space, comments and markers.
func IsBlank(body []byte) bool { return contentStart(body) == len(body) }

// Header is what a document's text tells of its kind before it is parsed.
type Header struct {
	// Kinds are the values of the lines that look like the root's kind. More than one is possible in odd documents.
	Kinds []string
	// Unsure says that the root is not a plain block mapping, so that only parsing tells its kind.
	Unsure bool
}

// Scan reads a document's header. It finds the kind of every document that Helm itself prints.
func Scan(body []byte) Header {
	i := contentStart(body)
	if i == len(body) {
		return Header{}
	}
	if body[i] == '-' || body[i] == '[' {
		return Header{} // a list has no kind
	}
	startsLine := i == 0 || body[i-1] == '\n'
	if !startsLine || !isKeyStart(body[i]) || hasLoneCR(body) {
		return Header{Unsure: true}
	}
	return scanKinds(body)
}

// isKeyStart reports whether a byte can start a plain or quoted key of a block mapping.
func isKeyStart(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '"' || c == '\'' || c == '_'
}

// hasLoneCR reports whether a carriage return ends a line on its own, as YAML allows.
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

// kindKeys are the spellings of the key that may start a line.
var kindKeys = [][]byte{[]byte("kind"), []byte(`"kind"`), []byte("'kind'")}

// newlineKinds are the same behind a line feed, to search for.
var newlineKinds = [][]byte{[]byte("\nkind"), []byte("\n\"kind\""), []byte("\n'kind'")}

func scanKinds(body []byte) Header {
	var h Header
	for i, key := range kindKeys {
		if bytes.HasPrefix(body, key) {
			h.add(body[len(key):])
		}
		for rest := body; ; {
			at := bytes.Index(rest, newlineKinds[i])
			if at < 0 {
				break
			}
			rest = rest[at+len(newlineKinds[i]):]
			h.add(rest)
		}
	}
	if mayMerge(body) {
		h.Unsure = true
	}
	return h
}

// mayMerge reports whether the root takes keys from elsewhere or writes them in long form.
func mayMerge(body []byte) bool {
	for _, odd := range [][]byte{[]byte("\n<<"), []byte("\n? "), []byte("\n\"\\"), []byte("\n\"k\\")} {
		if bytes.Contains(body, odd) {
			return true
		}
	}
	return false
}

// add reads the value behind a key that looks like kind.
func (h *Header) add(rest []byte) {
	line := bytes.TrimLeft(rest[:lineEnd(rest, 0)], " \t")
	if len(line) == 0 || line[0] != ':' {
		return
	}
	value := bytes.TrimSpace(line[1:])
	if i := bytes.Index(value, []byte(" #")); i >= 0 {
		value = bytes.TrimSpace(value[:i])
	}
	if len(value) == 0 || bytes.IndexByte([]byte("&*!|>#{["), value[0]) >= 0 {
		h.Unsure = true
		return
	}
	h.Kinds = append(h.Kinds, string(bytes.Trim(value, `"'`)))
}
