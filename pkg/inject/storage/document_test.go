package storage_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// docs is where the documents are whose tables are made from those of the package.
var docs = filepath.Join("..", "..", "..", "docs")

// generated compares what stands between the two comments of a document with a text, or writes it there
// with -update. It returns what follows. The first comment names the test that writes it: <!-- NAME: go
// test … -->.
func generated(t *testing.T, document, name, test, text string) (after string) {
	t.Helper()
	begin := fmt.Sprintf("<!-- %s: go test ./pkg/inject/storage -run %s -update -->\n", name, test)
	end := fmt.Sprintf("<!-- /%s -->", name)
	file := filepath.Join(docs, document)
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	before, rest, hasBegin := strings.Cut(string(content), begin)
	_, after, hasEnd := strings.Cut(rest, end)
	require.True(t, hasBegin && hasEnd, "docs/%s needs the lines %q and %q", document, strings.TrimSpace(begin), end)
	golden(t, file, []byte(before+begin+text+end+after))
	return after
}
