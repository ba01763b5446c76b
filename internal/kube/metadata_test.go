package kube

import (
	"testing"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	toolscache "k8s.io/client-go/tools/cache"
)

func TestHandledMetadata(t *testing.T) {
	t.Parallel()
	pod := MetadataOf("Pod")
	for name, row := range map[string]struct {
		object any
		want   bool
	}{
		"an object":                            {pod, true},
		"an object whose deletion was missed":  {toolscache.DeletedFinalStateUnknown{Obj: pod}, true},
		"an object of another type":            {&corev1.Pod{}, false},
		"a missed deletion without the object": {toolscache.DeletedFinalStateUnknown{}, false},
		"a missed deletion of another type":    {toolscache.DeletedFinalStateUnknown{Obj: &corev1.Pod{}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			metadata, ok := HandledMetadata(row.object)
			assert.Equal(t, row.want, ok)
			if row.want {
				assert.Same(t, pod, metadata)
			}
		})
	}
}
