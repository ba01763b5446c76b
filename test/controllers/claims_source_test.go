package controllers

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
	"github.com/pipeline-storage/pipeline-storage/internal/kube"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

// snapshotProfile is a profile whose claim begins with a snapshot.
func snapshotProfile(claim, snapshot string) string {
	return `{name: default, claim: {name: ` + claim + `, dataSource: {kind: VolumeSnapshot, name: "` + snapshot +
		`"}}, storageClass: {name: CLASS, volumeBindingMode: Immediate}}`
}

const plainProfile = `{name: default, claim: {name: data}, storageClass: {name: CLASS, volumeBindingMode: Immediate}}`

// TestNewClaimBeginsWithItsDataSource: the API server stores the source in both fields.
func TestNewClaimBeginsWithItsDataSource(t *testing.T) {
	f := newFixture(t, snapshotProfile("data", "nightly-{namespace}"))
	suite.InstallSnapshots(t)
	namespace := f.namespace()
	f.pod(namespace, "one", "default")
	r := f.run()
	claim := eventually(f, namespace, "data", &corev1.PersistentVolumeClaim{}, exists)
	group := "snapshot.storage.k8s.io"
	assert.Equal(t, &corev1.TypedLocalObjectReference{
		APIGroup: &group, Kind: "VolumeSnapshot", Name: "nightly-" + namespace,
	}, claim.Spec.DataSource)
	assert.Equal(t, "VolumeSnapshot nightly-"+namespace, diagnose.SourceOf(claim))
	assert.Empty(t, claim.Spec.VolumeName)

	// The account may not read VolumeSnapshots.
	note := f.event(namespace, "data", diagnose.ReasonNotProvisioned)
	assert.Contains(t, note, "see that its dataSource, the VolumeSnapshot nightly-"+namespace+", exists and is ready, "+
		"which needs your rights (kubectl get volumesnapshot nightly-"+namespace+" --namespace "+namespace)

	// Once the data is restored the profile does not need its source.
	f.bind(claim, "source."+namespace)
	f.set(r, plainProfile)
	f.barrier()
	f.barrier()
	assert.Empty(t, f.notes(namespace, "data", diagnose.ReasonSourceDiffers))
	assert.Equal(t, "VolumeSnapshot nightly-"+namespace,
		diagnose.SourceOf(get(f, namespace, "data", &corev1.PersistentVolumeClaim{})))
}

// TestExistingClaimGetsNoDataSource: the difference is reported once, and the claim stays.
func TestExistingClaimGetsNoDataSource(t *testing.T) {
	f := newFixture(t, plainProfile)
	namespace := f.namespace()
	f.pod(namespace, "one", "default")
	r := f.run()
	f.bind(eventually(f, namespace, "data", &corev1.PersistentVolumeClaim{}, exists), "existing."+namespace)

	f.set(r, snapshotProfile("data", "nightly"))
	const note = "claim data exists and began with nothing, not with the VolumeSnapshot nightly, which is the " +
		"dataSource of the profile default: only a new claim begins with it, and nothing is copied to this one. Give the " +
		"profile another claim.name to restore the data there, or remove claim.dataSource"
	assert.Equal(t, note, f.event(namespace, "data", diagnose.ReasonSourceDiffers))
	assert.Equal(t, note, f.event(namespace, "one", diagnose.ReasonSourceDiffers))
	before := get(f, namespace, "data", &corev1.PersistentVolumeClaim{})
	f.set(r, snapshotProfile("data", "nightly"))
	f.barrier()
	assert.Len(t, f.notes(namespace, "data", diagnose.ReasonSourceDiffers), 1)
	assert.Equal(t, before.ResourceVersion, get(f, namespace, "data", &corev1.PersistentVolumeClaim{}).ResourceVersion)

	f.set(r, snapshotProfile("data-restored", "nightly")) // as the Event advises
	f.pod(namespace, "two", "default")
	restored := eventually(f, namespace, "data-restored", &corev1.PersistentVolumeClaim{}, exists)
	assert.Equal(t, "VolumeSnapshot nightly", diagnose.SourceOf(restored))
}

