package e2e

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestRetainsDataOfDeletedPod has a pod write, deletes it, and lets another read.
func TestRetainsDataOfDeletedPod(t *testing.T) {
	requireNode(t)
	t.Parallel()
	namespace := newNamespace(t)

	written := last[file](t, runPod(t, namespace, boxPod("writer", "write", "/data", "numbers", "8388608")))
	require.EqualValues(t, 8<<20, written.Bytes)
	deletePod(t, namespace, "writer")

	found := last[verified](t, runPod(t, namespace, boxPod("reader", "verify", "/data")))
	assert.Equal(t, []file{written}, found.Files)
}
