package terminal

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var steps = []Step{
	{"first <x>", "\x1b[32m+ added & more\x1b[0m\nplain\n"},
	{"second", strings.Repeat("wide ", 50) + "\n"},
}

func TestWrapsColors(t *testing.T) {
	t.Parallel()
	red := "\x1b[31m"
	assert.Equal(t, []string{red + strings.Repeat("x", 126), red + "xx\x1b[0mé"},
		wrapped(red+strings.Repeat("x", 128)+"\x1b[0mé"))
}

// isXML fails for a text that a browser would not draw.
func isXML(t *testing.T, text []byte) {
	t.Helper()
	decoder := xml.NewDecoder(strings.NewReader(string(text)))
	for {
		_, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		require.NoError(t, err)
	}
}

func TestPictureHasEveryLine(t *testing.T) {
	t.Parallel()
	picture := Picture("A title", steps...)
	isXML(t, picture)
	text := strings.ReplaceAll(string(picture), "\u00a0", " ")
	assert.Contains(t, text, "<title>A title</title>")
	assert.Contains(t, text, `<tspan class="s1">$ first &lt;x&gt;</tspan>`)
	assert.Contains(t, text, `<tspan class="s32">+ added &amp; more</tspan></text>`)
	assert.Contains(t, text, ">plain</text>")
	assert.Equal(t, 6, strings.Count(text, "<text "), "250 characters are two lines of 126")
	assert.NotContains(t, text, "animation")
}

func TestRecordingScrolls(t *testing.T) {
	t.Parallel()
	picture := Recording("A title", 4, steps...)
	isXML(t, picture)
	text := string(picture)
	assert.Equal(t, 6, strings.Count(text, "<text "))
	assert.Contains(t, text, "transform:translateY(-36px);animation:scroll", "two rows at the end")
	assert.Equal(t, 5, strings.Count(text, "animation:show"), "the first line is there at once")
	assert.Contains(t, text, "prefers-reduced-motion")
}
