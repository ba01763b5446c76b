package manifest

import (
	"bytes"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// position is what the reader and go-yaml must agree about in a node: everything but comments.
type position struct {
	kind         kind
	style        style
	tag          tag
	value        string
	line, column int
	children     int
	hasAnchor    bool
	hasAlias     bool
}

// flatten returns the nodes of a tree in the order of the text.
func flatten(n *node, into []position) []position {
	into = append(into, position{
		n.Kind, n.Style, n.Tag, n.Value, n.Line, n.Column, len(n.Content), n.HasAnchor, n.Alias != nil,
	})
	for _, child := range n.Content {
		into = flatten(child, into)
	}
	return into
}

// requireSame requires that the reader reads a body as go-yaml does, or leaves it to go-yaml. It returns
// whether the reader has read it.
func requireSame(t require.TestingT, body []byte) bool {
	tree := &Tree{body: body}
	if !tree.readPlain() {
		return false
	}
	defer tree.Release()
	want, err := parseAny(body)
	require.NoError(t, err, "the reader accepts what go-yaml refuses: %q", body)
	require.NotNil(t, want, "%q", body)
	require.Equal(t, flatten(want, nil), flatten(tree.root, nil), "%q", body)
	return true
}

// documentsOf returns the bodies of the documents of the files that a pattern matches.
func documentsOf(t testing.TB, pattern ...string) [][]byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(pattern...))
	require.NoError(t, err)
	var bodies [][]byte
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, doc := range Split(text) {
			bodies = append(bodies, doc.Body)
		}
	}
	return bodies
}

// TestReaderReadsAsGoYAML compares the reader with go-yaml on every text of the project that there is.
func TestReaderReadsAsGoYAML(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	for name, tc := range map[string]struct {
		pattern []string
		// share is how many of a hundred documents the reader must read itself.
		share int
	}{
		"streams of the renderer": {[]string{root, "pkg", "postrender", "testdata", "*", "*.yaml"}, 70},
		"samples":                 {[]string{root, "examples", "*", "*.yaml"}, 90},
		"the corpus":              {[]string{root, "..", "shared", "corpus", "*.yaml"}, 75},
		"traps":                   {[]string{root, "..", "shared", "traps", "*.yaml"}, 0},
		"cases":                   {[]string{root, "..", "shared", "cases", "*"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bodies, read := documentsOf(t, tc.pattern...), 0
			if len(bodies) == 0 && strings.Contains(filepath.Join(tc.pattern...), "shared") {
				t.Skip("not covered: public manifests, which are no part of the repository")
			}
			require.NotEmpty(t, bodies)
			for _, body := range bodies {
				if requireSame(t, body) {
					read++
				}
			}
			t.Logf("the reader has read %d of %d documents", read, len(bodies))
			assert.GreaterOrEqual(t, 100*read, tc.share*len(bodies))
		})
	}
}

// FuzzReader looks for a text that the reader reads in another way than go-yaml.
func FuzzReader(f *testing.F) {
	root := filepath.Join("..", "..")
	for _, pattern := range [][]string{
		{root, "pkg", "postrender", "testdata", "*", "*.yaml"},
		{root, "examples", "*", "*.yaml"},
		{root, "..", "shared", "traps", "*.yaml"},
	} {
		for _, body := range documentsOf(f, pattern...) {
			if len(body) < 2000 {
				f.Add(body)
			}
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) { requireSame(t, body) })
}

// TestCharacters holds that eight characters at once are judged as one by one.
func TestCharacters(t *testing.T) {
	t.Parallel()
	for c := range 256 {
		for place := range 17 {
			for _, around := range []byte("a\n") {
				text := []byte(strings.Repeat(string(around), 17))
				text[place] = byte(c)
				isASCII, isReadable := charactersOf(text)
				assert.Equal(t, c < 0x80 && (c >= ' ' && c != 0x7F || c == '\n'), isReadable, "%q", text)
				assert.Equal(t, isReadable, isASCII, "%q", text)
			}
		}
	}
}

// pieces are what [mangled] puts into a manifest: what begins, ends or continues something in YAML.
var pieces = []string{
	":", ": ", " :", "#", " #", " # x\n", "-", "- ", "- - ", "? ", ",", "[", "]", "{", "}", "[]", "{}", "&a ", "*a",
	"!", "!!str ", "|", "|\n", "|-\n  ", ">", ">+\n", "'", "''", "\"", "\\", "\\n", "\\\"", "\\/", "\\x41", "%", "@", "`",
	" ", "  ", "\n", "\n\n", "\n  ", "\t", "\r\n", "\u0085", "\u2028", "\uFEFF", "é", "\x7f", "~", "null", "<<", "<<: ",
	"=", "0x1F", "1_0", "0o7", "1e3", ".5", ".inf", "2001-01-01", "12:30", "true", "Yes", "...", "\n...\n", "\n---\n",
	"--- ", "a", "0", "-1", "+",
}

// mangled changes a text in a few random places.
func mangled(random *rand.Rand, text []byte) []byte {
	for range 1 + random.IntN(3) {
		at := random.IntN(len(text) + 1)
		end := min(at+random.IntN(4), len(text))
		switch random.IntN(4) {
		case 0: // the line is indented further, or less
			start := bytes.LastIndexByte(text[:at], '\n') + 1
			end = start + random.IntN(2)
			text = slices.Concat(text[:start], []byte("  ")[random.IntN(3):], text[min(end, len(text)):])
		case 1: // something is taken away
			text = slices.Concat(text[:at], text[end:])
		default:
			piece := pieces[random.IntN(len(pieces))]
			text = slices.Concat(text[:at], []byte(piece), text[end-random.IntN(end-at+1):])
		}
	}
	return text
}

// mangledTexts is how many mangled texts are compared. Another number takes other texts.
var mangledTexts = flag.Int("mangled", 20_000, "how many mangled texts the reader and go-yaml read")

// TestReaderReadsMangledManifestsAsGoYAML compares the reader with go-yaml on manifests with mistakes: it
// reads them alike, or leaves them to go-yaml.
func TestReaderReadsMangledManifestsAsGoYAML(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	bodies := documentsOf(t, root, "pkg", "postrender", "testdata", "*", "*.yaml")
	bodies = append(bodies, documentsOf(t, root, "..", "shared", "corpus", "*.yaml")...)
	random := rand.New(rand.NewPCG(1, uint64(*mangledTexts)))
	read := 0
	for range *mangledTexts {
		body := bodies[random.IntN(len(bodies))]
		lines := bytes.SplitAfter(body, []byte("\n")) // a few lines at the beginning or inside
		first := random.IntN(len(lines)) * random.IntN(2)
		text := bytes.Join(lines[first:min(first+2+random.IntN(12), len(lines))], nil)
		if requireSame(t, mangled(random, text)) {
			read++
		}
	}
	t.Logf("the reader has read %d of %d mangled texts", read, *mangledTexts)
	assert.Greater(t, read, *mangledTexts/20)
}
