package status

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
	"github.com/pipeline-storage/pipeline-storage/internal/status"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

// problemOf waits until status reports a reason about the claim data of a namespace, with a next step that has a text.
func problemOf(t *testing.T, namespace, reason, next string) status.Problem {
	t.Helper()
	var found status.Problem
	suite.Eventually(t, reason+" in "+namespace, func(context.Context) error {
		n := namespaceOf(runStatus(t, suite.Plane(t).Kubeconfig, "--namespace", namespace), namespace)
		if n == nil {
			return errors.New("status has nothing there")
		}
		i := slices.IndexFunc(n.Problems, func(p status.Problem) bool {
			return p.Reason == reason && slices.Contains(p.About, "PersistentVolumeClaim/data") &&
				strings.Contains(p.Next, next)
		})
		if i < 0 {
			return fmt.Errorf("status has %+v", n)
		}
		found = n.Problems[i]
		return nil
	})
	return found
}

// deletePV deletes a volume although a claim is bound to it.
func (w *world) deletePV(name string) {
	w.t.Helper()
	volume := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: name}}
	require.NoError(w.t, w.Delete(w.t.Context(), volume))
	require.NoError(w.t, client.IgnoreNotFound(w.Patch(w.t.Context(), volume,
		client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`)))))
}

// TestLostClaimIsBoundAgain: the real binder loses a claim, and binds it again as status advises.
func TestLostClaimIsBoundAgain(t *testing.T) {
	w := newWorld(t)
	w.namespace("lost", nil)
	claim := w.bound("lost", "data", "lost-volume")
	w.pod("lost", "one", &mounts{"disk", "data"})
	volume := &corev1.PersistentVolume{}
	require.NoError(t, w.Get(t.Context(), client.ObjectKey{Name: "lost-volume"}, volume))
	w.deletePV("lost-volume")
	until(w, claim, "lost", "data", func(c *corev1.PersistentVolumeClaim) bool {
		return c.Status.Phase == corev1.ClaimLost
	})

	p := problemOf(t, "lost", diagnose.ReasonClaimLost,
		"create a PersistentVolume of that name for it, with spec.claimRef.uid "+string(claim.UID))
	assert.Equal(t, "claim data is Lost because its PersistentVolume lost-volume was deleted", p.Message)

	// Without the UID the claim stays Lost, and status has the command that writes it.
	again := volume.DeepCopy()
	again.ObjectMeta = metav1.ObjectMeta{Name: volume.Name, Labels: volume.Labels}
	again.Spec.ClaimRef = &corev1.ObjectReference{Namespace: "lost", Name: "data"}
	w.make(again)
	until(w, again, "", again.Name, func(v *corev1.PersistentVolume) bool {
		return v.Status.Phase == corev1.VolumeAvailable
	})
	next := problemOf(t, "lost", diagnose.ReasonClaimLost, "kubectl patch persistentvolume lost-volume").Next
	_, command, _ := strings.Cut(next, ", kubectl ")
	command, _, _ = strings.Cut(command, ". Else ")
	shell(t, suite.Plane(t).Kubeconfig, "kubectl "+command).Must(t)
	until(w, claim, "lost", "data", func(c *corev1.PersistentVolumeClaim) bool {
		return c.Status.Phase == corev1.ClaimBound
	})

	// With the UID it needs nothing else.
	w.deletePV("lost-volume")
	until(w, claim, "lost", "data", func(c *corev1.PersistentVolumeClaim) bool {
		return c.Status.Phase == corev1.ClaimLost
	})
	again = volume.DeepCopy()
	again.ObjectMeta = metav1.ObjectMeta{Name: volume.Name, Labels: volume.Labels}
	again.Spec.ClaimRef = &corev1.ObjectReference{Namespace: "lost", Name: "data", UID: claim.UID}
	w.make(again)
	until(w, claim, "lost", "data", func(c *corev1.PersistentVolumeClaim) bool {
		return c.Status.Phase == corev1.ClaimBound
	})
}

// TestSelectedNodeThatIsGone: the real scheduler holds the pod for a node that does not exist, and
// chooses another one after the command of status.
func TestSelectedNodeThatIsGone(t *testing.T) {
	w := newWorld(t)
	w.namespace("node-gone", nil)
	w.node("still-here", "east")
	t.Cleanup(func() {
		assert.NoError(t, w.Delete(context.Background(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "still-here"}}))
	})
	w.class("waits", "example.com/disk", storagev1.VolumeBindingWaitForFirstConsumer)
	claim := w.claim("node-gone", "data", "disk", "waits", "", func(c *corev1.PersistentVolumeClaim) {
		metav1.SetMetaDataAnnotation(&c.ObjectMeta, diagnose.AnnotationSelectedNode, "scaled-down")
	})
	pod := w.pod("node-gone", "one", &mounts{"disk", "data"})
	w.event("node-gone", "FailedScheduling", "didn't find available persistent volumes to bind")

	p := problemOf(t, "node-gone", diagnose.ReasonSelectedNodeGone, "kubectl annotate")
	assert.Equal(t, "claim data is Pending because its volume is to be created for the node scaled-down, which the "+
		"cluster does not have any more, and the scheduler puts its pods on no other", p.Message)
	_, command, found := strings.Cut(p.Next, "kubectl ")
	require.True(t, found, p.Next)
	shell(t, suite.Plane(t).Kubeconfig, "kubectl "+command).Must(t)
	until(w, claim, "node-gone", "data", func(c *corev1.PersistentVolumeClaim) bool {
		return c.Annotations[diagnose.AnnotationSelectedNode] == "still-here"
	})
	require.NoError(t, w.Delete(t.Context(), pod))
}

// TestDataSourceWithoutSnapshots: the cluster has no CRDs of external-snapshotter.
func TestDataSourceWithoutSnapshots(t *testing.T) {
	w := newWorld(t)
	w.namespace("no-snapshots", nil)
	w.class("copies", "example.com/disk", storagev1.VolumeBindingImmediate)
	w.claim("no-snapshots", "data", "disk", "copies", "", func(c *corev1.PersistentVolumeClaim) {
		c.Spec.DataSourceRef = &corev1.TypedObjectReference{
			APIGroup: new("snapshot.storage.k8s.io"), Kind: "VolumeSnapshot", Name: "nightly",
		}
	})
	w.pod("no-snapshots", "one", &mounts{"disk", "data"})
	p := problemOf(t, "no-snapshots", diagnose.ReasonSourceMissing, "external-snapshotter")
	assert.Equal(t, "claim data is Pending because its dataSource is the VolumeSnapshot nightly, and the cluster has no "+
		"objects of that kind", p.Message)
}

// TestClaimOfHelmGetsItsVolumeBackByHand: no controller creates the claim, so status has the command that frees the
// volume, and the real binder gives it to the next claim of the name.
func TestClaimOfHelmGetsItsVolumeBackByHand(t *testing.T) {
	w := newWorld(t)
	w.namespace("rendered", nil)
	claim := w.bound("rendered", "data", "rendered-volume")
	require.NoError(t, w.Delete(t.Context(), claim))
	until(w, &corev1.PersistentVolume{}, "", "rendered-volume", func(v *corev1.PersistentVolume) bool {
		return v.Status.Phase == corev1.VolumeReleased
	})
	next := problemOf(t, "rendered", diagnose.ReasonVolumeReleased, "kubectl patch persistentvolume rendered-volume").Next
	_, command, _ := strings.Cut(next, "again: ")
	shell(t, suite.Plane(t).Kubeconfig, command).Must(t)
	again := w.claim("rendered", "data", "disk", "disk", "")
	until(w, again, "rendered", "data", func(c *corev1.PersistentVolumeClaim) bool {
		return c.Status.Phase == corev1.ClaimBound
	})
	assert.Equal(t, "rendered-volume", again.Spec.VolumeName)
}
