package docs_test

import (
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"
)

// TestLinksOfEveryDocument: each link and each picture within the repository is there, with its anchor.
func TestLinksOfEveryDocument(t *testing.T) {
	t.Parallel()
	checked := 0
	for _, document := range files(t, ".md") {
		for _, link := range destinations([]byte(read(t, document))) {
			target, err := url.Parse(link)
			require.NoError(t, err, "%s: %s", document, link)
			if target.IsAbs() {
				continue
			}
			checked++
			file := document
			if target.Path != "" {
				file = path.Join(path.Dir(document), target.Path)
			}
			_, err = os.Stat(filepath.Join(root, file))
			if assert.NoError(t, err, "%s: %s", document, link) && target.Fragment != "" && strings.HasSuffix(file, ".md") {
				assert.Contains(t, anchors(read(t, file)), target.Fragment, "%s: %s", document, link)
			}
		}
	}
	assert.Greater(t, checked, 100)
}

// destinations returns the destinations of a document's links and pictures.
func destinations(content []byte) []string {
	var all []string
	document := goldmark.New(goldmark.WithExtensions(extension.Table)).Parser().Parse(text.NewReader(content))
	_ = ast.Walk(document, func(n ast.Node, isEntering bool) (ast.WalkStatus, error) {
		switch n := n.(type) {
		case *ast.Link:
			if isEntering {
				all = append(all, string(n.Destination))
			}
		case *ast.Image:
			if isEntering {
				all = append(all, string(n.Destination))
			}
		}
		return ast.WalkContinue, nil
	})
	return all
}
