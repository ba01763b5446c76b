package controllers

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pipeline-storage/pipeline-storage/internal/claimtest"
	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

func TestNeverChangesUnmanagedClaims(t *testing.T) {
	f := newFixture(t, `{name: default, storageClass: {name: others-fast}}`)
	helm := func(c *corev1.PersistentVolumeClaim) {
		metav1.SetMetaDataAnnotation(&c.ObjectMeta, diagnose.AnnotationHelmRelease, "demo")
		metav1.SetMetaDataLabel(&c.ObjectMeta, "app.kubernetes.io/managed-by", "Helm")
		metav1.SetMetaDataLabel(&c.ObjectMeta, storage.LabelInstallation, f.name)
	}
	rows := map[string]struct {
		size   string
		change func(*corev1.PersistentVolumeClaim)
		want   string
	}{
		"one that fits": {"200Gi", func(*corev1.PersistentVolumeClaim) {}, ""},
		"one that is too small": {
			"1Gi", func(*corev1.PersistentVolumeClaim) {},
			"its size is 1Gi, less than 100Gi",
		},
		"Helm's, though it has our label": {"1Gi", helm, "its size is 1Gi, less than 100Gi"},
		"another installation's": {
			"1Gi", claimtest.Label(storage.LabelInstallation, "other"),
			"its size is 1Gi, less than 100Gi",
		},
		"another installation's, which fits": {"100Gi", claimtest.Label(storage.LabelInstallation, "other"), ""},
		"Helm's, which fits":                 {"100Gi", helm, ""},
		"one whose modes are others": {
			"100Gi", claimtest.Modes(corev1.ReadWriteMany),
			"its access modes are ReadWriteMany, which lacks ReadWriteOnce",
		},
		"one with a block device":              {"100Gi", claimtest.Block, "its volumeMode is Block"},
		"one that was made with a volume name": {"100Gi", claimtest.Volume("unmanaged"), ""},
	}
	type made struct{ namespace, version, want string }
	all := map[string]made{}
	for name, row := range rows {
		namespace := f.namespace()
		claim := f.claim(namespace, "pvc-data-pipeline", "others-fast", row.size, row.change)
		f.bind(claim, "others."+namespace)
		claim = get(f, namespace, claim.Name, claim)
		all[name] = made{namespace, claim.ResourceVersion, row.want}
		f.pod(namespace, "one", "default")
	}
	f.run()
	f.barrier()

	for name, m := range all {
		t.Run(name, func(t *testing.T) {
			f.t = t
			if m.want != "" {
				assert.Contains(t, f.event(m.namespace, "pvc-data-pipeline", diagnose.ReasonClaimDiffers), m.want)
				assert.Contains(t, f.event(m.namespace, "one", diagnose.ReasonClaimDiffers), "It is left as it is")
			} else {
				assert.Empty(t, f.notes(m.namespace, "one", ""))
				assert.Empty(t, f.notes(m.namespace, "pvc-data-pipeline", ""))
			}
			assert.Equal(t, m.version, get(f, m.namespace, "pvc-data-pipeline",
				&corev1.PersistentVolumeClaim{}).ResourceVersion, "byte for byte the same")
			assert.Empty(t, get(f, "", "others."+m.namespace, &corev1.PersistentVolume{}).Labels[storage.LabelNamespaceUID])
		})
	}
}

// TestAcceptsUnmanagedClaimWhereTheVolumeServesAnotherNamespace: a profile's volume serves one
// namespace, and an unmanaged claim in another one has nothing to do with it.
func TestAcceptsUnmanagedClaimWhereTheVolumeServesAnotherNamespace(t *testing.T) {
	f := newFixture(t, `{name: unmanaged, claim: {name: unmanaged, create: false}, `+
		`volume: {handle: v, namespace: another, create: false}}`)
	good, none := f.namespace(), f.namespace()
	f.bind(f.claim(good, "unmanaged", "any", "1Gi"), "another."+good)
	f.pod(good, "one", "unmanaged")
	f.pod(none, "one", "unmanaged")
	f.run()
	assert.Contains(t, f.event(none, "one", diagnose.ReasonClaimMissing), "create it")
	f.barrier()
	assert.Empty(t, f.notes(good, "one", ""))
	assert.Empty(t, f.notes(none, "one", diagnose.ReasonProfileRefused))
}

