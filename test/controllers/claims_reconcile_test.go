package controllers

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/pipeline-storage/pipeline-storage/internal/claims"
	"github.com/pipeline-storage/pipeline-storage/internal/claimtest"
	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
)

func TestReportsUnknownProfileUntilItIsConfigured(t *testing.T) {
	f := newFixture(t, `{name: default, storageClass: {name: config-fast}}`)
	namespace := f.namespace()
	f.pod(namespace, "one", "training")
	r := f.run()
	assert.Contains(t, f.event(namespace, "one", diagnose.ReasonProfileUnknown),
		`names the profile "training", which the configuration does not have`)

	f.set(r, `{name: training, storageClass: {name: config-fast}}`)
	eventually(f, namespace, "pvc-data-pipeline-training", &corev1.PersistentVolumeClaim{}, exists)
}

func TestRefusesForgedAnnotationInUnselectedNamespace(t *testing.T) {
	f := newFixture(t, `{name: default, namespaceSelector: {matchLabels: {gpu: "true"}}, `+
		`storageClass: {name: forged-fast}}`)
	namespace, allowed := f.namespace(), f.namespace("gpu")
	f.run()
	f.pod(namespace, "one", "default")
	f.pod(allowed, "one", "default")
	eventually(f, allowed, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{}, exists)
	assert.Contains(t, f.event(namespace, "one", diagnose.ReasonProfileRefused), `its namespaceSelector is "gpu=true"`)
	f.missing(namespace, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{})

	labelled := get(f, "", namespace, &corev1.Namespace{})
	labelled.Labels["gpu"] = "true"
	require.NoError(t, f.Update(t.Context(), labelled))
	eventually(f, namespace, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{}, exists)
}

func TestCreatesNothingInTerminatingNamespace(t *testing.T) {
	f := newSerialFixture(t, `{name: default, storageClass: {name: ending-fast}}`)
	namespace := f.namespace()
	// The finalizers keep both for as long as the test needs them.
	f.pod(namespace, "one", "default", func(p *corev1.Pod) { p.Finalizers = []string{"example.com/keep"} })
	t.Cleanup(func() { f.unfinalize(namespace, "one", &corev1.Pod{}) })
	before := metric(t, "pipeline_storage_claims_errors_total", "")
	require.NoError(t, f.Delete(t.Context(), get(f, "", namespace, &corev1.Namespace{})))

	err := f.Create(t.Context(), &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: "late", Namespace: namespace}, Spec: claimtest.Claim().Spec,
	})
	require.True(t, apierrors.IsForbidden(err), "%v", err)
	require.True(t, apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause), "%v", err)

	f.run()
	f.barrier()
	f.missing(namespace, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{})
	f.missing("", "ending-fast", &storagev1.StorageClass{})
	assert.InDelta(t, before, metric(t, "pipeline_storage_claims_errors_total", ""), 0)
}

// unfinalize takes the finalizers away, as people do; the controller never does.
func (f *fixture) unfinalize(namespace, name string, object client.Object) {
	object.SetNamespace(namespace)
	object.SetName(name)
	err := f.Patch(context.Background(), object, client.RawPatch(types.MergePatchType,
		[]byte(`{"metadata":{"finalizers":null}}`)))
	assert.NoError(f.t, client.IgnoreNotFound(err))
}

func TestReportsRefusalOfAPIServer(t *testing.T) {
	f := newFixture(t, `{name: default, storageClass: {name: quota-fast}}`)
	namespace := f.namespace()
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "none", Namespace: namespace}}
	quota.Spec.Hard = corev1.ResourceList{corev1.ResourcePersistentVolumeClaims: resource.MustParse("0")}
	require.NoError(t, f.Create(t.Context(), quota))
	quota.Status = corev1.ResourceQuotaStatus{Hard: quota.Spec.Hard, Used: quota.Spec.Hard}
	require.NoError(t, f.Status().Update(t.Context(), quota))
	f.pod(namespace, "one", "default")
	f.run()
	assert.Contains(t, f.event(namespace, "one", diagnose.ReasonCreateRefused), "exceeded quota: none")

	require.NoError(t, f.Delete(t.Context(), quota))
	eventually(f, namespace, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{}, exists)
}

// TestFailsOverWhenLeaderIsKilled: what comes between two leaders is not lost, and the standby can
// warn.
func TestFailsOverWhenLeaderIsKilled(t *testing.T) {
	f := newFixture(t, `{name: default, storageClass: {name: leader-fast}}`)
	elect := func(_ *claims.Options, m *manager.Options) {
		m.LeaderElection = true
		m.LeaseDuration, m.RenewDeadline, m.RetryPeriod = new(2*time.Second), new(1500*time.Millisecond),
			new(200*time.Millisecond)
	}
	first := f.run(elect)
	<-first.manager.Elected()
	second := f.run(elect)

	a, b := f.namespace(), f.namespace()
	f.pod(a, "one", "default")
	eventually(f, a, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{}, exists)
	require.Eventually(t, func() bool { return len(second.index.Warnings(a, f.current.Load().Profile("default"))) == 1 },
		timeout, poll)

	first.stop() // without giving the lease back
	f.pod(b, "two", "default")
	select {
	case <-second.manager.Elected():
		t.Fatal("the lease should still be the first one's")
	default:
	}
	eventually(f, b, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{}, exists)
	<-second.manager.Elected()
}