// TestDeletedClaimGetsItsOldVolumeBeforeItsDataSource: the volume is newer than any snapshot of it.
func TestDeletedClaimGetsItsOldVolumeBeforeItsDataSource(t *testing.T) {
	f := newFixture(t, snapshotProfile("pvc-data-pipeline", "nightly"))
	namespace := f.namespace()
	volume := f.released("old", namespace, get(f, "", namespace, &corev1.Namespace{}).UID)
	time.Sleep(time.Until(volume.CreationTimestamp.Add(time.Second))) // times have whole seconds
	f.pod(namespace, "one", "default")
	r := f.run()

	claim := eventually(f, namespace, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{}, exists)
	assert.Equal(t, volume.Name, claim.Spec.VolumeName)
	assert.Nil(t, claim.Spec.DataSource, "its data is not that of the snapshot")
	assert.Nil(t, claim.Spec.DataSourceRef)
	f.rebound(volume.Name, claim)
	assert.Equal(t, "PersistentVolume "+volume.Name+" is re-bound: it has the data of the deleted claim of this name, "+
		"and the VolumeSnapshot nightly was not restored. To restore that, give the profile another claim.name",
		f.event(namespace, claim.Name, diagnose.ReasonRebound))

	f.bind(claim, volume.Name)
	f.barrier()
	f.barrier()
	assert.Empty(t, f.notes(namespace, claim.Name, diagnose.ReasonSourceDiffers), "the Event before has reported it")

	// Where the volume is gone, the claim begins with the snapshot again.
	require.NoError(t, f.Delete(t.Context(), get(f, namespace, claim.Name, &corev1.PersistentVolumeClaim{})))
	require.NoError(t, f.Delete(t.Context(), get(f, "", volume.Name, &corev1.PersistentVolume{})))
	f.unfinalize("", volume.Name, &corev1.PersistentVolume{})
	f.unfinalize(namespace, claim.Name, &corev1.PersistentVolumeClaim{})
	eventually(f, namespace, claim.Name, &corev1.PersistentVolumeClaim{}, func(c *corev1.PersistentVolumeClaim) bool {
		return c.UID != claim.UID && c.Spec.VolumeName == "" && diagnose.SourceOf(c) == "VolumeSnapshot nightly"
	})
	r.stop()
}

// TestClaimOfAnEarlierNamespaceBeginsWithItsDataSource: the note does not call the volume empty.
func TestClaimOfAnEarlierNamespaceBeginsWithItsDataSource(t *testing.T) {
	f := newFixture(t, snapshotProfile("pvc-data-pipeline", "nightly"))
	namespace := f.namespace()
	f.released("old", namespace, "an-earlier-namespace")
	f.pod(namespace, "one", "default")
	f.run()
	claim := eventually(f, namespace, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{}, exists)
	assert.Equal(t, "VolumeSnapshot nightly", diagnose.SourceOf(claim))
	assert.Contains(t, f.event(namespace, claim.Name, diagnose.ReasonVolumeReleased),
		"claim pvc-data-pipeline begins with the data of the VolumeSnapshot nightly: PersistentVolume old."+namespace)
}

// TestReportsWhyACopyWaits follows a clone from a claim that does not exist to one that is bound.
func TestReportsWhyACopyWaits(t *testing.T) {
	f := newFixture(t, `{name: default, claim: {name: copy, size: 1Gi, `+
		`dataSource: {kind: PersistentVolumeClaim, name: other}}, storageClass: {name: CLASS, volumeBindingMode: Immediate}}`)
	namespace := f.namespace()
	f.pod(namespace, "one", "default")
	f.run()
	assert.Contains(t, f.event(namespace, "copy", diagnose.ReasonSourceMissing),
		"claim copy is Pending because its dataSource, the PersistentVolumeClaim other, does not exist in "+
			"namespace "+namespace)

	other := f.claim(namespace, "other", f.class, "2Gi")
	assert.Contains(t, f.event(namespace, "copy", diagnose.ReasonSourceNotReady),
		"its dataSource, the PersistentVolumeClaim other, is Pending: bind it first")

	f.bind(other, "other."+namespace)
	assert.Contains(t, f.event(namespace, "one", diagnose.ReasonSourceUnfit),
		"the volume of its dataSource, the PersistentVolumeClaim other, has no CSI driver")
}

