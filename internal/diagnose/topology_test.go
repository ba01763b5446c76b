package diagnose

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pipeline-storage/pipeline-storage/internal/claimtest"
)

func nodeIn(name, zone string) metav1.PartialObjectMetadata {
	return metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"zone": zone}}}
}

func only(terms ...corev1.NodeSelectorTerm) func(*corev1.PersistentVolume) {
	return func(v *corev1.PersistentVolume) {
		v.Spec.NodeAffinity = &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: terms}}
	}
}

func inZone(operator corev1.NodeSelectorOperator, values ...string) corev1.NodeSelectorTerm {
	return corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{
		Key: "zone", Operator: operator,
		Values: values,
	}}}
}

func TestReach(t *testing.T) {
	t.Parallel()

	unscheduled := func(message string) corev1.Pod {
		pod := aPod("p", "")
		pod.Status.Conditions = []corev1.PodCondition{{
			Type: corev1.PodScheduled, Status: corev1.ConditionFalse,
			Message: message,
		}}
		return pod
	}
	both := []metav1.PartialObjectMetadata{nodeIn("a", "east"), nodeIn("b", "west")}
	const (
		east   = "claim data has its data on PersistentVolume v, which only nodes with zone in east reach, and "
		advice = "let the pod run there (nodeSelector, tolerations, free room on those nodes)"
	)
	for name, row := range map[string]struct {
		volume *corev1.PersistentVolume
		nodes  []metav1.PartialObjectMetadata
		pods   []corev1.Pod
		want   string
	}{
		"no volume":               {nil, both, nil, ""},
		"a volume for all nodes":  {aVolume(), both, []corev1.Pod{unscheduled("volume node affinity conflict")}, ""},
		"the nodes were not read": {aVolume(only(inZone(corev1.NodeSelectorOpIn, "moon"))), nil, nil, ""},
		"a zone with nodes": {
			aVolume(only(inZone(corev1.NodeSelectorOpIn, "east"))), both,
			[]corev1.Pod{aPod("p", "a"), aPod("q", "unknown")},
			"",
		},
		"one of two terms is enough": {aVolume(only(inZone(corev1.NodeSelectorOpIn, "moon"),
			inZone(corev1.NodeSelectorOpExists))), both, nil, ""},
		"an empty term matches no node": {
			aVolume(only(corev1.NodeSelectorTerm{}, inZone(corev1.NodeSelectorOpIn, "moon"))),
			both, nil, "claim data has its data on PersistentVolume v, which only nodes with zone in moon reach, and the " +
				"cluster has no such node: add a node there, or copy the data to a volume of a zone that has nodes",
		},
		"a node by its name": {aVolume(only(corev1.NodeSelectorTerm{MatchFields: []corev1.NodeSelectorRequirement{
			{Key: "metadata.name", Operator: corev1.NodeSelectorOpIn, Values: []string{"b"}},
		}})), both, []corev1.Pod{aPod("p", "b")}, ""},
		"a zone without nodes": {
			aVolume(only(inZone(corev1.NodeSelectorOpIn, "moon"))), both, nil,
			"claim data has its data on PersistentVolume v, which only nodes with zone in moon reach, and the cluster has no " +
				"such node: add a node there, or copy the data to a volume of a zone that has nodes",
		},
		"a pod on a node of another zone": {
			aVolume(only(inZone(corev1.NodeSelectorOpIn, "east"))), both, []corev1.Pod{aPod("p", "b")}, east +
				"the pod p is on the node b: " + advice,
		},
		"a pod that the scheduler could not put there": {
			aVolume(only(inZone(corev1.NodeSelectorOpIn, "east"))), both,
			[]corev1.Pod{unscheduled("0/2 nodes are available: 1 node(s) had volume node affinity conflict.")},
			east + "the pod p is not scheduled: 0/2 nodes are available: 1 node(s) had volume node affinity conflict: " + advice,
		},
		"the same in newer words": {
			aVolume(only(inZone(corev1.NodeSelectorOpIn, "east"))), both,
			[]corev1.Pod{unscheduled("1 node(s) didn't match PersistentVolume's node affinity")},
			east + "the pod p is not scheduled: 1 node(s) didn't match PersistentVolume's node affinity: " + advice,
		},
		"a pod that waits for something else": {
			aVolume(only(inZone(corev1.NodeSelectorOpIn, "east"))), both, []corev1.Pod{unscheduled("Insufficient cpu")}, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := Reach("data", row.volume, row.nodes, row.pods)
			if row.want == "" {
				assert.Nil(t, got)
				return
			}
			require.NotNil(t, got)
			assert.Equal(t, row.want, got.Note)
			assert.Equal(t, ReasonWrongZone, got.Reason)
		})
	}
}

func TestDriver(t *testing.T) {
	t.Parallel()

	disk := aVolume(func(v *corev1.PersistentVolume) {
		v.Spec.CSI = &corev1.CSIPersistentVolumeSource{Driver: "disk.csi.example.com"}
	})
	assert.Nil(t, Driver("data", disk, []string{"disk.csi.example.com"}))
	assert.Nil(t, Driver("data", disk, nil), "they were not read")
	assert.Nil(t, Driver("data", aVolume(), []string{}), "a volume of the node itself")
	got := Driver("data", disk, []string{})
	require.NotNil(t, got)
	assert.Equal(t, "PersistentVolume v of claim data needs the CSI driver disk.csi.example.com, and the cluster has "+
		"no CSIDriver of that name", got.What())

	pending := func(provisioner string, drivers []string) string {
		return Claim(Snapshot{
			Name: "data", Namespace: "ml", Claim: claimtest.Claim(),
			Class: aClass(provisioner, storagev1.VolumeBindingImmediate), Drivers: drivers,
		}).Reason
	}
	assert.Equal(t, ReasonDriverMissing, pending("ebs.csi.aws.com", []string{"other"}))
	assert.Equal(t, ReasonNotProvisioned, pending("ebs.csi.aws.com", nil))
	assert.Equal(t, ReasonNotProvisioned, pending("rancher.io/local-path", []string{}), "which is no CSI driver")
}

// TestWhatWasNotReadIsNotMissing is about callers without the rights of the claims controller, and
// without its configuration.
func TestWhatWasNotReadIsNotMissing(t *testing.T) {
	t.Parallel()

	s := Snapshot{Name: "data", Namespace: "ml", Claim: claimtest.Claim(), ClassesUnread: true, VolumesUnread: true}
	assert.Equal(t, ReasonPending, Claim(s).Reason)
	s.Claim = claimtest.Claim(claimtest.Volume("v"))
	assert.Equal(t, ReasonPending, Claim(s).Reason)
	s.VolumesUnread = false
	assert.Equal(t, "claim data is Pending because its PersistentVolume v does not exist: create it", Claim(s).Note,
		"without a profile there is no hint about it")
	s.Claim = nil
	assert.Equal(t, "create it", Claim(s).Next)
}

func TestAReleasedVolumeIsGivenByConsentToAnOwnClaim(t *testing.T) {
	t.Parallel()

	s := Snapshot{
		Name: "data", Namespace: "ml", Claim: claimtest.Claim(claimtest.Volume("v")),
		Volume: aVolume(refers("ml", "an-older-claim")), Own: true,
	}
	assert.Equal(t, "To give this data to the new claim: "+ConsentCommand("v", "ml"), Claim(s).Next)
}
