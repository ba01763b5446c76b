package manifest

import (
	"os"
	"path/filepath"
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
