package app

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"
)

func namespace(name string, labels map[string]string) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
}

func TestNamespacesAreFollowed(t *testing.T) {
	var n namespaces
	n.put(namespace("ml", map[string]string{"team": "gpu"}))
	labels, known := n.labelsOf(t.Context(), "ml")
	assert.True(t, known)
	assert.Equal(t, "gpu", labels["team"])

	n.put(namespace("ml", nil))
	labels, known = n.labelsOf(t.Context(), "ml")
	assert.True(t, known, "a namespace without labels is known")
	assert.Empty(t, labels)

	n.remove(toolscache.DeletedFinalStateUnknown{Obj: namespace("ml", nil)})
	_, known = n.labelsOf(t.Context(), "ml")
	assert.False(t, known)
}

// TestANamespaceOfAMomentAgoIsWaitedFor holds that a pod which comes with its namespace is not
// refused.
func TestANamespaceOfAMomentAgoIsWaitedFor(t *testing.T) {
	var n namespaces
	time.AfterFunc(5*namespacePoll, func() { n.put(namespace("new", map[string]string{"team": "gpu"})) })
	labels, known := n.labelsOf(t.Context(), "new")
	assert.True(t, known)
	assert.Equal(t, "gpu", labels["team"])
}

// TestFewReviewsWaitForNamespaces holds that names which no namespace has cost a client little, and
// others nothing.
func TestFewReviewsWaitForNamespaces(t *testing.T) {
	var n namespaces
	n.put(namespace("ml", nil))
	ctx, cancel := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	for range maxWaiting {
		waiting.Go(func() {
			_, known := n.labelsOf(ctx, "nowhere")
			assert.False(t, known)
		})
	}
	require.Eventually(t, func() bool { return n.waiting.Load() == maxWaiting }, time.Second, time.Millisecond)
	begun := time.Now()
	_, known := n.labelsOf(t.Context(), "nowhere")
	assert.False(t, known)
	assert.Less(t, time.Since(begun), namespaceWait, "one more does not wait")
	_, known = n.labelsOf(t.Context(), "ml")
	assert.True(t, known)

	cancel()
	waiting.Wait()
	assert.Zero(t, n.waiting.Load(), "work ends with the request")
}
