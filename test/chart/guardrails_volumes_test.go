package chart_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
)

// A stolen token must not take the data of a released volume of a third party: label it in one request, re-bind it in the next.
func TestGuardrailsStopTheTwoStepTakeover(t *testing.T) {
	t.Parallel()
	client, config := fenced(t, []inject.Profile{ofBackend(backend("aws-ebs"))})
	volume := volumeInPhase(t, corev1.VolumeReleased, nil, "default", "mine")
	patch := patcher(t, client, volume)

	err := patch(labelPatch("default", uidOf(t, "default")))
	assert.True(t, denied(err), "the labels of a released volume: %v", err)
	err = patch(rebindPatch)
	assert.True(t, denied(err), "the claim of a released volume: %v", err)

	// The same with a claim of a profile's name, and both changes in one request.
	namespace := serve(t, config)
	name := config.Profiles[0].Names(inject.Release{}, namespace).Claim
	patch = patcher(t, client, volumeInPhase(t, corev1.VolumeReleased, nil, namespace, name))
	uid := uidOf(t, namespace)
	err = patch(labelPatch(namespace, uid))
	assert.True(t, denied(err), "the labels of a released volume of a claim of a profile's name: %v", err)
	err = patch(`{"metadata":{"labels":{"` + inject.LabelNamespace + `":"` + namespace + `","` + inject.LabelNamespaceUID + `":"` + string(uid) +
		`"}},"spec":{"claimRef":{"uid":"of-the-new-claim"}}}`)
	assert.True(t, denied(err), "labels and claim at once: %v", err)
}

// rebindPatch is what the controller sends to re-bind a volume.
const rebindPatch = `{"spec":{"claimRef":{"uid":"of-the-new-claim","resourceVersion":null}}}`

// labelPatch is what the controller sends to label a bound volume.
func labelPatch(namespace string, uid types.UID) string {
	return `{"metadata":{"labels":{"` + inject.LabelNamespace + `":"` + namespace + `","` + inject.LabelNamespaceUID + `":"` + string(uid) + `"}}}`
}

func uidOf(t *testing.T, namespace string) types.UID {
	t.Helper()
	live, err := typed.CoreV1().Namespaces().Get(t.Context(), namespace, metav1.GetOptions{})
	require.NoError(t, err)
	return live.UID
}

// volumeInPhase makes a volume of a third party in a phase, and returns its name.
func volumeInPhase(t *testing.T, phase corev1.PersistentVolumePhase, labels map[string]string, namespace, claim string) string {
	t.Helper()
	volume := foreignVolume()
	volume.Name, volume.GenerateName, volume.Labels = "", "guarded-", labels
	volume.Spec.ClaimRef = &corev1.ObjectReference{
		APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: namespace, Name: claim, UID: "of-a-claim-that-is-gone",
	}
	volume.Spec.PersistentVolumeSource = corev1.PersistentVolumeSource{
		CSI: &corev1.CSIPersistentVolumeSource{Driver: "ebs.csi.aws.com", VolumeHandle: "vol-1"},
	}
	volume, err := typed.CoreV1().PersistentVolumes().Create(t.Context(), volume, metav1.CreateOptions{})
	require.NoError(t, err)
	volume.Status.Phase = phase
	_, err = typed.CoreV1().PersistentVolumes().UpdateStatus(t.Context(), volume, metav1.UpdateOptions{})
	require.NoError(t, err)
	return volume.Name
}
