package controllers

import (
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
)

// heap is what is in use after a collection, in bytes.
func heap() int64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC() // what finalizers freed
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// TestPodsWithoutTheLabelCostNothing: the API server selects, so however many there are, none is
// cached.
func TestPodsWithoutTheLabelCostNothing(t *testing.T) {
	const many = 3000
	f := newSerialFixture(t, `{name: default, storageClass: {name: scale-fast}}`)
	namespace := f.namespace()
	r := f.run()
	f.barrier()
	before := heap()

	var makers sync.WaitGroup
	for range 20 {
		makers.Go(func() {
			for range many / 20 {
				pod := &corev1.Pod{
					ObjectMeta: metav1.ObjectMeta{
						GenerateName: "pod-", Namespace: namespace, Labels: map[string]string{labelTest: f.name},
						Annotations: map[string]string{inject.AnnotationInjected: "default"},
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
	f.barrier()

	for _, pod := range r.pods(f) {
		assert.NotEqual(t, namespace, pod.Namespace)
	}
	grown := heap() - before
	t.Logf("the heap grew by %d KiB", grown>>10)
	assert.Less(t, grown, int64(many*200), "less than 200 bytes for each pod, which a name alone would take")
	f.missing(namespace, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{})
}
