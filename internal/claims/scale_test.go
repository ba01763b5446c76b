package claims

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// heap is what is in use after a collection, in bytes.
func heap() int64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC() // what finalizers freed
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// TestPodsWithoutTheLabelCostNothing: the API server selects, so however many there are, none is cached.
func TestPodsWithoutTheLabelCostNothing(t *testing.T) {
	const many = 3000
	f := newFixture(t, `{name: default, storageClass: {name: scale-fast}}`)
	namespace := "claims-scale" // not emptied at the end: nobody sees these pods
	require.NoError(t, client.IgnoreAlreadyExists(f.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})))
	r := f.run()
	f.settle()
	before := heap()

	var makers sync.WaitGroup
	for range 20 {
		makers.Go(func() {
			for range many / 20 {
				pod := &corev1.Pod{
					ObjectMeta: metav1.ObjectMeta{
						GenerateName: "pod-", Namespace: namespace, Annotations: map[string]string{inject.AnnotationInjected: "default"},
					},
					Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "example.com/main"}}},
				}
				if !assert.NoError(t, f.Create(t.Context(), pod)) {
					return
				}
			}
		})
	}
	makers.Wait()
	f.settle()

	cached := metadataListOf("Pod")
	require.NoError(t, r.manager.GetCache().List(t.Context(), cached, client.InNamespace(namespace)))
	assert.Empty(t, cached.Items)
	grown := heap() - before
	t.Logf("the heap grew by %d KiB", grown>>10)
	assert.Less(t, grown, int64(many*200), "less than 200 bytes for each pod, which a name alone would take")
	f.missing(namespace, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{})
}

// TestStrippedPodIsSmall holds the cost of a labelled pod in the cache, whatever the pod is like.
func TestStrippedPodIsSmall(t *testing.T) {
	t.Parallel()

	large := func(i int) *metav1.PartialObjectMetadata {
		pod := markedPod("team-namespace", fmt.Sprintf("training-job-worker-%d", i), "default")
		pod.UID = types.UID(fmt.Sprintf("0b5e8f6e-3e0c-4f0c-8f0a-%012d", i))
		pod.ResourceVersion, pod.CreationTimestamp = "123456789", metav1.NewTime(time.Unix(0, 0))
		pod.OwnerReferences = []metav1.OwnerReference{{Kind: "Job", Name: "training-job"}}
		for j := range 20 {
			metav1.SetMetaDataAnnotation(&pod.ObjectMeta, fmt.Sprintf("example.com/%d", j), "some text that nobody here reads")
			metav1.SetMetaDataLabel(&pod.ObjectMeta, fmt.Sprintf("example.com/%d", j), "some-value")
		}
		pod.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubelet", FieldsV1: metav1.NewFieldsV1(strings.Repeat("x", 4096))}}
		return pod
	}
	config := storage.Default()
	strip := stripPod(func() *storage.Config { return config })
	kept := strip(large(0))
	assert.Equal(t, map[string]string{inject.AnnotationInjected: "default"}, kept.Annotations)
	assert.Empty(t, kept.Labels)
	assert.Empty(t, kept.ManagedFields)
	assert.Empty(t, kept.OwnerReferences)
	assert.NotEmpty(t, kept.UID)

	result := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		pod := large(1)
		for b.Loop() {
			kept = strip(pod)
		}
	})
	t.Logf("a stripped pod takes %d bytes besides its strings", result.AllocedBytesPerOp())
	assert.Less(t, result.AllocedBytesPerOp(), int64(1024))
}
