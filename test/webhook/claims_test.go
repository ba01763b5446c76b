package webhook

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

// No other test creates or needs volumes of the class scratch without a claim's name in them.
func TestClaimWaitsForConsumer(t *testing.T) {
	requireWebhook(t)
	t.Parallel()

	const claim, node = "pvc-data-pipeline-scratch", "node-2"
	namespace := newNamespace(t, "scratch", nil)
	create(t, shared.Client, namespace, pipeline("train", using("scratch")))
	note := eventOf(t, namespace, "Pod", "train", "PodNotScheduled")
	assert.Contains(t, note, "claim "+claim+" is Pending because its StorageClass scratch waits for the first consumer, "+
		"and the pod train is not scheduled")
	waiting, err := shared.Client.CoreV1().PersistentVolumeClaims(namespace).Get(t.Context(), claim, metav1.GetOptions{})
	require.NoError(t, err)
	assert.Equal(t, corev1.ClaimPending, waiting.Status.Phase)
	assert.Equal(t, shared.owner(), waiting.Labels[storage.LabelInstallation])

	volume := newVolume(namespace+"-local", "scratch", "1Gi", corev1.ReadWriteOnce)
	volume.Spec.PersistentVolumeSource = corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: "/mnt/disk"}}
	volume.Spec.NodeAffinity = &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{
		NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{{
			Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{node},
		}}}},
	}}
	addVolume(t, volume)
	pod := scheduledPods(t, namespace, 1)[0]
	assert.Equal(t, node, pod.Spec.NodeName)
	assert.Equal(t, volume.Name, boundClaim(t, namespace, claim).Spec.VolumeName)
	assertNamespaceUID(t, volume.Name, namespace)
}

func TestReportsMissingUnmanagedClaim(t *testing.T) {
	requireWebhook(t)
	t.Parallel()

	const claim = "team-data"
	namespace := newNamespace(t, "existing", nil)
	client, received := recordWarnings(t)
	create(t, client, namespace, pipeline("train", using("existing")))
	missing := "claim team-data does not exist in namespace " + namespace
	assert.Equal(t, []string{missing + ": the pod waits until someone creates it"}, received.all())
	note := eventOf(t, namespace, "Pod", "train", "ClaimMissing")
	assert.Equal(t, missing+": create it or set claim.create: true in the profile existing", note)
	pod, err := shared.Client.CoreV1().Pods(namespace).Get(t.Context(), "train", metav1.GetOptions{})
	require.NoError(t, err)
	assert.Empty(t, pod.Spec.NodeName)
	assertNoClaims(t, namespace)

	volume := newVolume(namespace+"-team", "", "1Gi", corev1.ReadWriteMany)
	volume.Spec.ClaimRef = &corev1.ObjectReference{Namespace: namespace, Name: claim}
	addVolume(t, volume)
	addClaim(t, namespace, newClaim(claim, volume.Name, "", "1Gi", corev1.ReadWriteMany))
	scheduledPods(t, namespace, 1)
	assertUnchanged(t, namespace, claim)
	create(t, client, namespace, pipeline("second", using("existing")))
	assert.Empty(t, received.all(), "the claim is there")
}

// TestReportsSharedReadWriteOnceClaim has the one namespace that the disk serves.
func TestReportsSharedReadWriteOnceClaim(t *testing.T) {
	requireWebhook(t)
	t.Parallel()

	const namespace, claim = "disk-team", "pvc-data-pipeline-disk"
	newDiskTeam(t, namespace, "pv-data-pipeline-disk."+namespace)
	client, received := recordWarnings(t)
	create(t, client, namespace, pipeline("first", using("disk"), on("node-1")))
	assert.Empty(t, received.all())
	boundClaim(t, namespace, claim)

	const warning = "claim " + claim + " is ReadWriteOnce and another pod uses it: they must run on one node"
	suite.Eventually(t, "a second pod should be warned of", func(ctx context.Context) error {
		second := pipeline("second", using("disk"))
		_, err := client.CoreV1().Pods(namespace).Create(ctx, second,
			metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if messages := received.all(); err == nil && strings.Join(messages, "\n") != warning {
			err = fmt.Errorf("the warnings are %q", messages)
		}
		return err
	})
	_, err := client.CoreV1().Pods(namespace).Create(t.Context(), pipeline("crowded", using("disk"), crowded),
		metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	require.NoError(t, err)
	assert.Equal(t, []string{
		warning,
		`containers "main", "c1", "c2" and 57 more: mount path /disk nests with /disk/some/where of volume "scratch"`,
	}, received.all(), "the warning of the claim is the first of few")
	create(t, client, namespace, pipeline("second", using("disk"), on("node-2")))
	assert.Contains(t, eventOf(t, namespace, "PersistentVolumeClaim", claim, "ClaimSharedByNodes"),
		"claim pvc-data-pipeline-disk is ReadWriteOnce on aws-ebs, but pods on more than one node use it")
}

// crowded gives a pod 60 containers, with a mount below the path of the profile disk in each.
func crowded(p *corev1.Pod) {
	p.Spec.Volumes = []corev1.Volume{{
		Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}},
	}}
	for i := 1; i < 60; i++ {
		name := fmt.Sprintf("c%d", i)
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: name, Image: "example/pipeline"})
	}
	for i := range p.Spec.Containers {
		p.Spec.Containers[i].VolumeMounts = []corev1.VolumeMount{{Name: "scratch", MountPath: "/disk/some/where"}}
	}
}