// snapshot makes a VolumeSnapshot with a status, as external-snapshotter writes it.
func (f *fixture) snapshot(namespace, name string, status map[string]any) {
	f.t.Helper()
	object := kube.NewSnapshot()
	object.SetNamespace(namespace)
	object.SetName(name)
	if err := f.Get(f.t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
		object.Object["spec"] = map[string]any{"source": map[string]any{"persistentVolumeClaimName": "data"}}
		require.NoError(f.t, f.Create(f.t.Context(), object))
	}
	object.Object["status"] = status
	require.NoError(f.t, f.Status().Update(f.t.Context(), object))
}

// TestReportsWhyARestoreWaits follows a restore from a snapshot that fails, and then does not exist, to a bound claim.
// The test has the part of the driver. The snapshot has its error before the controller runs: without a status it
// would be reported for the same reason, and client-go drops the note of a second Event of a reason.
func TestReportsWhyARestoreWaits(t *testing.T) {
	f := newFixture(t, snapshotProfile("restored", "nightly"))
	suite.InstallSnapshots(t)
	namespace := f.namespace()
	f.grantSnapshots(namespace)
	f.snapshot(namespace, "nightly", map[string]any{"readyToUse": false, "error": map[string]any{"message": "no quota"}})
	f.pod(namespace, "one", "default")
	f.run()
	assert.Contains(t, f.event(namespace, "restored", diagnose.ReasonSourceNotReady),
		"its dataSource, the VolumeSnapshot nightly, has the error no quota: kubectl describe volumesnapshot nightly")

	snapshot := kube.NewSnapshot()
	snapshot.SetNamespace(namespace)
	snapshot.SetName("nightly")
	require.NoError(t, f.Delete(t.Context(), snapshot))
	assert.Contains(t, f.event(namespace, "restored", diagnose.ReasonSourceMissing),
		"claim restored is Pending because its dataSource, the VolumeSnapshot nightly, does not exist in "+
			"namespace "+namespace)

	f.snapshot(namespace, "nightly", map[string]any{"readyToUse": true, "restoreSize": "200Gi"})
	assert.Contains(t, f.event(namespace, "restored", diagnose.ReasonSourceUnfit),
		"it requests 100Gi, and its dataSource, the VolumeSnapshot nightly, needs 200Gi: set claim.size to 200Gi or more")

	f.snapshot(namespace, "nightly", map[string]any{"readyToUse": true, "restoreSize": "100Gi"})
	f.event(namespace, "restored", diagnose.ReasonNotProvisioned)
	claim := get(f, namespace, "restored", &corev1.PersistentVolumeClaim{})
	f.bind(claim, "restored."+namespace)
	eventually(f, "", "restored."+namespace, &corev1.PersistentVolume{}, func(v *corev1.PersistentVolume) bool {
		return v.Labels[storage.LabelNamespace] == namespace
	})
	assert.Empty(t, f.notes(namespace, "restored", diagnose.ReasonSourceDiffers))
	assert.Contains(t, f.event(namespace, "restored", diagnose.ReasonSourceIgnored),
		"is not of a CSI driver: nothing was copied into it", "this volume is a directory")
}

