package postrender

import (
	"bytes"
	"errors"

	"github.com/pipeline-storage/pipeline-storage/internal/manifest"
)

// What refuses a stream as a whole, before any document is read.
var (
	errUTF16 = errors.New("the stream is in UTF-16 or UTF-32, and Helm reads UTF-8 only: convert it first, " +
		"such as by iconv -f UTF-16 -t UTF-8; in PowerShell write it by Out-File -Encoding utf8 instead of >")
	errJSONForHelm4 = errors.New("the stream is of JSON objects without separators, of which Helm 4 reads the " +
		"first one only: put a line --- between them")
)

// checkForm refuses a stream that its readers would not read.
func (r *Renderer) checkForm(stream []byte, docs []manifest.Document) error {
	switch {
	case isUTF16(stream):
		return errUTF16
	case r.Helm4 && isJSONStream(docs):
		return errJSONForHelm4
	}
	return nil
}

// isUTF16 reports whether a stream begins as one in UTF-16 or UTF-32 does: with a byte order mark of
// two bytes, or with a NUL beside a character of ASCII, as every manifest without one does.
// Source: YAML 1.2, section 5.2.
func isUTF16(stream []byte) bool {
	if len(stream) < 2 {
		return false
	}
	head, isText := stream[:2], func(c byte) bool { return c >= '\t' && c <= '~' }
	return bytes.Equal(head, []byte{0xff, 0xfe}) || bytes.Equal(head, []byte{0xfe, 0xff}) ||
		head[0] == 0 && isText(head[1]) || isText(head[0]) && head[1] == 0
}
