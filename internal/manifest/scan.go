package manifest

import (
	"bytes"
	"strings"
)

// This file finds where things end in a text. [Decode] reports only where they begin.

// closingBracket returns the offset behind the bracket that closes a flow collection. The search
// starts at i, behind the opening bracket.
//
// A quote opens a quoted scalar only where a token begins: the one in it's is text. Plain scalars
// end where go-yaml ends them. Source: go-yaml, scannerc.go yaml_parser_scan_plain_scalar. It
// returns false when the bracket is not closed.
func closingBracket(body []byte, i int) (int, bool) {
	depth, inPlain := 1, false
	for ; i < len(body); i++ {
		switch c := body[i]; {
		case isBlank(c):
			continue // a plain scalar may go on behind it
		case c == '[' || c == '{':
			depth, inPlain = depth+1, false
		case c == ']' || c == '}':
			if depth--; depth == 0 {
				return i + 1, true
			}
			inPlain = false
		case c == ',' || c == '?' || c == ':' && (!inPlain || isBlankAt(body, i+1)):
			inPlain = false
		case c == '#' && isBlank(body[i-1]):
			i, inPlain = lineEnd(body, i)-1, false
		case inPlain:
			continue
		case c == '"' || c == '\'':
			end, ok := closingQuote(body, i)
			if !ok {
				return 0, false
			}
			i = end - 1
		case c == '&' || c == '*' || c == '!':
			i = propertyEnd(body, i) - 1
		default:
			inPlain = true
		}
	}
	return 0, false
}

// closingQuote returns the offset behind the quoted scalar that begins at start. In double quotes
// a backslash escapes; in single quotes a quote is doubled.
func closingQuote(body []byte, start int) (int, bool) {
	quote := body[start]
	for i := start + 1; i < len(body); i++ {
		switch {
		case quote == '"' && body[i] == '\\':
			i++
		case body[i] == quote && quote == '\'' && bytes.HasPrefix(body[i+1:], []byte{quote}):
			i++
		case body[i] == quote:
			return i + 1, true
		}
	}
	return 0, false
}

// propertyEnd returns the offset behind the anchor, alias or tag that begins at start.
func propertyEnd(body []byte, start int) int {
	if n := bytes.IndexAny(body[start:], " \t\r\n,[]{}"); n >= 0 {
		return start + n
	}
	return len(body)
}

// openingBracket returns the offset behind the bracket that opens a flow collection. The search
// starts at i, where the collection's anchor, tag or bracket is.
func openingBracket(body []byte, i int) (int, bool) {
	for i < len(body) && (body[i] == '&' || body[i] == '!') {
		end := bytes.IndexAny(body[i:], " \t\r\n")
		if end < 0 {
			return 0, false
		}
		i = skipBlank(body, i+end)
	}
	if i < len(body) && (body[i] == '[' || body[i] == '{') {
		return i + 1, true
	}
	return 0, false
}

// textEnd returns the offset behind a text that must stand at start.
func textEnd(body []byte, start int, text string) (int, bool) {
	return start + len(text), bytes.HasPrefix(body[start:], []byte(text))
}

// isBlank reports whether a byte is a space, a tab or a part of a line break.
func isBlank(c byte) bool { return strings.IndexByte(" \t\r\n", c) >= 0 }

// isBlankAt reports whether a blank or the end of the body is at i.
func isBlankAt(body []byte, i int) bool { return i == len(body) || isBlank(body[i]) }

// skipBlank returns the offset of the first byte from i on that is not blank.
func skipBlank(body []byte, i int) int {
	return len(body) - len(bytes.TrimLeft(body[i:], " \t\r\n"))
}

// trimBlank returns the offset behind the last byte before i that is not blank.
func trimBlank(body []byte, i int) int {
	return len(bytes.TrimRight(body[:i], " \t\r\n"))
}

// lineEnd returns the offset behind the line feed of the line that holds i, or the end of the text.
func lineEnd(text []byte, i int) int {
	if n := bytes.IndexByte(text[i:], '\n'); n >= 0 {
		return i + n + 1
	}
	return len(text)
}

// lineBreak returns the offset and the length of the first line break from i on, as go-yaml counts
// lines. Without one they are the end of the body and 0.
func lineBreak(body []byte, i int) (start, size int) {
	for ; i < len(body); i++ {
		if size := breakAt(body[i:]); size > 0 {
			return i, size
		}
	}
	return i, 0
}

// breakAt returns the length of the line break that a text begins with, or 0. Line breaks are those
// of YAML 1.1: LF, CR LF, CR, NEL, LS and PS. Source: go-yaml, yamlprivateh.go is_break.
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