// TestReportsNoIgnoredSourceOfAnotherProfile: an administrator who has removed claim.dataSource expects no copy, and
// needs no report.
func TestReportsNoIgnoredSourceOfAnotherProfile(t *testing.T) {
	f := newFixture(t, snapshotProfile("restored", "weekly"))
	suite.InstallSnapshots(t)
	namespace := f.namespace()
	f.grantSnapshots(namespace)
	f.snapshot(namespace, "weekly", map[string]any{"readyToUse": true, "restoreSize": "100Gi"})
	f.pod(namespace, "one", "default")
	r := f.run()
	claim := eventually(f, namespace, "restored", &corev1.PersistentVolumeClaim{}, exists)
	require.NotNil(t, claim.Spec.DataSourceRef)

	f.set(r, `{name: default, claim: {name: restored}, storageClass: {name: CLASS}}`)
	f.barrier()
	f.bind(claim, "restored."+namespace)
	eventually(f, "", "restored."+namespace, &corev1.PersistentVolume{}, func(v *corev1.PersistentVolume) bool {
		return v.Labels[storage.LabelNamespace] == namespace
	})
	f.barrier()
	assert.Empty(t, f.notes(namespace, "restored", diagnose.ReasonSourceIgnored))
}

// grantSnapshots gives the account the right that the chart grants where a profile has a snapshot.
func (f *fixture) grantSnapshots(namespace string) {
	f.t.Helper()
	meta := metav1.ObjectMeta{Name: "snapshots", Namespace: namespace}
	require.NoError(f.t, f.Create(f.t.Context(), &rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{
		APIGroups: []string{storage.GroupSnapshots}, Resources: []string{"volumesnapshots"}, Verbs: []string{"get"},
	}}}))
	require.NoError(f.t, f.Create(f.t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "snapshots"},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: account}},
	}))
}

// TestReportsSelectedNodeAndLostClaims: what Kubernetes leaves behind.
func TestReportsSelectedNodeAndLostClaims(t *testing.T) {
	f := newFixture(t, `{name: node, claim: {name: node}, storageClass: {name: CLASS}}`,
		`{name: lost, claim: {name: lost}, storageClass: {name: CLASS, create: false}}`)
	namespace := f.namespace()
	pod := f.pod(namespace, "one", "node,lost")
	pod.Status.Conditions = []corev1.PodCondition{{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable,
		Message: "0/1 nodes are available: 1 node(s) didn't find available persistent volumes to bind.",
	}}
	require.NoError(t, f.Status().Update(t.Context(), pod))
	f.run()
	claim := eventually(f, namespace, "node", &corev1.PersistentVolumeClaim{}, exists)
	metav1.SetMetaDataAnnotation(&claim.ObjectMeta, diagnose.AnnotationSelectedNode, "node-9")
	require.NoError(t, f.Update(t.Context(), claim))
	assert.Contains(t, f.event(namespace, "node", diagnose.ReasonSelectedNodeGone), "If that node is gone (kubectl get "+
		"node node-9), let the scheduler choose again: kubectl annotate persistentvolumeclaim node --namespace "+namespace+
		" volume.kubernetes.io/selected-node-")

	lost := eventually(f, namespace, "lost", &corev1.PersistentVolumeClaim{}, exists)
	f.bind(lost, "lost."+namespace)
	require.NoError(t, f.Delete(t.Context(), get(f, "", "lost."+namespace, &corev1.PersistentVolume{})))
	f.unfinalize("", "lost."+namespace, &corev1.PersistentVolume{})
	require.Eventually(t, func() bool {
		live := get(f, namespace, "lost", &corev1.PersistentVolumeClaim{})
		live.Status.Phase = corev1.ClaimLost
		return f.Status().Update(t.Context(), live) == nil
	}, timeout, poll)
	note := f.event(namespace, "lost", diagnose.ReasonClaimLost)
	assert.Contains(t, note, "claim lost is Lost because its PersistentVolume lost."+namespace+" was deleted: where the "+
		"storage behind it still exists, create a PersistentVolume of that name for it, with spec.claimRef.uid "+
		string(lost.UID))
	assert.Equal(t, note, f.event(namespace, "one", diagnose.ReasonClaimLost))
	f.barrier()
	assert.Equal(t, lost.UID, get(f, namespace, "lost", &corev1.PersistentVolumeClaim{}).UID, "nothing is deleted")
}
