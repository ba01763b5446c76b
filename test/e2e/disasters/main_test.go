package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const figures = `{"disaster":"b happens","test":"TestB/sub","bytes":1048576,"lost":0,"seconds":2}
{"disaster":"a happens","test":"TestA","bytes":1048576,"lost":0,"seconds":3.14}
{"disaster":"b happens","test":"TestB/sub","bytes":1048576,"lost":1,"seconds":1}
`

func TestWritesTableIntoDocument(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	from, document := filepath.Join(dir, "figures"), filepath.Join(dir, "document")
	require.NoError(t, os.WriteFile(from, []byte(figures), 0o600))
	require.NoError(t, os.WriteFile(document, []byte("before\n"+begin+"old\n"+end+"after\n"), 0o600))

	require.NoError(t, run([]string{from, document}, nil))
	text, err := os.ReadFile(document)
	require.NoError(t, err)
	assert.Equal(t, "before\n"+begin+
		"| Disaster | times | bytes written before | lost | seconds until the next pod had read them: median, worst | test "+
		"|\n|---|---|---|---|---|---|\n"+
		"| a happens | 1 | 1 MiB | 0 | 3.1, 3.1 | `TestA` |\n"+
		"| b happens | 2 | 2 MiB | 1 | 2.0, 2.0 | `TestB` |\n"+end+"after\n", string(text))
}

func TestRequiresMarkersInDocument(t *testing.T) {
	t.Parallel()
	_, err := replace([]byte("nothing"), "table")
	require.EqualError(t, err, "the markers <!-- disasters --> and <!-- /disasters --> are missing")
}