// TestRefusesClassOrVolumeThatDiffers: a class that deletes data that was to be retained, and a volume
// with other data.
func TestRefusesClassOrVolumeThatDiffers(t *testing.T) {
	f := newFixture(t)
	namespace := f.namespace()
	static := func(handle string) string {
		return `{name: static, storageClass: {name: static-fast, backend: host-path}, volume: {name: static.` + namespace +
			`, handle: ` + handle + `, namespace: ` + namespace + `}}`
	}
	f.configure(`{name: policy, storageClass: {name: deletes}}`,
		`{name: tuned, storageClass: {name: tuned}}`, static("/wanted"))
	class := func(name string, policy corev1.PersistentVolumeReclaimPolicy) *storagev1.StorageClass {
		c := &storagev1.StorageClass{
			ObjectMeta: metav1.ObjectMeta{Name: name}, Provisioner: "ebs.csi.aws.com",
			ReclaimPolicy: &policy,
		}
		require.NoError(t, f.Create(t.Context(), c))
		t.Cleanup(func() { assert.NoError(t, client.IgnoreNotFound(f.Delete(context.Background(), c))) })
		return c
	}
	deletes := class("deletes", corev1.PersistentVolumeReclaimDelete)
	class("tuned", corev1.PersistentVolumeReclaimRetain)
	objects, err := storage.Objects(f.current.Load(), storage.Release{},
		storage.ProfileRef{Profile: "static", Namespace: namespace})
	require.NoError(t, err)
	volume := objects.Volumes[0].DeepCopy()
	volume.Spec.ClaimRef, volume.Spec.HostPath.Path = nil, "/other"
	require.NoError(t, f.Create(t.Context(), volume))

	f.pod(namespace, "one", "policy,tuned,static")
	r := f.run()
	assert.Contains(t, f.event(namespace, "one", diagnose.ReasonVolumeDiffers),
		`its source is the hostPath "/other", not the hostPath "/wanted". Nothing is created`)
	f.missing(namespace, "pvc-data-pipeline-static", &corev1.PersistentVolumeClaim{})
	f.missing("", "static-fast", &storagev1.StorageClass{})

	// A class that differs in its parameters only is used, and reported.
	eventually(f, namespace, "pvc-data-pipeline-tuned", &corev1.PersistentVolumeClaim{}, exists)
	var differ []string
	require.Eventually(t, func() bool {
		differ = f.notes(namespace, "one", diagnose.ReasonClassDiffers)
		return len(differ) == 2
	}, timeout, poll)
	assert.Contains(t, strings.Join(differ, "\n"),
		"StorageClass deletes exists with the reclaimPolicy Delete, but the profile has Retain")
	assert.Contains(t, strings.Join(differ, "\n"),
		"StorageClass tuned exists and differs from the profile tuned: it lacks the parameter")
	f.missing(namespace, "pvc-data-pipeline-policy", &corev1.PersistentVolumeClaim{})

	// When people have put it right, it goes on by itself.
	require.NoError(t, f.Delete(t.Context(), deletes))
	eventually(f, namespace, "pvc-data-pipeline-policy", &corev1.PersistentVolumeClaim{}, exists)
	require.NoError(t, f.Delete(t.Context(), volume))
	f.unfinalize("", volume.Name, &corev1.PersistentVolume{})
	claim := eventually(f, namespace, "pvc-data-pipeline-static", &corev1.PersistentVolumeClaim{}, exists)

	// A handle that is changed later changes no volume.
	made := eventually(f, "", volume.Name, &corev1.PersistentVolume{}, exists)
	made.Spec.ClaimRef.UID = claim.UID
	require.NoError(t, f.Update(t.Context(), made))
	f.bind(claim, made.Name)
	eventually(f, "", made.Name, &corev1.PersistentVolume{}, func(v *corev1.PersistentVolume) bool {
		return v.Labels[storage.LabelNamespaceUID] != "" // the controller has seen the claim bound
	})
	f.set(r, static("/later"))
	assert.Equal(t, "claim pvc-data-pipeline-static is bound to PersistentVolume "+volume.Name+", which no longer "+
		"matches the profile static: "+
		`its source is the hostPath "/wanted", not the hostPath "/later". Pods go on with the volume as it is: `+
		"restore the profile, or give it another claim.name and volume.name",
		f.event(namespace, claim.Name, diagnose.ReasonVolumeDiffers))
}

// TestReportsWritableVolumeOfReadOnlyProfile: the volume was created before read-only profiles made
// their volumes read-only.
func TestReportsWritableVolumeOfReadOnlyProfile(t *testing.T) {
	f := newFixture(t)
	namespace := f.namespace()
	config := claimtest.Config(t, `{name: models, `+
		`storageClass: {name: models-nfs, backend: nfs, parameters: {server: s, share: /m}}, `+
		`claim: {accessModes: [ReadOnlyMany]}, volume: {handle: m, shared: true, mountOptions: [noatime]}}`)
	config.Profiles[0].Mount.ReadOnly = true
	f.current.Store(config)
	objects, err := storage.Objects(f.current.Load(), storage.Release{},
		storage.ProfileRef{Profile: "models", Namespace: namespace})
	require.NoError(t, err)
	volume := objects.Volumes[0].DeepCopy()
	assert.Equal(t, []string{"noatime", "ro"}, volume.Spec.MountOptions)
	volume.Spec.MountOptions = []string{"noatime"}
	require.NoError(t, f.Create(t.Context(), volume))

	f.pod(namespace, "one", "models")
	f.run()
	note := f.event(namespace, "one", diagnose.ReasonVolumeWritable)
	assert.Contains(t, note, "PersistentVolume "+volume.Name+" is writable for a pod that names the claim itself, "+
		"though the profile models is read-only")
	eventually(f, namespace, "pvc-data-pipeline-models", &corev1.PersistentVolumeClaim{},
		exists) // its data is the right one
	assert.Empty(t, f.notes(namespace, "one", diagnose.ReasonVolumeDiffers))

	// The API server accepts the patch of the note.
	_, patch, found := strings.Cut(note, "--patch='")
	require.True(t, found)
	patch, _, _ = strings.Cut(patch, "'")
	require.NoError(t, f.Patch(t.Context(), volume, client.RawPatch(types.MergePatchType, []byte(patch))))
	assert.Equal(t, objects.Volumes[0].Spec.MountOptions, volume.Spec.MountOptions)
}