// newDiskTeam creates a namespace of that name when that of an earlier run no longer exists.
func newDiskTeam(t *testing.T, namespace, volume string) {
	t.Helper()

	core := shared.Client.CoreV1()
	suite.Eventually(t, "an earlier namespace "+namespace+" and its volume should not exist",
		func(ctx context.Context) error {
			if _, err := core.PersistentVolumes().Get(ctx, volume, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
				return errors.Join(errors.New("the volume is there"), err)
			}
			_, err := core.Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}},
				metav1.CreateOptions{})
			return err
		})
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		assert.NoError(t, core.Namespaces().Delete(ctx, namespace, metav1.DeleteOptions{}))
		assert.NoError(t, core.PersistentVolumes().Delete(ctx, volume, metav1.DeleteOptions{}))
	})
	suite.Eventually(t, "the namespace should get its account", func(ctx context.Context) error {
		_, err := core.ServiceAccounts(namespace).Get(ctx, "default", metav1.GetOptions{})
		return err
	})
}

func TestUnmanagedClaimIsUsedUnchanged(t *testing.T) {
	requireWebhook(t)
	t.Parallel()

	fits := func(namespace string) *corev1.PersistentVolumeClaim {
		return newClaim(claimName, "pv-data-pipeline."+namespace, "fast", "100Gi", corev1.ReadWriteMany)
	}
	cases := map[string]struct {
		claim func(namespace string) *corev1.PersistentVolumeClaim
		// note is the Event about what does not fit, if any.
		note string
	}{
		"one that fits is used": {claim: fits},
		"one of a Helm release stays Helm's, whatever labels it has": {
			claim: func(namespace string) *corev1.PersistentVolumeClaim {
				claim := newClaim(claimName, namespace+"-other", "", "1Gi", corev1.ReadWriteOnce)
				claim.Labels = map[string]string{
					"app.kubernetes.io/managed-by": "Helm", storage.LabelInstallation: shared.owner(), storage.LabelProfile: "default",
				}
				claim.Annotations = map[string]string{
					"meta.helm.sh/release-name":      "train",
					"meta.helm.sh/release-namespace": namespace,
				}
				return claim
			},
			note: "claim pvc-data-pipeline ",
		},
		"one that does not fit is reported, and used all the same": {
			claim: func(namespace string) *corev1.PersistentVolumeClaim {
				return newClaim(claimName, namespace+"-other", "", "1Gi", corev1.ReadWriteOnce)
			},
			note: "claim pvc-data-pipeline exists, was not created by this installation and does not fit the profile default: " +
				"its access modes are ReadWriteOnce, which lacks ReadWriteMany; its size is 1Gi, less than 100Gi; ",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			namespace := newNamespace(t, "unmanaged", nil)
			before := tc.claim(namespace)
			if tc.note != "" {
				volume := newVolume(before.Spec.VolumeName, "", "1Gi", corev1.ReadWriteOnce)
				volume.Spec.ClaimRef = &corev1.ObjectReference{Namespace: namespace, Name: before.Name}
				addVolume(t, volume)
			}
			addClaim(t, namespace, before)
			create(t, shared.Client, namespace, pipeline("train"))
			if tc.note != "" {
				assert.Contains(t, eventOf(t, namespace, "Pod", "train", "ClaimDiffers"), tc.note)
				assert.Contains(t, eventOf(t, namespace, "PersistentVolumeClaim", claimName, "ClaimDiffers"), tc.note)
			}
			scheduledPods(t, namespace, 1)
			awaitReconciled(t)
			after := assertUnchanged(t, namespace, claimName)
			assert.Equal(t, before.Labels, after.Labels)
			assert.Equal(t, before.Spec.Resources, after.Spec.Resources)
		})
	}
}

