package diagnose

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pipeline-storage/pipeline-storage/internal/claimtest"
)

func aVolume(change ...func(*corev1.PersistentVolume)) *corev1.PersistentVolume {
	volume := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "v"},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:         corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("100Gi")},
			AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			StorageClassName: "fast",
		},
	}
	for _, c := range change {
		c(volume)
	}
	return volume
}

func refers(namespace string, uid types.UID) func(*corev1.PersistentVolume) {
	return func(v *corev1.PersistentVolume) {
		v.Spec.ClaimRef = &corev1.ObjectReference{Namespace: namespace, Name: "data", UID: uid}
	}
}

func aClass(provisioner string, mode storagev1.VolumeBindingMode) *storagev1.StorageClass {
	return &storagev1.StorageClass{
		ObjectMeta: metav1.ObjectMeta{Name: "fast"}, Provisioner: provisioner,
		VolumeBindingMode: &mode,
	}
}

func aPod(name, node string) corev1.Pod {
	return corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PodSpec{NodeName: node}}
}

// findingOf is the finding about the claim ml/data, whose note has the next step at its end and fits into
// an Event.
func findingOf(t *testing.T, in Snapshot) Finding {
	t.Helper()

	const maxNote = 1024 // bytes. Source: Kubernetes, events/v1 Event.note
	in.Name, in.Namespace = "data", "ml"
	got := Claim(in)
	assert.True(t, strings.HasSuffix(got.Note, got.Next), "%q should end with %q", got.Note, got.Next)
	assert.LessOrEqual(t, len(got.Note), maxNote)
	return got
}

func TestDiagnose(t *testing.T) {
	t.Parallel()

	const (
		wait      = storagev1.VolumeBindingWaitForFirstConsumer
		immediate = storagev1.VolumeBindingImmediate
	)
	notScheduled := aPod("p", "")
	notScheduled.Status.Conditions = []corev1.PodCondition{{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse,
		Message: "0/3 nodes are available",
	}}
	profile := &claimtest.Config(t, `{name: a}`).Profiles[0]

	for name, row := range map[string]struct {
		in   Snapshot
		want Finding
	}{
		"no claim": {
			Snapshot{},
			Finding{
				Reason: ReasonClaimMissing,
				Note:   "claim data does not exist in namespace ml: create it or set claim.create: true in the profile a",
			},
		},
		"the named volume does not exist": {
			Snapshot{Claim: claimtest.Claim(claimtest.Volume("v"))},
			Finding{
				Reason: ReasonVolumeMissing,
				Note: "claim data is Pending because its PersistentVolume v does not exist: create it, or set volume.create: " +
					"true in the profile a",
			},
		},
		"the named volume is another claim's": {
			Snapshot{Claim: claimtest.Claim(claimtest.Volume("v")), Volume: aVolume(refers("etl", "x"))},
			Finding{
				Reason: ReasonVolumeTaken,
				Note: "claim data is Pending because its PersistentVolume v belongs to the claim etl/data: name another volume, " +
					"or free it there",
			},
		},
		"the named volume was released": {
			Snapshot{Claim: claimtest.Claim(claimtest.Volume("v")), Volume: aVolume(refers("ml", "an-older-claim"))},
			Finding{
				Reason: ReasonVolumeReleased,
				Note: "claim data is Pending because its PersistentVolume v is Released: it still holds the data of a claim of " +
					"this name that was deleted. " +
					`To give this data to the new claim: kubectl patch persistentvolume v --type=merge -p ` +
					`'{"spec":{"claimRef":{"uid":null,"resourceVersion":null}}}'`,
			},
		},
		"the named volume is too small, of another class and read by many": {
			Snapshot{Claim: claimtest.Claim(claimtest.Volume("v"), claimtest.Size("200Gi"), claimtest.Class("slow"),
				claimtest.Modes(corev1.ReadWriteMany), claimtest.Block), Volume: aVolume()},
			Finding{
				Reason: ReasonVolumeDiffers,
				Note: "claim data is Pending because its PersistentVolume v does not fit: its capacity is 100Gi, the claim " +
					"requests 200Gi; " +
					"its access modes are ReadWriteOnce, the claim needs ReadWriteMany; its StorageClass is \"fast\", the claim's " +
					"\"slow\"; one of the two has volumeMode Block",
			},
		},
		"the named volume failed": {
			Snapshot{Claim: claimtest.Claim(claimtest.Volume("v")), Volume: aVolume(refers("ml", "claim-uid"),
				func(v *corev1.PersistentVolume) {
					v.Status.Phase, v.Status.Message = corev1.VolumeFailed, "gone"
				})},
			Finding{Reason: ReasonVolumeFailed, Note: "claim data is Pending because its PersistentVolume v failed: gone"},
		},
		"a static claim needs no class; nothing is wrong that can be seen": {
			Snapshot{Claim: claimtest.Claim(claimtest.Volume("v")), Volume: aVolume(refers("ml", ""))},
			Finding{
				Reason: ReasonPending,
				Note:   "claim data is Pending: kubectl describe persistentvolumeclaim data --namespace ml shows its events",
			},
		},
		"no class exists": {
			Snapshot{Claim: claimtest.Claim()},
			Finding{
				Reason: ReasonClassMissing,
				Note:   "claim data is Pending because its StorageClass fast does not exist: create it",
			},
		},
		"the empty class": {
			Snapshot{Claim: claimtest.Claim(claimtest.Class(""))},
			Finding{
				Reason: ReasonVolumeMissing,
				Note: "claim data is Pending because it has no StorageClass that could make a volume: create a PersistentVolume " +
					"for it",
			},
		},
		"the pod is not scheduled": {
			Snapshot{Claim: claimtest.Claim(), Class: aClass("x", wait), Pods: []corev1.Pod{aPod("q", "n"), notScheduled}},
			Finding{
				Reason: ReasonNotScheduled,
				Note: "claim data is Pending because its StorageClass fast waits for the first consumer, and the pod p is not " +
					"scheduled: 0/3 nodes are available",
			},
		},
		"no scheduler runs": {
			Snapshot{Claim: claimtest.Claim(), Class: aClass("x", wait), Pods: []corev1.Pod{aPod("p", "")}},
			Finding{
				Reason: ReasonNotScheduled,
				Note: "claim data is Pending because its StorageClass fast waits for the first consumer, and the pod p is not " +
					"scheduled: no scheduler has tried it yet",
			},
		},
		"the pod was put on a node by hand": {
			Snapshot{Claim: claimtest.Claim(), Class: aClass("x", wait), Pods: []corev1.Pod{aPod("p", "n")}},
			Finding{
				Reason: ReasonNotScheduled,
				Note: "claim data is Pending because its StorageClass fast waits for the scheduler, and the pod p was put on " +
					"the node n without it: use a nodeSelector in place of spec.nodeName",
			},
		},
		"the scheduler has chosen a node": {
			Snapshot{Claim: claimtest.Claim(func(c *corev1.PersistentVolumeClaim) {
				metav1.SetMetaDataAnnotation(&c.ObjectMeta, AnnotationSelectedNode, "n")
			}), Class: aClass("ebs.csi.aws.com", wait), Pods: []corev1.Pod{aPod("p", "")}},
			Finding{
				Reason: ReasonNotProvisioned,
				Note: "claim data is Pending because ebs.csi.aws.com has made no volume for it yet: see that this driver is " +
					"installed (kubectl get csidrivers) and runs, " +
					"and kubectl describe persistentvolumeclaim data --namespace ml for its events",
			},
		},
		"the class has no provisioner": {
			Snapshot{Claim: claimtest.Claim(), Class: aClass(noProvisioner, immediate)},
			Finding{
				Reason: ReasonVolumeMissing,
				Note: "claim data is Pending because no provisioner makes volumes of its StorageClass fast: create a " +
					"PersistentVolume of that class for it",
			},
		},
		"no class is named, and the cluster has no default one": {
			Snapshot{Claim: claimtest.Claim(func(c *corev1.PersistentVolumeClaim) { c.Spec.StorageClassName = nil })},
			Finding{
				Reason: ReasonClassMissing,
				Note: "claim data is Pending because it names no StorageClass, and the cluster has no default one: annotate a " +
					"class with storageclass.kubernetes.io/is-default-class: \"true\", and the claim gets it",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			row.in.Profile = profile
			got := findingOf(t, row.in)
			assert.Equal(t, row.want, Finding{Reason: got.Reason, Note: got.Note})
		})
	}
}

