package claims

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pipeline-storage/pipeline-storage/internal/claimtest"
	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// TestStrippedPodIsSmall holds the cost of a labelled pod in the cache, whatever the pod is like.
func TestStrippedPodIsSmall(t *testing.T) { // not parallel: a benchmark counts the memory of the whole process

	large := func(i int) *metav1.PartialObjectMetadata {
		pod := injectedPod("team-namespace", fmt.Sprintf("training-job-worker-%d", i), "default")
		pod.UID = types.UID(fmt.Sprintf("0b5e8f6e-3e0c-4f0c-8f0a-%012d", i))
		pod.ResourceVersion, pod.CreationTimestamp = "123456789", metav1.NewTime(time.Unix(0, 0))
		pod.OwnerReferences = []metav1.OwnerReference{{Kind: "Job", Name: "training-job"}}
		for j := range 20 {
			metav1.SetMetaDataAnnotation(&pod.ObjectMeta, fmt.Sprintf("example.com/%d", j), "some text that no controller reads")
			metav1.SetMetaDataLabel(&pod.ObjectMeta, fmt.Sprintf("example.com/%d", j), "some-value")
		}
		pod.ManagedFields = []metav1.ManagedFieldsEntry{{
			Manager:  "kubelet",
			FieldsV1: metav1.NewFieldsV1(strings.Repeat("x", 4096)),
		}}
		return pod
	}
	config := storage.Default()
	strip := stripPod(func() *storage.Config { return config })
	stripped := strip(large(0))
	assert.Equal(t, map[string]string{inject.AnnotationInjected: "default"}, stripped.Annotations)
	assert.Empty(t, stripped.Labels)
	assert.Empty(t, stripped.ManagedFields)
	assert.Empty(t, stripped.OwnerReferences)
	assert.NotEmpty(t, stripped.UID)

	result := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		pod := large(1)
		for b.Loop() {
			stripped = strip(pod)
		}
	})
	t.Logf("a stripped pod takes %d bytes in addition to its strings", result.AllocedBytesPerOp())
	assert.Less(t, result.AllocedBytesPerOp(), int64(1024))
}

// TestStrippedClaimIsSmall holds the cost of a claim in the cache: anyone who can write claims can
// give them the label.
func TestStrippedClaimIsSmall(t *testing.T) {
	t.Parallel()

	large := strings.Repeat("x", 100_000)
	claim := claimtest.Claim(claimtest.Label(storage.LabelInstallation, "ps"),
		claimtest.Label(storage.LabelProfile, "default"))
	claim.Labels["theirs"] = large
	claim.Annotations = map[string]string{"theirs": large, diagnose.AnnotationSelectedNode: large}
	claim.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"a": large}}
	claim.Spec.Resources.Requests["example.com/x"] = resource.MustParse("1")
	stripped := stripClaim(claim)
	assert.Equal(t, map[string]string{storage.LabelInstallation: "ps", storage.LabelProfile: "default"}, stripped.Labels)
	assert.Equal(t, map[string]string{diagnose.AnnotationSelectedNode: large[:maxValue]}, stripped.Annotations)
	assert.Equal(t, diagnose.Requested(claim), diagnose.Requested(stripped))
	assert.Equal(t, claim.Spec.AccessModes, stripped.Spec.AccessModes)
	text, err := json.Marshal(stripped)
	require.NoError(t, err)
	assert.Less(t, len(text), 2048)
}

// pages is a reader of many large pods, which records the largest page that was requested.
type pages struct {
	client.Reader
	pods   int
	served int
	most   int64
}

func (p *pages) List(_ context.Context, list client.ObjectList, options ...client.ListOption) error {
	var o client.ListOptions
	o.ApplyOptions(options)
	p.most = max(p.most, o.Limit)
	pods := list.(*corev1.PodList)
	for range o.Limit {
		if p.served == p.pods {
			return nil
		}
		pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{
			Name:        strconv.Itoa(p.served),
			Annotations: map[string]string{inject.AnnotationInjected: "default"},
		}}
		pod.Spec = corev1.PodSpec{NodeName: "node-1", Containers: []corev1.Container{{Name: strings.Repeat("x", 1<<20)}}}
		pods.Items = append(pods.Items, pod)
		p.served++
	}
	pods.Continue = "more"
	return nil
}

// TestReadsLargePodsInSmallPages holds that the memory of reading the nodes of a namespace does not
// grow with its pods.
func TestReadsLargePodsInSmallPages(t *testing.T) {
	t.Parallel()

	for _, many := range []int{0, podsPerPage, 10, 1000} {
		p := &pages{pods: many}
		r := &reconciliation{reconciler: &reconciler{live: p}, ref: storage.ProfileRef{Profile: "default", Namespace: "ml"}}
		pods, err := r.readNodes(t.Context())
		require.NoError(t, err)
		assert.LessOrEqual(t, p.most, int64(podsPerPage))
		assert.InDelta(t, min(many, maxPodsRead), len(pods), podsPerPage)
		for _, pod := range pods {
			assert.Equal(t, "node-1", pod.Spec.NodeName)
			assert.Empty(t, pod.Spec.Containers)
		}
	}
}
