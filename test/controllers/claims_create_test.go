package controllers

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
	"github.com/pipeline-storage/pipeline-storage/internal/kube"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

func TestCreatesStorageObjectsOfEachProfile(t *testing.T) {
	f := newSerialFixture(t)
	namespace := f.namespace()
	f.configure(
		`{name: default, storageClass: {name: objects-fast}}`,
		`{name: disk, volume: {handle: vol-1, zone: eu-1a, namespace: `+namespace+`}, storageClass: {name: objects-disk}}`)
	before := metric(t, "pipeline_storage_claims_created_total", kube.KindClaim)
	f.run()

	f.pod(namespace, "one", "default,disk")
	wanted, err := storage.Objects(f.current.Load(), storage.Release{},
		storage.ProfileRef{Profile: "default", Namespace: namespace},
		storage.ProfileRef{Profile: "disk", Namespace: namespace})
	require.NoError(t, err)
	require.Len(t, wanted.All(), 5)

	for _, want := range wanted.StorageClasses {
		got := eventually(f, "", want.Name, &storagev1.StorageClass{}, exists)
		assertCreated(f, &got.ObjectMeta, &want.ObjectMeta)
		assert.Equal(t, want.Parameters, got.Parameters)
	}
	for _, want := range wanted.Claims {
		got := eventually(f, namespace, want.Name, &corev1.PersistentVolumeClaim{}, exists)
		assertCreated(f, &got.ObjectMeta, &want.ObjectMeta)
		assert.Equal(t, want.Spec.VolumeName, got.Spec.VolumeName)
		assert.Contains(t, f.event(namespace, want.Name, diagnose.ReasonCreated), "which the pod one uses")
	}
	volume := get(f, "", "pv-data-pipeline-disk."+namespace, &corev1.PersistentVolume{})
	assertCreated(f, &volume.ObjectMeta, &wanted.Volumes[0].ObjectMeta)
	assert.Equal(t, namespace, volume.Spec.ClaimRef.Namespace)
	assert.Equal(t, "vol-1", volume.Spec.CSI.VolumeHandle)
	assert.InDelta(t, before+2, metric(t, "pipeline_storage_claims_created_total", kube.KindClaim), 0)

	// A second pod, and a second namespace: the class is there, the static volume is not for it.
	other := f.namespace()
	f.pod(namespace, "two", "default")
	f.pod(other, "three", "default,disk")
	eventually(f, other, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{}, exists)
	assert.Contains(t, f.event(other, "three", diagnose.ReasonProfileRefused), "its volume serves "+`"`+namespace+`" only`)
	f.missing(other, "pvc-data-pipeline-disk", &corev1.PersistentVolumeClaim{})
}

// TestCreatesThreeStoragesOfOnePod makes the claims of the example's configuration, which the
// webhook injects into one pod.
func TestCreatesThreeStoragesOfOnePod(t *testing.T) {
	text, err := os.ReadFile("../../examples/three-storages.yaml")
	require.NoError(t, err)
	config, _, err := storage.LoadForAdmission(text)
	require.NoError(t, err)
	f := newFixture(t)
	namespace := f.namespace()
	f.current.Store(config)
	f.run()

	f.pod(namespace, "one", "datasets,scratch,models")
	for name, mode := range map[string]corev1.PersistentVolumeAccessMode{
		"datasets": corev1.ReadOnlyMany, "scratch": corev1.ReadWriteMany, "models": corev1.ReadWriteMany,
	} {
		claim := eventually(f, namespace, "pvc-data-pipeline-"+name, &corev1.PersistentVolumeClaim{}, exists)
		assert.Equal(t, []corev1.PersistentVolumeAccessMode{mode}, claim.Spec.AccessModes)
		assert.Equal(t, "fast-"+name, *claim.Spec.StorageClassName)
	}
	volume := get(f, "", "pv-data-pipeline-datasets."+namespace, &corev1.PersistentVolume{})
	assert.Equal(t, "datasets#"+namespace, volume.Spec.CSI.VolumeHandle)
}

// TestSharedVolumeServesEveryNamespace: each namespace has a PersistentVolume of its own with the
// same data.
func TestSharedVolumeServesEveryNamespace(t *testing.T) {
	f := newFixture(t, `{name: files, claim: {accessModes: [ReadWriteMany]}, `+
		`storageClass: {name: files, backend: nfs, parameters: {server: s, share: /x}}, volume: {handle: h, shared: true}}`)
	f.run()
	for _, namespace := range []string{f.namespace(), f.namespace()} {
		f.pod(namespace, "one", "files")
		claim := eventually(f, namespace, "pvc-data-pipeline-files", &corev1.PersistentVolumeClaim{}, exists)
		volume := get(f, "", claim.Spec.VolumeName, &corev1.PersistentVolume{})
		assert.Equal(t, namespace, volume.Spec.ClaimRef.Namespace)
		assert.Equal(t, "/x", volume.Spec.CSI.VolumeAttributes["share"])
	}
}

