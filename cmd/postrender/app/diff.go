package app

import (
	"fmt"
	"io"
	"strings"

	"github.com/aymanbagabas/go-udiff"

	"github.com/pipeline-storage/pipeline-storage/pkg/postrender"
)

// diffContext is how many unchanged lines a diff shows around a change.
const diffContext = 3

// diff prints a unified diff, made from the edits themselves. After names the changed side in the
// header. The edits are known, so no algorithm compares the two texts: the cost depends on the
// edits, not on the size of the stream.
func diff(w io.Writer, out *postrender.Output, after string, color bool) error {
	if !out.Changed() {
		return writeString(w, notYAML+"no changes\n")
	}
	edits := make([]udiff.Edit, len(out.Edits()))
	for i, e := range out.Edits() {
		edits[i] = udiff.Edit{Start: e.Start, End: e.End, New: string(e.New)}
	}
	text, err := udiff.ToUnified("manifests", after, string(out.Stream()), edits, diffContext)
	if err != nil {
		return fmt.Errorf("diff: %w", err)
	}
	if color {
		text = colored(text)
	}
	return writeString(w, notYAML+"what would change (no manifests)\n"+text)
}

// lineColors are the terminal colours of a diff's lines, by how they begin. Headers come first.
var lineColors = []struct{ prefix, code string }{
	{"--- ", "\x1b[1m"}, {"+++ ", "\x1b[1m"}, {"@@", "\x1b[36m"}, {"+", "\x1b[32m"}, {"-", "\x1b[31m"},
}

// colored adds terminal colors to a unified diff, line by line, so that no color spans a line break.
func colored(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(colorLine(line))
	}
	return b.String()
}

// colorLine resets the color in front of the line break: some terminals would otherwise color the
// rest of the next line.
func colorLine(line string) string {
	for _, c := range lineColors {
		if strings.HasPrefix(line, c.prefix) {
			return c.code + strings.TrimSuffix(line, "\n") + "\x1b[0m\n"
		}
	}
	return line
}
