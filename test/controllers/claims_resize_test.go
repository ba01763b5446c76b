package controllers

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
)

// requests reports whether a claim requests a size.
func requests(size string) func(*corev1.PersistentVolumeClaim) bool {
	return func(c *corev1.PersistentVolumeClaim) bool {
		return c.Spec.Resources.Requests.Storage().Equal(resource.MustParse(size))
	}
}

// resizing writes into the status of a claim what external-resizer writes when a driver refuses.
func (f *fixture) resizing(namespace, name, tried string) {
	f.t.Helper()
	require.NoError(f.t, retry.RetryOnConflict(retry.DefaultRetry, func() error {
		live := get(f, namespace, name, &corev1.PersistentVolumeClaim{})
		live.Status.AllocatedResources = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(tried)}
		live.Status.AllocatedResourceStatuses = map[corev1.ResourceName]corev1.ClaimResourceStatus{
			corev1.ResourceStorage: corev1.PersistentVolumeClaimControllerResizeInfeasible,
		}
		live.Status.Conditions = []corev1.PersistentVolumeClaimCondition{{
			Type: corev1.PersistentVolumeClaimControllerResizeError, Status: corev1.ConditionTrue,
			Message: "a volume has 1Ti at most",
		}}
		return f.Status().Update(f.t.Context(), live)
	}))
}

// TestTakesBackAnExpansion: a size that no driver carries out goes back, as far as Kubernetes allows.
func TestTakesBackAnExpansion(t *testing.T) {
	const claim = "pvc-data-pipeline"
	profile := func(size string) string {
		return `{name: default, claim: {size: ` + size + `}, storageClass: {name: CLASS}}`
	}
	f := newFixture(t, profile("1Gi"))
	namespace := f.namespace()
	f.pod(namespace, "one", "default")
	r := f.run()
	f.bind(eventually(f, namespace, claim, &corev1.PersistentVolumeClaim{}, exists), "back."+namespace)

	f.set(r, profile("10Ti"))
	eventually(f, namespace, claim, &corev1.PersistentVolumeClaim{}, requests("10Ti"))
	f.resizing(namespace, claim, "10Ti")
	assert.Contains(t, f.event(namespace, claim, diagnose.ReasonExpandInfeasible),
		"claim pvc-data-pipeline cannot be expanded to 10Ti and stays at 1Gi, because its driver refuses that: a volume has "+
			"1Ti at most. Set claim.size of the profile to what the storage can have, above 1Gi")

	f.set(r, profile("1Gi"))
	assert.Equal(t, "claim pvc-data-pipeline requests 10Ti, has 1Gi, and the profile default has 1Gi: an expansion that "+
		"is not carried out can be taken back, but only to more than the claim has. Set claim.size to 1025Mi or more",
		f.event(namespace, claim, diagnose.ReasonNeverShrinks))
	assert.True(t, requests("10Ti")(get(f, namespace, claim, &corev1.PersistentVolumeClaim{})))

	f.set(r, profile("1025Mi")) // as the Event advises
	eventually(f, namespace, claim, &corev1.PersistentVolumeClaim{}, requests("1025Mi"))
	assert.Equal(t, "requested 1025Mi in place of 10Ti, which was not carried out, as the profile default requires",
		f.event(namespace, claim, diagnose.ReasonReduced))
	f.barrier()
	assert.Len(t, f.notes(namespace, claim, diagnose.ReasonExpandInfeasible), 1, "that was another size")

	f.set(r, profile("2Gi"))
	eventually(f, namespace, claim, &corev1.PersistentVolumeClaim{}, requests("2Gi"))
	assert.Empty(t, f.notes(namespace, claim, diagnose.ReasonExpandRefused))
	assert.Empty(t, f.notes(namespace, claim, diagnose.ReasonReduceRefused))
}