// assertCreated checks that metadata is what the configuration gives, and the installation's label.
func assertCreated(f *fixture, got, want *metav1.ObjectMeta) {
	f.t.Helper()
	assert.Equal(f.t, f.name, got.Labels[storage.LabelInstallation])
	assert.Equal(f.t, want.Labels[storage.LabelProfile], got.Labels[storage.LabelProfile])
	assert.Len(f.t, got.Labels, 2)
	assert.Subset(f.t, got.Annotations, want.Annotations)
}

func TestRecreatesDeletedClaim(t *testing.T) {
	f := newFixture(t, `{name: default, storageClass: {name: again-fast}}`)
	namespace := f.namespace()
	f.pod(namespace, "one", "default")
	f.run()
	claim := eventually(f, namespace, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{}, exists)
	first := claim.UID
	require.NoError(t, f.Delete(t.Context(), claim))
	assert.Contains(t, f.event(namespace, "one", diagnose.ReasonClaimDeleting),
		"claim pvc-data-pipeline is being deleted: Kubernetes removes it when no pod uses it any more")
	f.unfinalize(namespace, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{})
	eventually(f, namespace, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{},
		func(c *corev1.PersistentVolumeClaim) bool {
			return c.UID != first && c.DeletionTimestamp == nil
		})
}

func TestRefusesClassesAndVolumesOfThirdParties(t *testing.T) {
	f := newFixture(t)
	namespace, other := f.namespace(), f.namespace()
	f.configure(
		`{name: class, storageClass: {name: taken-class}}`,
		`{name: volume, storageClass: {name: refuse-fast}, `+
			`volume: {name: taken-volume.`+namespace+`, handle: vol-1, namespace: `+namespace+`}}`)
	require.NoError(t, f.Create(t.Context(), &storagev1.StorageClass{
		ObjectMeta:  metav1.ObjectMeta{Name: "taken-class"},
		Provisioner: "example.com/other",
	}))
	f.bind(f.claim(other, "unmanaged", "refuse-fast", "100Gi"), "taken-volume."+namespace)
	class, volume := get(f, "", "taken-class", &storagev1.StorageClass{}),
		get(f, "", "taken-volume."+namespace, &corev1.PersistentVolume{})

	f.pod(namespace, "one", "class,volume")
	f.run()
	assert.Contains(t, f.event(namespace, "one", diagnose.ReasonClassDiffers),
		"exists with the provisioner example.com/other, but the profile's backend needs ebs.csi.aws.com")
	assert.Contains(t, f.event(namespace, "one", diagnose.ReasonVolumeTaken),
		"belongs to the claim "+other+"/unmanaged, not to "+namespace+"/pvc-data-pipeline-volume")
	f.missing(namespace, "pvc-data-pipeline-class", &corev1.PersistentVolumeClaim{})
	f.missing(namespace, "pvc-data-pipeline-volume", &corev1.PersistentVolumeClaim{})
	assert.Equal(t, class.ResourceVersion, get(f, "", "taken-class", class).ResourceVersion)
	assert.Equal(t, volume.ResourceVersion, get(f, "", volume.Name, volume).ResourceVersion)

	// When people have put it right, it goes on by itself.
	require.NoError(t, f.Delete(t.Context(), class))
	eventually(f, namespace, "pvc-data-pipeline-class", &corev1.PersistentVolumeClaim{}, exists)
}

// TestCreatesNothingForPendingUnmanagedClaims: a class or a volume of the wanted name could bind a
// claim that a third party made for something else.
func TestCreatesNothingForPendingUnmanagedClaims(t *testing.T) {
	f := newFixture(t)
	small, fits := f.namespace(), f.namespace()
	f.configure(
		`{name: disk, claim: {name: unmanaged}, storageClass: {name: hijack-disk}}`,
		`{name: static, claim: {name: static}, storageClass: {name: hijack-static, backend: host-path}, `+
			`volume: {name: hijack.`+small+`, handle: /x, namespace: `+small+`}}`)
	f.claim(small, "unmanaged", "hijack-disk", "1Gi")
	f.claim(small, "static", "hijack-static", "100Gi")
	f.pod(small, "one", "disk")
	f.pod(small, "two", "static")
	f.run()
	assert.Contains(t, f.event(small, "one", diagnose.ReasonClaimDiffers),
		"its size is 1Gi, less than 100Gi. It is left as it is")
	assert.Contains(t, f.event(small, "two", diagnose.ReasonClaimDiffers), `its volume is "", not "hijack.`+small+`"`)
	f.barrier()
	f.missing("", "hijack-disk", &storagev1.StorageClass{})
	f.missing("", "hijack-static", &storagev1.StorageClass{})
	f.missing("", "hijack."+small, &corev1.PersistentVolume{})

	// One that fits gets its class.
	f.claim(fits, "unmanaged", "hijack-disk", "100Gi")
	f.pod(fits, "one", "disk")
	eventually(f, "", "hijack-disk", &storagev1.StorageClass{}, exists)
}
