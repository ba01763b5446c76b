package chart_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

// A stolen token must not take the data of a released volume of a third party: label it in one request,
// re-bind it in the next.
func TestGuardrailsStopTheTwoStepTakeover(t *testing.T) {
	t.Parallel()
	client, config := guarded(t, []storage.Profile{provisioned()})
	volume := volumeInPhase(t, corev1.VolumeReleased, nil, "default", "mine")
	patch := patcher(t, client, volume)

	err := patch(labelPatch("default", uidOf(t, "default")))
	assert.True(t, denied(err), "the labels of a released volume: %v", err)
	err = patch(rebindPatch)
	assert.True(t, denied(err), "the claim of a released volume: %v", err)

	// The same with a claim of a profile's name, and both changes in one request.
	namespace := serve(t, config)
	name := config.claim(namespace)
	patch = patcher(t, client, volumeInPhase(t, corev1.VolumeReleased, nil, namespace, name))
	uid := uidOf(t, namespace)
	err = patch(labelPatch(namespace, uid))
	assert.True(t, denied(err), "the labels of a released volume of a claim of a profile's name: %v", err)
	err = patch(strings.TrimSuffix(labelPatch(namespace, uid), "}") + `,"spec":{"claimRef":{"uid":"of-the-new-claim"}}}`)
	assert.True(t, denied(err), "labels and claim at once: %v", err)
}

// rebindPatch is what the controller sends to re-bind a volume.
const rebindPatch = `{"spec":{"claimRef":{"uid":"of-the-new-claim","resourceVersion":null}}}`

// labelPatch is what the controller sends to label a bound volume.
func labelPatch(namespace string, uid types.UID) string {
	return fmt.Sprintf(`{"metadata":{"labels":{%q:%q,%q:%q}}}`,
		storage.LabelNamespace, namespace, storage.LabelNamespaceUID, uid)
}

func uidOf(t *testing.T, namespace string) types.UID {
	t.Helper()
	live, err := suite.Kubernetes(t).CoreV1().Namespaces().Get(t.Context(), namespace, metav1.GetOptions{})
	require.NoError(t, err)
	return live.UID
}

// labelsOf are those of a volume that was bound in a namespace.
func labelsOf(namespace string, uid types.UID) map[string]string {
	return map[string]string{storage.LabelNamespace: namespace, storage.LabelNamespaceUID: string(uid)}
}

func claimRefTo(namespace, claim string) *corev1.ObjectReference {
	return &corev1.ObjectReference{
		APIVersion: "v1",
		Kind:       "PersistentVolumeClaim",
		Namespace:  namespace,
		Name:       claim,
		UID:        "of-a-claim-that-is-gone",
	}
}

// volumeInPhase makes a volume of a third party in a phase, and returns its name.
func volumeInPhase(
	t *testing.T,
	phase corev1.PersistentVolumePhase,
	labels map[string]string,
	namespace, claim string,
) string {
	t.Helper()
	volume := otherVolume()
	volume.Name, volume.GenerateName, volume.Labels = "", "guarded-", labels
	volume.Spec.ClaimRef = claimRefTo(namespace, claim)
	volume.Spec.PersistentVolumeSource = corev1.PersistentVolumeSource{
		CSI: &corev1.CSIPersistentVolumeSource{Driver: "ebs.csi.aws.com", VolumeHandle: "vol-1"},
	}
	return inPhase(t, volume, phase)
}

// inPhase makes a volume and does the binder's part.
func inPhase(t *testing.T, volume *corev1.PersistentVolume, phase corev1.PersistentVolumePhase) string {
	t.Helper()
	since := volume.Status.LastPhaseTransitionTime
	volume, err := suite.Kubernetes(t).CoreV1().PersistentVolumes().Create(t.Context(), volume, metav1.CreateOptions{})
	require.NoError(t, err)
	volume.Status.Phase, volume.Status.LastPhaseTransitionTime = phase, since
	_, err = suite.Kubernetes(t).CoreV1().PersistentVolumes().UpdateStatus(t.Context(), volume, metav1.UpdateOptions{})
	require.NoError(t, err)
	return volume.Name
}

