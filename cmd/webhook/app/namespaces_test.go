package app

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"
)

func namespace(name string, labels map[string]string) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
}

func TestNamespacesAreFollowed(t *testing.T) {
	var n namespaces
	n.put(namespace("ml", map[string]string{"team": "gpu"}))
	labels, known := n.of("ml")
	assert.True(t, known)
	assert.Equal(t, "gpu", labels["team"])

	n.put(namespace("ml", nil))
	labels, known = n.of("ml")
	assert.True(t, known, "a namespace without labels is known")
	assert.Empty(t, labels)

	n.remove(toolscache.DeletedFinalStateUnknown{Obj: namespace("ml", nil)})
	_, known = n.of("ml")
	assert.False(t, known)
}

// TestANamespaceOfAMomentAgoIsWaitedFor holds that a pod which comes with its namespace is not refused.
func TestANamespaceOfAMomentAgoIsWaitedFor(t *testing.T) {
	var n namespaces
	time.AfterFunc(5*look, func() { n.put(namespace("new", map[string]string{"team": "gpu"})) })
	labels, known := n.of("new")
	assert.True(t, known)
	assert.Equal(t, "gpu", labels["team"])
}
