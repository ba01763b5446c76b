package diagnose

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/pipeline-storage/pipeline-storage/internal/claimtest"
)

const snapshotsGroup = "snapshot.storage.k8s.io"

// from is a claim that begins with an object.
func from(kind, group, name string) claimtest.Change {
	return func(c *corev1.PersistentVolumeClaim) {
		c.Spec.DataSourceRef = &corev1.TypedObjectReference{Kind: kind, Name: name}
		if group != "" {
			c.Spec.DataSourceRef.APIGroup = &group
		}
	}
}

func ofDriver(name string) *corev1.PersistentVolume {
	return aVolume(func(v *corev1.PersistentVolume) { v.Spec.CSI = &corev1.CSIPersistentVolumeSource{Driver: name} })
}

func TestDataSource(t *testing.T) {
	t.Parallel()

	snapshot := func(v *VolumeSnapshot) Snapshot {
		return Snapshot{
			Claim: claimtest.Claim(from("VolumeSnapshot", snapshotsGroup, "nightly")), Source: &Source{Snapshot: v},
		}
	}
	clone := func(volume *corev1.PersistentVolume, change ...claimtest.Change) Snapshot {
		return Snapshot{
			Claim:  claimtest.Claim(from("PersistentVolumeClaim", "", "other")),
			Source: &Source{Claim: claimtest.Claim(change...), Volume: volume},
		}
	}
	quantity := resource.MustParse("200Gi")
	const deleteIt = "and delete the claim, which holds no data yet"
	for name, row := range map[string]struct {
		in           Snapshot
		reason, note string
	}{
		"the snapshot does not exist": {
			snapshot(nil), ReasonSourceMissing,
			"claim data is Pending because its dataSource, the VolumeSnapshot nightly, does not exist in namespace ml: create " +
				"it there, or change claim.dataSource " + deleteIt + ": it is created again",
		},
		"the cluster has no snapshots": {
			Snapshot{
				Claim: claimtest.Claim(from("VolumeSnapshot", snapshotsGroup, "nightly")), Source: &Source{Unserved: true},
			},
			ReasonSourceMissing,
			"claim data is Pending because its dataSource is the VolumeSnapshot nightly, and the cluster has no objects of " +
				"that kind: install the CRDs and the controller of external-snapshotter",
		},
		"the snapshot could not be read": {
			Snapshot{Claim: claimtest.Claim(from("VolumeSnapshot", snapshotsGroup, "nightly")), Source: &Source{Unread: true}},
			ReasonNotProvisioned,
			"has made no volume for it yet: see that its dataSource, the VolumeSnapshot nightly, exists and is ready, which " +
				"needs your rights (kubectl get volumesnapshot nightly --namespace ml, or kubectl pipeline-storage status); see " +
				"that this",
		},
		"the snapshot is not ready": {
			snapshot(&VolumeSnapshot{}), ReasonSourceNotReady,
			"its dataSource, the VolumeSnapshot nightly, is not ready to use: kubectl describe volumesnapshot nightly " +
				"--namespace ml shows why",
		},
		"the snapshot has an error": {
			snapshot(&VolumeSnapshot{Error: "quota exceeded"}), ReasonSourceNotReady,
			"its dataSource, the VolumeSnapshot nightly, has the error quota exceeded: kubectl describe volumesnapshot",
		},
		"the snapshot is being deleted": {
			snapshot(&VolumeSnapshot{Ready: true, Deleted: true}), ReasonSourceNotReady,
			"its dataSource, the VolumeSnapshot nightly, is being deleted: change claim.dataSource " + deleteIt,
		},
		"the snapshot needs a larger claim": {
			snapshot(&VolumeSnapshot{Ready: true, RestoreSize: &quantity}), ReasonSourceUnfit,
			"it requests 100Gi, and its dataSource, the VolumeSnapshot nightly, needs 200Gi: set claim.size to 200Gi or more, " +
				deleteIt,
		},
		"the snapshot is ready": {snapshot(&VolumeSnapshot{Ready: true}), ReasonNotProvisioned, "has made no volume"},
		"the other claim does not exist": {
			Snapshot{Claim: claimtest.Claim(from("PersistentVolumeClaim", "", "other")), Source: &Source{}},
			ReasonSourceMissing, "its dataSource, the PersistentVolumeClaim other, does not exist in namespace ml: ",
		},
		"the other claim is not bound": {
			clone(nil), ReasonSourceNotReady,
			"its dataSource, the PersistentVolumeClaim other, is Pending: bind it first: a pod that mounts it makes its class " +
				"create the volume",
		},
		"the other claim is Lost": {
			clone(nil, func(c *corev1.PersistentVolumeClaim) { c.Status.Phase = corev1.ClaimLost }), ReasonSourceNotReady,
			"its dataSource, the PersistentVolumeClaim other, is Lost: change claim.dataSource " + deleteIt,
		},
		"the other claim is larger": {
			clone(ofDriver("ebs.csi.aws.com"), claimtest.Size("200Gi"), has("200Gi")), ReasonSourceUnfit,
			"it requests 100Gi, and its dataSource, the PersistentVolumeClaim other, needs 200Gi: ",
		},
		"the other claim is a block device": {
			clone(ofDriver("ebs.csi.aws.com"), has("100Gi"), claimtest.Block), ReasonSourceUnfit,
			"its dataSource, the PersistentVolumeClaim other, has volumeMode Block: use a claim with a file system",
		},
		"the other claim has another driver": {
			clone(ofDriver("pd.csi.storage.gke.io"), has("100Gi")), ReasonSourceUnfit,
			"the volume of its dataSource, the PersistentVolumeClaim other, has the driver pd.csi.storage.gke.io, and its " +
				"StorageClass fast has ebs.csi.aws.com: a driver copies its own volumes only",
		},
		"the other claim has no driver": {
			clone(aVolume(), has("100Gi")), ReasonSourceUnfit,
			"has no CSI driver, and its StorageClass fast has ebs.csi.aws.com",
		},
		"the other claim is in another class of the same driver": {
			clone(ofDriver("ebs.csi.aws.com"), has("100Gi"), claimtest.Class("other")), ReasonNotProvisioned,
			"has made no volume",
		},
		"a kind that is not read": {
			Snapshot{Claim: claimtest.Claim(from("Bucket", "example.com", "b"))}, ReasonNotProvisioned, "has made no volume",
		},
		"a claim that names its volume": {
			Snapshot{
				Claim:  claimtest.Claim(from("VolumeSnapshot", snapshotsGroup, "nightly"), claimtest.Volume("v")),
				Volume: aVolume(refers("ml", "claim-uid")),
			},
			ReasonPending, "claim data is Pending: ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			row.in.Class = aClass("ebs.csi.aws.com", storagev1.VolumeBindingImmediate)
			got := findingOf(t, row.in)
			assert.Equal(t, row.reason, got.Reason)
			assert.Contains(t, got.Note, row.note)
		})
	}
}