func TestGuardrailsLabelBoundVolumesOnly(t *testing.T) {
	t.Parallel()
	client, config := guarded(t, []storage.Profile{provisioned()})
	namespace, other, unserved := serve(t, config), serve(t, config), newNamespace(t, nil)
	claim, uid := config.claim(namespace), uidOf(t, namespace)
	label := labelPatch(namespace, uid)
	cases := map[string]struct {
		phase            corev1.PersistentVolumePhase
		namespace, claim string
		patch            string
	}{
		"a released volume":              {corev1.VolumeReleased, namespace, claim, label},
		"an available volume":            {corev1.VolumeAvailable, namespace, claim, label},
		"a failed volume":                {corev1.VolumeFailed, namespace, claim, label},
		"a pending volume":               {corev1.VolumePending, namespace, claim, label},
		"a claim of no profile":          {corev1.VolumeBound, namespace, "mine", label},
		"another namespace's claim":      {corev1.VolumeBound, other, claim, label},
		"another namespace's UID":        {corev1.VolumeBound, namespace, claim, labelPatch(namespace, uidOf(t, other))},
		"an earlier namespace's UID":     {corev1.VolumeBound, namespace, claim, labelPatch(namespace, "1")},
		"no UID":                         {corev1.VolumeBound, namespace, claim, labelPatch(namespace, "")},
		"another namespace's name":       {corev1.VolumeBound, namespace, claim, labelPatch(other, uid)},
		"a namespace that is not served": {corev1.VolumeBound, unserved, claim, labelPatch(unserved, uidOf(t, unserved))},
		"an excluded namespace": {
			corev1.VolumeBound,
			"kube-system",
			claim,
			labelPatch("kube-system", uidOf(t, "kube-system")),
		},
		"the installation's namespace": {
			corev1.VolumeBound,
			config.namespace,
			claim,
			labelPatch(config.namespace, uidOf(t, config.namespace)),
		},
		"a label and another claim": {
			corev1.VolumeBound, namespace, claim, label[:len(label)-1] + `,"spec":{"claimRef":{"uid":"of-the-new-claim"}}}`,
		},
	}
	for name, c := range cases {
		patch := patcher(t, client, volumeInPhase(t, c.phase, nil, c.namespace, c.claim))
		err := patch(c.patch)
		assert.True(t, denied(err), "%s: %v", name, err)
	}

	patch := patcher(t, client, volumeInPhase(t, corev1.VolumeBound, nil, namespace, claim))
	require.NoError(t, patch(label))
	require.NoError(t, patch(label), "nothing changes")
	err := patch(
		`{"metadata":{"labels":{"` + storage.LabelNamespace + `":null,"` + storage.LabelNamespaceUID + `":null}}}`,
	)
	assert.True(t, denied(err), "no label: %v", err)
}

// While the binder stands still, a volume is Bound though its claim went with an earlier namespace of the name.
func TestGuardrailsLabelNoVolumeOfAnEarlierNamespace(t *testing.T) {
	t.Parallel()
	client, config := guarded(t, []storage.Profile{provisioned()})
	namespace := serve(t, config)
	since := func(ago time.Duration) error {
		volume := otherVolume()
		volume.Name, volume.GenerateName = "", "guarded-"
		volume.Spec.ClaimRef = claimRefTo(namespace, config.claim(namespace))
		volume.Status.LastPhaseTransitionTime = new(metav1.NewTime(time.Now().Add(-ago)))
		return patcher(t, client, inPhase(t, volume, corev1.VolumeBound))(labelPatch(namespace, uidOf(t, namespace)))
	}
	err := since(time.Hour)
	assert.True(t, denied(err), "%v", err)
	require.NoError(t, since(0))
}

func TestGuardrailsRebindInTheLiveNamespaceOnly(t *testing.T) {
	t.Parallel()
	client, config := guarded(t, []storage.Profile{provisioned()})
	namespace, other, unserved := serve(t, config), serve(t, config), newNamespace(t, nil)
	claim, uid := config.claim(namespace), uidOf(t, namespace)
	cases := map[string]struct {
		labels           map[string]string
		namespace, claim string
	}{
		"no labels":                      {nil, namespace, claim},
		"no UID":                         {map[string]string{storage.LabelNamespace: namespace}, namespace, claim},
		"an earlier namespace":           {labelsOf(namespace, "1"), namespace, claim},
		"another namespace's UID":        {labelsOf(namespace, uidOf(t, other)), namespace, claim},
		"another namespace's name":       {labelsOf(other, uid), namespace, claim},
		"a claim of no profile":          {labelsOf(namespace, uid), namespace, "mine"},
		"a namespace that is not served": {labelsOf(unserved, uidOf(t, unserved)), unserved, claim},
		"an excluded namespace":          {labelsOf("kube-system", uidOf(t, "kube-system")), "kube-system", claim},
	}
	for name, c := range cases {
		err := patcher(t, client, volumeInPhase(t, corev1.VolumeReleased, c.labels, c.namespace, c.claim))(rebindPatch)
		assert.True(t, denied(err), "%s: %v", name, err)
	}
	require.NoError(
		t,
		patcher(t, client, volumeInPhase(t, corev1.VolumeReleased, labelsOf(namespace, uid), namespace, claim))(rebindPatch),
	)
}

// A shared volume is bound in advance to a claim of any namespace that the installation and the profile serve.
func TestGuardrailsCreateSharedVolumesForServedNamespacesOnly(t *testing.T) {
	t.Parallel()
	profile := shared()
	profile.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"team": "ml"}}
	client, config := guarded(t, []storage.Profile{profile})
	create := func(namespace string) error {
		volume := objectsOf(t, config, profile.Name, namespace).Volumes[0]
		_, err := client.CoreV1().PersistentVolumes().Create(t.Context(), volume, dryRun)
		return err
	}
	require.NoError(t, create(newNamespace(t, map[string]string{servedBy: config.namespace, "team": "ml"})))
	for name, namespace := range map[string]string{
		"a namespace that the installation does not serve": newNamespace(t, map[string]string{"team": "ml"}),
		"a namespace that the profile does not serve":      serve(t, config),
		"an excluded namespace":                            "kube-system",
		"the installation's namespace":                     config.namespace,
	} {
		err := create(namespace)
		assert.True(t, denied(err), "%s: %v", name, err)
	}
}