func TestSpread(t *testing.T) {
	t.Parallel()

	now := time.Now()
	profile := &claimtest.Config(t, `{name: a}`).Profiles[0]
	old := func(p corev1.Pod, age time.Duration) corev1.Pod {
		p.CreationTimestamp = metav1.NewTime(now.Add(-age))
		return p
	}
	const advice = ": pods on other nodes wait; use a shared backend with ReadWriteMany, or keep the pods on one node " +
		"with colocate: true"
	for name, row := range map[string]struct {
		pods  []corev1.Pod
		note  string
		again time.Duration
	}{
		"one node":    {[]corev1.Pod{aPod("p", "n"), aPod("q", "n")}, "", 0},
		"no node yet": {[]corev1.Pod{old(aPod("p", ""), time.Hour), old(aPod("q", ""), time.Hour)}, "", 0},
		"two nodes": {
			[]corev1.Pod{aPod("p", "n"), aPod("q", "m")},
			"claim data is ReadWriteOnce on aws-ebs, but pods on more than one node use it" + advice, 0,
		},
		"one waits long": {
			[]corev1.Pod{aPod("p", "n"), old(aPod("q", ""), time.Minute)},
			"claim data is ReadWriteOnce on aws-ebs, but pods on the node n use it, and the pod q waits for a node" + advice, 0,
		},
		"two wait since just now": {
			[]corev1.Pod{aPod("p", "n"), old(aPod("q", ""), 5*time.Second), old(aPod("r", ""), 10*time.Second)},
			"",
			20 * time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			note, again := MultiNode(profile, "data", row.pods, now, 30*time.Second)
			assert.Equal(t, row.note, note)
			assert.Equal(t, row.again, again)
		})
	}
}