// assertUnchanged checks that the installation has written neither the claim nor, on its volume,
// the namespace's UID.
func assertUnchanged(t *testing.T, namespace, claim string) *corev1.PersistentVolumeClaim {
	t.Helper()

	bound := boundClaim(t, namespace, claim)
	for _, fields := range bound.ManagedFields {
		assert.NotContains(t, fields.Manager, "pipeline-storage", "who wrote the claim")
	}
	volume, err := shared.Client.CoreV1().PersistentVolumes().Get(t.Context(), bound.Spec.VolumeName, metav1.GetOptions{})
	require.NoError(t, err)
	assert.NotContains(t, volume.Labels, storage.LabelNamespaceUID)
	return bound
}

func newVolume(name, class, size string, mode corev1.PersistentVolumeAccessMode) *corev1.PersistentVolume {
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:         corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)},
			AccessModes:      []corev1.PersistentVolumeAccessMode{mode},
			StorageClassName: class, PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			PersistentVolumeSource: corev1.PersistentVolumeSource{NFS: &corev1.NFSVolumeSource{
				Server: "nfs.example",
				Path:   "/" + name,
			}},
		},
	}
}

func addVolume(t *testing.T, volume *corev1.PersistentVolume) {
	t.Helper()

	_, err := shared.Client.CoreV1().PersistentVolumes().Create(t.Context(), volume, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() {
		err := shared.Client.CoreV1().PersistentVolumes().Delete(context.WithoutCancel(t.Context()), volume.Name,
			metav1.DeleteOptions{})
		assert.NoError(t, err)
	})
}

func newClaim(name, volume, class, size string, mode corev1.PersistentVolumeAccessMode) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes:      []corev1.PersistentVolumeAccessMode{mode},
			StorageClassName: &class, VolumeName: volume,
			Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)},
			},
		},
	}
}

func addClaim(t *testing.T, namespace string, claim *corev1.PersistentVolumeClaim) {
	t.Helper()

	_, err := shared.Client.CoreV1().PersistentVolumeClaims(namespace).Create(t.Context(), claim, metav1.CreateOptions{})
	require.NoError(t, err)
}

// boundClaim returns the claim when the control plane has bound it.
func boundClaim(t *testing.T, namespace, name string) *corev1.PersistentVolumeClaim {
	t.Helper()

	var claim *corev1.PersistentVolumeClaim
	suite.Eventually(t, "the claim "+name+" should be bound", func(ctx context.Context) (err error) {
		claim, err = shared.Client.CoreV1().PersistentVolumeClaims(namespace).Get(ctx, name, metav1.GetOptions{})
		if err == nil && claim.Status.Phase != corev1.ClaimBound {
			err = fmt.Errorf("it is %s", claim.Status.Phase)
		}
		return err
	})
	return claim
}

func claimsIn(t *testing.T, namespace string) map[string]corev1.PersistentVolumeClaim {
	t.Helper()

	list, err := shared.Client.CoreV1().PersistentVolumeClaims(namespace).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	claims := map[string]corev1.PersistentVolumeClaim{}
	for _, claim := range list.Items {
		claims[claim.Name] = claim
	}
	return claims
}

// assertNoClaims checks that nothing was created for the namespace. Call [awaitReconciled] before.
func assertNoClaims(t *testing.T, namespace string) {
	t.Helper()

	assert.Empty(t, claimsIn(t, namespace))
	_, err := shared.Client.CoreV1().PersistentVolumes().Get(t.Context(), "pv-data-pipeline."+namespace,
		metav1.GetOptions{})
	assert.True(t, apierrors.IsNotFound(err), "a volume: %v", err)
}

// awaitReconciled returns when the claims controller has reconciled everything before this call: it
// has created the claim of a later pod.
func awaitReconciled(t *testing.T) {
	t.Helper()

	namespace := newNamespace(t, "later", nil)
	create(t, shared.Client, namespace, pipeline("later"))
	boundClaim(t, namespace, claimName)
}

// eventOf waits for an Event of the reason about an object and returns its note.
func eventOf(t *testing.T, namespace, kind, name, reason string) string {
	t.Helper()

	var note string
	suite.Eventually(t, fmt.Sprintf("an Event %s of %s %s should appear", reason, kind, name),
		func(ctx context.Context) error {
			events, err := shared.Client.EventsV1().Events(namespace).List(ctx, metav1.ListOptions{})
			if err != nil {
				return err
			}
			var others []string
			for _, e := range events.Items {
				if e.Regarding.Kind == kind && e.Regarding.Name == name && e.Reason == reason {
					note = e.Note
					return nil
				}
				others = append(others, fmt.Sprintf("%s %s %s: %s", e.Regarding.Kind, e.Regarding.Name, e.Reason, e.Note))
			}
			return fmt.Errorf("there are only these: %s", strings.Join(others, "\n"))
		})
	return note
}
