package manifest

import (
	"encoding/binary"
	"unicode/utf8"
	"unsafe"
)

// class is what matters to the reader in a character. The classes are looked up, because searches in
// short texts would take a tenth of a run (make bench).
type class uint8

const (
	// noPlainStart begins something else than a plain scalar. A dash may begin one.
	noPlainStart class = 1 << iota
	// mayEndPlain may end a plain scalar, depending on what stands beside it.
	mayEndPlain
	// endsInFlow ends a plain scalar in flow style.
	endsInFlow
	// beginsNumber begins a scalar that may be a number or a date.
	beginsNumber
	// noNumber is in no number and no date.
	noNumber
	// isDigit is a decimal digit.
	isDigit
)

// classes has the classes of every character.
var classes = classTable(map[class]string{
	noPlainStart: "?:,[]{}#&*!|>'\"%@` \n",
	mayEndPlain:  "\n:#",
	endsInFlow:   ",?[]{}",
	beginsNumber: "+-.0123456789",
	noNumber:     "GgKkMmPpSsvw/=$@",
	isDigit:      "0123456789",
})

// classTable turns lists of characters into a table.
func classTable(lists map[class]string) (table [256]class) {
	for class, list := range lists {
		for i := range len(list) {
			table[list[i]] |= class
		}
	}
	return table
}

// has reports whether a character is in a class, or in one of several.
func (c class) has(character byte) bool { return classes[character]&c != 0 }

// textOf returns a body as a string that shares its bytes, which must not change, see [Decode]. A copy
// would be an eighth of a run's memory (make bench).
func textOf(body []byte) string {
	return unsafe.String(unsafe.SliceData(body), len(body)) //nolint:gosec // nothing writes to a body
}

// charactersOf reports whether a text has ASCII characters only, and whether the reader accepts all of
// them: those that YAML can print, without tabs, and LF as the one line break. Source: go-yaml,
// readerc.go yaml_parser_update_buffer.
func charactersOf(body []byte) (isASCII, isReadable bool) {
	for i := 0; i < len(body); i++ {
		if len(body)-i >= 8 && isText(binary.LittleEndian.Uint64(body[i:])) {
			i += 7
			continue
		}
		c := body[i]
		if c >= utf8.RuneSelf {
			return false, isPrintable(body[i:])
		}
		if c < ' ' && c != '\n' || c == 0x7F {
			return false, false
		}
	}
	return true, true
}

// isText reports whether the reader accepts eight characters, and all of them are ASCII. One by one
// they would take a tenth of a run (make bench). Each sum below stays within its byte: it sets the high
// bit where the character is at least a space, differs from a line feed, or differs from DEL.
func isText(chars uint64) bool {
	const each, high = 0x0101010101010101, 0x8080808080808080
	isGraphic := chars&^high + (0x80-' ')*each
	noBreak := (chars^'\n'*each)&^high + 0x7F*each
	noDelete := (chars^0x7F*each)&^high + 0x7F*each
	return (isGraphic|^noBreak)&noDelete&^chars&high == high
}

// isPrintable does what [charactersOf] does for a text that is not ASCII.
func isPrintable(body []byte) bool {
	for i := 0; i < len(body); {
		c, size := utf8.DecodeRune(body[i:])
		isControl := c < ' ' && c != '\n' || c >= 0x7F && c < 0xA0
		isBreak := c == '\u2028' || c == '\u2029'
		isBroken := c == utf8.RuneError && size < 2
		if isControl || isBreak || isBroken || c == '\uFEFF' || c == '\uFFFE' || c == '\uFFFF' {
			return false
		}
		i += size
	}
	return true
}
