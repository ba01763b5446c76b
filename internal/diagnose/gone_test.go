package diagnose

import (
	"testing"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pipeline-storage/pipeline-storage/internal/claimtest"
)

func TestLostClaim(t *testing.T) {
	t.Parallel()

	isLost := func(c *corev1.PersistentVolumeClaim) { c.Status.Phase = corev1.ClaimLost }
	const begin = "delete the claim and the pods that use it: the new claim has the data of the profile's " +
		"claim.dataSource or volume, and is empty without them"
	for name, row := range map[string]struct {
		in   Snapshot
		note string
	}{
		"its volume was deleted": {
			Snapshot{Claim: claimtest.Claim(claimtest.Volume("v"), isLost)},
			"claim data is Lost because its PersistentVolume v was deleted: where the storage behind it still exists, create " +
				"a PersistentVolume of that name for it, with spec.claimRef.uid claim-uid, and the claim is Bound again. Else " +
				begin,
		},
		"volumes were not read": {
			Snapshot{Claim: claimtest.Claim(claimtest.Volume("v"), isLost), VolumesUnread: true},
			"claim data is Lost because its PersistentVolume v was deleted or belongs to another claim: " + begin,
		},
		"it names no volume any more": {
			Snapshot{Claim: claimtest.Claim(isLost)},
			"claim data is Lost because it was bound and names no PersistentVolume any more: " + begin,
		},
		"its volume is another claim's": {
			Snapshot{Claim: claimtest.Claim(claimtest.Volume("v"), isLost), Volume: aVolume(refers("etl", "x"))},
			"claim data is Lost because its PersistentVolume v belongs to the claim etl/data: " + begin,
		},
		"its volume was created again without the UID of the claim": {
			Snapshot{Claim: claimtest.Claim(claimtest.Volume("v"), isLost), Volume: aVolume(refers("ml", ""))},
			"claim data is Lost because its PersistentVolume v belongs to the claim ml/data with another UID than this " +
				"claim's: if its data is meant for this claim, kubectl patch persistentvolume v --type=merge -p " +
				`'{"spec":{"claimRef":{"uid":"claim-uid","resourceVersion":null}}}'. Else ` + begin,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := findingOf(t, row.in)
			assert.Equal(t, ReasonClaimLost, got.Reason)
			assert.Equal(t, row.note, got.Note)
		})
	}

	again := Snapshot{Claim: claimtest.Claim(claimtest.Volume("v"), isLost), Volume: aVolume(refers("ml", "claim-uid"))}
	assert.NotEqual(t, ReasonClaimLost, Claim(again).Reason, "Kubernetes binds it in a moment")
}

func TestSelectedNodeIsGone(t *testing.T) {
	t.Parallel()

	selected := func(c *corev1.PersistentVolumeClaim) {
		metav1.SetMetaDataAnnotation(&c.ObjectMeta, AnnotationSelectedNode, "node-9")
	}
	node := func(name string) metav1.PartialObjectMetadata {
		return metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: name}}
	}
	waits := func(message string) []corev1.Pod {
		pod := aPod("p", "")
		pod.Status.Conditions = []corev1.PodCondition{
			{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Message: message},
		}
		return []corev1.Pod{pod}
	}
	const (
		conflict = "0/1 nodes are available: 1 node(s) didn't find available persistent volumes to bind."
		command  = "kubectl annotate persistentvolumeclaim data --namespace ml volume.kubernetes.io/selected-node-"
	)
	for name, row := range map[string]struct {
		in           Snapshot
		reason, note string
	}{
		"the cluster has no such node": {
			Snapshot{Claim: claimtest.Claim(selected), Nodes: []metav1.PartialObjectMetadata{node("node-1")}},
			ReasonSelectedNodeGone,
			"claim data is Pending because its volume is to be created for the node node-9, which the cluster does not have " +
				"any more, and the scheduler puts its pods on no other: let the scheduler choose again: " + command,
		},
		"the cluster has no node at all": {
			Snapshot{Claim: claimtest.Claim(selected), Nodes: []metav1.PartialObjectMetadata{}},
			ReasonSelectedNodeGone, "node-9, which the cluster does not have any more",
		},
		"the node is there": {
			Snapshot{
				Claim: claimtest.Claim(selected), Nodes: []metav1.PartialObjectMetadata{node("node-9")}, Pods: waits(conflict),
			},
			ReasonNotProvisioned, "has made no volume for it yet",
		},
		"nodes were not read, and the scheduler rejects the others": {
			Snapshot{Claim: claimtest.Claim(selected), Pods: waits(conflict)},
			ReasonSelectedNodeGone,
			"claim data is Pending because its volume is to be created for the node node-9, the scheduler puts its pods on no " +
				"other, and the pod p is not scheduled: " + conflict + " If that node is gone (kubectl get node node-9), let the " +
				"scheduler choose again: " + command,
		},
		"nodes were not read, and the scheduler waits for the driver": {
			Snapshot{Claim: claimtest.Claim(selected), Pods: waits("binding volumes: context deadline exceeded")},
			ReasonNotProvisioned, "has made no volume for it yet",
		},
		"no node was selected": {
			Snapshot{Claim: claimtest.Claim(), Nodes: []metav1.PartialObjectMetadata{}, Pods: waits(conflict)},
			ReasonNotScheduled, conflict,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			row.in.Class = aClass("ebs.csi.aws.com", storagev1.VolumeBindingWaitForFirstConsumer)
			got := findingOf(t, row.in)
			assert.Equal(t, row.reason, got.Reason)
			assert.Contains(t, got.Note, row.note)
		})
	}
}