// TestLeavesASizeThatAThirdPartyRequested: a person raises the request while an expansion is under way.
func TestLeavesASizeThatAThirdPartyRequested(t *testing.T) {
	const claim = "pvc-data-pipeline"
	profile := func(size string) string {
		return `{name: default, claim: {size: ` + size + `}, storageClass: {name: CLASS}}`
	}
	f := newFixture(t, profile("1Gi"))
	namespace := f.namespace()
	f.pod(namespace, "one", "default")
	r := f.run()
	f.bind(eventually(f, namespace, claim, &corev1.PersistentVolumeClaim{}, exists), "by-hand."+namespace)
	f.set(r, profile("20Gi"))
	eventually(f, namespace, claim, &corev1.PersistentVolumeClaim{}, requests("20Gi"))

	byHand := func(size string) {
		t.Helper()
		patch := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"resources":{"requests":{"storage":"`+size+`"}}}}`))
		live := get(f, namespace, claim, &corev1.PersistentVolumeClaim{})
		require.NoError(t, f.Patch(t.Context(), live, patch, client.FieldOwner("kubectl-edit")))
	}
	byHand("50Gi")
	assert.Equal(t, "claim pvc-data-pipeline requests 50Gi, has 1Gi, and the profile default has 20Gi: the field manager "+
		`"kubectl-edit" requested that size, and the controller takes back only what it requested itself. Set claim.size to `+
		"50Gi, or take the request back: kubectl patch persistentvolumeclaim pvc-data-pipeline --namespace "+namespace+
		` --type=merge -p '{"spec":{"resources":{"requests":{"storage":"20Gi"}}}}'`,
		f.event(namespace, claim, diagnose.ReasonNeverShrinks))
	f.barrier()
	assert.True(t, requests("50Gi")(get(f, namespace, claim, &corev1.PersistentVolumeClaim{})))

	f.set(r, profile("60Gi")) // from here on the size is the controller's
	eventually(f, namespace, claim, &corev1.PersistentVolumeClaim{}, requests("60Gi"))
	f.set(r, profile("30Gi"))
	eventually(f, namespace, claim, &corev1.PersistentVolumeClaim{}, requests("30Gi"))

	byHand("25Gi")
	eventually(f, namespace, claim, &corev1.PersistentVolumeClaim{}, requests("30Gi")) // the profile is the least size
}

// TestTakesBackAnExpansionThatTheClassNoLongerAllows: only a larger size needs the class.
func TestTakesBackAnExpansionThatTheClassNoLongerAllows(t *testing.T) {
	profile := func(size string) string {
		return `{name: default, claim: {size: ` + size + `}, storageClass: {name: back-no-class, create: false}}`
	}
	f := newFixture(t, profile("2Gi"))
	namespace := f.namespace()
	f.pod(namespace, "one", "default")
	r := f.run()
	f.bind(eventually(f, namespace, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{}, exists), "no-class."+namespace)
	require.NoError(t, retry.RetryOnConflict(retry.DefaultRetry, func() error {
		live := get(f, namespace, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{})
		live.Status.Capacity = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
		return f.Status().Update(t.Context(), live)
	}))

	f.set(r, profile("1500Mi"))
	eventually(f, namespace, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{}, requests("1500Mi"))
}

// TestReportsSizeOfAClaimThatWaits: the size of a claim without a volume cannot be changed.
func TestReportsSizeOfAClaimThatWaits(t *testing.T) {
	f := newFixture(t, `{name: default, claim: {size: 10Ti}, storageClass: {name: CLASS}}`)
	namespace := f.namespace()
	f.pod(namespace, "one", "default")
	r := f.run()
	eventually(f, namespace, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{}, exists)

	f.set(r, `{name: default, claim: {size: 1Ti}, storageClass: {name: CLASS}}`)
	assert.Equal(t, "claim pvc-data-pipeline is Pending and requests 10Ti, and the profile default has 1Ti: only a bound "+
		"claim can change its size. Delete the claim, which holds no data yet: it is created again with the size of the "+
		"profile",
		f.event(namespace, "pvc-data-pipeline", diagnose.ReasonNeverShrinks))

	require.NoError(t, f.Delete(t.Context(), get(f, namespace, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{})))
	f.unfinalize(namespace, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{})
	eventually(f, namespace, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{}, requests("1Ti"))
}
