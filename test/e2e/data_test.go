package e2e

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
)

// TestRetainsDataOfDeletedPod has a pod write, deletes it, and lets another read.
func TestRetainsDataOfDeletedPod(t *testing.T) {
	inBothModes(t, func(t *testing.T, namespace string) {
		written := last[file](t, runPod(t, namespace, boxPod("writer", "write", "/data", "numbers", "8388608")))
		require.EqualValues(t, 8<<20, written.Bytes)
		deletePod(t, namespace, "writer")

		found := last[verified](t, runPod(t, namespace, boxPod("reader", "verify", "/data")))
		assert.Equal(t, []file{written}, found.Files)
	})
}

// TestNarrowsToSubPath has pods narrow the profile to a directory, and to reading.
func TestNarrowsToSubPath(t *testing.T) {
	below := func(readOnly string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Annotations = map[string]string{inject.AnnotationSubPath: "runs/1", inject.AnnotationReadOnly: readOnly}
		}
	}
	inBothModes(t, func(t *testing.T, namespace string) {
		written := writeIn(t, namespace, "/data", bytes, below("false"))
		assert.Equal(t, []file{written}, last[verified](t, readIn(t, namespace, "/data", below("true"))()).Files)
		found := last[verified](t, readIn(t, namespace, "/data/runs/1")())
		require.Len(t, found.Files, 1)
		assert.Equal(t, written.SHA256, found.Files[0].SHA256)

		phase, log := tryPod(t, namespace, with(boxPod("vandal", "write", "/data", "numbers", "1"), below("true")))
		assert.Equal(t, corev1.PodFailed, phase)
		assert.Contains(t, log, "read-only file system")
	})
}