func TestSourceIgnored(t *testing.T) {
	t.Parallel()

	created := metav1.NewTime(time.Unix(1000, 0))
	volume := func(age time.Duration, source corev1.PersistentVolumeSource) *corev1.PersistentVolume {
		v := aVolume()
		v.CreationTimestamp, v.Spec.PersistentVolumeSource = metav1.NewTime(created.Add(-age)), source
		return v
	}
	csi := corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "ebs.csi.aws.com"}}
	migrated := corev1.PersistentVolumeSource{AWSElasticBlockStore: &corev1.AWSElasticBlockStoreVolumeSource{}}
	directory := corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{}}
	restored := claimtest.Claim(from("VolumeSnapshot", snapshotsGroup, "nightly"), has("100Gi"))
	restored.CreationTimestamp = created
	for name, row := range map[string]struct {
		claim  *corev1.PersistentVolumeClaim
		volume *corev1.PersistentVolume
		why    string
	}{
		"a driver has created it":            {restored, volume(-time.Second, csi), ""},
		"a driver in place of a former one":  {restored, volume(-time.Second, migrated), ""},
		"it was there before":                {restored, volume(time.Hour, csi), "is older than the claim"},
		"a provisioner without CSI":          {restored, volume(-time.Second, directory), "is not of a CSI driver"},
		"the volume was not read":            {restored, nil, ""},
		"the claim has no dataSource":        {claimtest.Claim(has("100Gi")), volume(time.Hour, directory), ""},
		"the claim is not bound to a volume": {claimtest.Claim(from("Bucket", "example.com", "b")), volume(0, directory), ""},
	} {
		f := SourceIgnored(row.claim, row.volume)
		if row.why == "" {
			assert.Nil(t, f, name)
			continue
		}
		assert.Equal(t, "claim data has the VolumeSnapshot nightly as its dataSource, but its PersistentVolume v "+row.why+
			": nothing was copied into it. Restore the data under another claim.name, by a class whose CSI driver can copy",
			f.Note)
		assert.Equal(t, ReasonSourceIgnored, f.Reason)
	}
}

func TestSourceOf(t *testing.T) {
	t.Parallel()

	inProd := func(c *corev1.PersistentVolumeClaim) { c.Spec.DataSourceRef.Namespace = new("prod") }
	for want, claim := range map[string]*corev1.PersistentVolumeClaim{
		"":                                claimtest.Claim(),
		"VolumeSnapshot a":                claimtest.Claim(from("VolumeSnapshot", snapshotsGroup, "a")),
		"VolumeSnapshot.example.com a":    claimtest.Claim(from("VolumeSnapshot", "example.com", "a")),
		"PersistentVolumeClaim a":         claimtest.Claim(from("PersistentVolumeClaim", "", "a")),
		"VolumeSnapshot prod/a":           claimtest.Claim(from("VolumeSnapshot", snapshotsGroup, "a"), inProd),
		"Bucket.populators.example.com a": claimtest.Claim(from("Bucket", "populators.example.com", "a")),
	} {
		assert.Equal(t, want, SourceOf(claim))
	}
	assert.False(t, NeedsSnapshot(claimtest.Claim(from("VolumeSnapshot", snapshotsGroup, "a"), inProd)),
		"an object of another namespace is not read")
}

func TestSnapshotOf(t *testing.T) {
	t.Parallel()

	size := resource.MustParse("2Gi")
	for name, row := range map[string]struct {
		object map[string]any
		want   VolumeSnapshot
	}{
		"nothing is known yet": {map[string]any{}, VolumeSnapshot{}},
		"ready": {
			map[string]any{"status": map[string]any{"readyToUse": true, "restoreSize": "2Gi"}},
			VolumeSnapshot{Ready: true, RestoreSize: &size},
		},
		"failed": {
			map[string]any{"status": map[string]any{"readyToUse": false, "error": map[string]any{"message": "a\nb."}}},
			VolumeSnapshot{Error: "a b"},
		},
		"fields of other forms are left out": {
			map[string]any{"status": map[string]any{"readyToUse": "yes", "error": "a", "restoreSize": int64(7)}},
			VolumeSnapshot{},
		},
	} {
		assert.Equal(t, &row.want, SnapshotOf(&unstructured.Unstructured{Object: row.object}), name)
	}
	deleted := &unstructured.Unstructured{Object: map[string]any{}}
	deleted.SetDeletionTimestamp(&metav1.Time{Time: time.Unix(1, 0)})
	assert.Equal(t, &VolumeSnapshot{Deleted: true}, SnapshotOf(deleted))
}
