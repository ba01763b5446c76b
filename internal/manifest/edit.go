package manifest

import (
	"bytes"
	"io"
	"slices"
)

// Edit replaces the bytes of a body from Start to End with New. It has the fields of an Edit of
// golang.org/x/tools/internal/diff.
//
// [Tree.Apply] replaces nothing but null literals; every other edit of it is an insertion, with
// Start == End. [Tree.Remove] only removes: New is empty.
type Edit struct {
	// Start and End are byte offsets in the body.
	Start, End int
	// New is the text that stands there afterwards.
	New []byte

	// column is the indentation of inserted lines. Of two insertions at one offset, the one that
	// is indented further comes first: it belongs to what stands above.
	column int
}

// Splice returns the body with the edits carried out. The edits are sorted by Start and do not
// overlap.
func Splice(body []byte, edits []Edit) []byte {
	size := len(body)
	for _, e := range edits {
		size += len(e.New)
	}
	out := bytes.NewBuffer(make([]byte, 0, size))
	_, _ = Write(out, body, edits) // writing to a buffer does not fail
	return out.Bytes()
}

// Write writes the body with the edits carried out, in pieces and without a copy. It returns how
// many bytes it wrote. It stops at the first error.
func Write(w io.Writer, body []byte, edits []Edit) (int64, error) {
	var total int64
	written := 0
	for _, e := range append(slices.Clip(edits), Edit{Start: len(body), End: len(body)}) {
		for _, piece := range [][]byte{body[written:e.Start], e.New} {
			if len(piece) == 0 {
				continue
			}
			n, err := w.Write(piece)
			total += int64(n)
			if err != nil {
				return total, err
			}
		}
		written = e.End
	}
	return total, nil
}

// LineBreak returns the line break that the text around an offset uses: LF or CR LF. At the end
// of a text it is that of the last line. A text without line breaks gets LF.
func LineBreak(body []byte, offset int) string {
	end := bytes.IndexByte(body[offset:], '\n')
	if end < 0 {
		offset = max(0, offset-1)
		end = bytes.LastIndexByte(body[:offset], '\n') - offset
	}
	if i := offset + end; i > 0 && body[i-1] == '\r' {
		return "\r\n"
	}
	return "\n"
}
