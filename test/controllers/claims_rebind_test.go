package controllers

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
	"github.com/pipeline-storage/pipeline-storage/internal/kube"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

func TestLabelsBoundVolume(t *testing.T) {
	f := newFixture(t, `{name: default, storageClass: {name: label-fast}}`,
		`{name: wrong, storageClass: {name: label-fast, create: false}}`)
	name := f.namespace()
	namespace := get(f, "", name, &corev1.Namespace{})
	f.pod(name, "one", "default,wrong")
	r := f.run()

	claim := eventually(f, name, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{}, exists)
	f.bind(claim, "label."+name)
	volume := eventually(f, "", "label."+name, &corev1.PersistentVolume{}, func(v *corev1.PersistentVolume) bool {
		return v.Labels[storage.LabelNamespaceUID] == string(namespace.UID)
	})

	f.set(r, `{name: default, storageClass: {name: label-fast}}`,
		`{name: wrong, storageClass: {name: label-fast, create: false}}`)
	f.barrier()
	assert.Equal(t, volume.ResourceVersion, get(f, "", volume.Name, &corev1.PersistentVolume{}).ResourceVersion,
		"written once")

	// A volume whose claimRef is another claim's, though this claim names it.
	wrong := eventually(f, name, "pvc-data-pipeline-wrong", &corev1.PersistentVolumeClaim{}, exists)
	stale := wrong.DeepCopy()
	stale.UID = "an-older-claim"
	f.bind(stale, "wrong."+name)
	f.barrier()
	f.barrier()
	assert.NotContains(t, get(f, "", "wrong."+name, &corev1.PersistentVolume{}).Labels, storage.LabelNamespaceUID)
}

func TestLabelsNoVolumeForAProfileThatCreatesNoClaim(t *testing.T) {
	f := newFixture(t, `{name: default, storageClass: {name: unlabelled-fast}}`)
	namespace := f.namespace()
	f.pod(namespace, "one", "default")
	r := f.run()
	claim := eventually(f, namespace, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{}, exists)

	f.set(r, `{name: default, claim: {create: false}}`)
	f.barrier()
	f.bind(claim, "unlabelled."+namespace)
	f.barrier()
	f.barrier()
	assert.NotContains(t, get(f, "", "unlabelled."+namespace, &corev1.PersistentVolume{}).Labels,
		storage.LabelNamespaceUID)
}

const gone types.UID = "a-claim-that-is-gone"

// released makes a volume as it is when its claim was deleted, labelled by the controller for the
// namespace of that UID.
func (f *fixture) released(name, namespace string, home types.UID,
	change ...func(*corev1.PersistentVolume),
) *corev1.PersistentVolume {
	f.t.Helper()

	volume := &corev1.PersistentVolume{Spec: corev1.PersistentVolumeSpec{
		Capacity:                      corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("100Gi")},
		AccessModes:                   []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		StorageClassName:              f.class,
		PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
		PersistentVolumeSource:        corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/data"}},
		ClaimRef: &corev1.ObjectReference{
			APIVersion: "v1", Kind: kube.KindClaim, Namespace: namespace,
			Name: "pvc-data-pipeline", UID: gone, ResourceVersion: "1",
		},
	}}
	volume.Name = name + "." + namespace
	volume.Labels = map[string]string{storage.LabelNamespace: namespace, storage.LabelNamespaceUID: string(home)}
	for _, c := range change {
		c(volume)
	}
	phase := volume.Status.Phase
	require.NoError(f.t, f.Create(f.t.Context(), volume))
	if volume.Status.Phase = phase; phase == "" {
		volume.Status.Phase = corev1.VolumeReleased
	}
	require.NoError(f.t, f.Status().Update(f.t.Context(), volume))
	return volume
}

// rebound waits until the volume is the claim's, and no other's of that name.
func (f *fixture) rebound(volume string, claim *corev1.PersistentVolumeClaim) *corev1.PersistentVolume {
	f.t.Helper()
	return eventually(f, "", volume, &corev1.PersistentVolume{},
		func(v *corev1.PersistentVolume) bool { return v.Spec.ClaimRef.UID == claim.UID })
}

func TestRebindsReleasedVolume(t *testing.T) {
	t.Parallel()

	const profile = `{name: default, storageClass: {name: CLASS}}`
	none := func(*corev1.PersistentVolume) {}

	cases := map[string]struct {
		profile string
		change  func(*corev1.PersistentVolume)
		size    string
	}{
		"as it was": {profile, none, "100Gi"},
		"the profile has a larger size now": {
			`{name: default, claim: {size: 1Ti}, storageClass: {name: CLASS}}`, none,
			"100Gi",
		},
		"the profile has a smaller size now": {
			`{name: default, claim: {size: 1Gi}, storageClass: {name: CLASS}}`, none,
			"1Gi",
		},
		"the profile has another class": {`{name: default, storageClass: {name: back-other}}`, none, "100Gi"},
		"an administrator has freed it": {profile, func(v *corev1.PersistentVolume) {
			v.Spec.ClaimRef.UID, v.Spec.ClaimRef.ResourceVersion = "", ""
			v.Status.Phase = corev1.VolumeAvailable
		}, "100Gi"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, c.profile)
			namespace := f.namespace()
			volume := f.released("old", namespace, get(f, "", namespace, &corev1.Namespace{}).UID, c.change)
			f.pod(namespace, "one", "default")
			f.run()

			claim := eventually(f, namespace, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{}, exists)
			assert.Equal(t, volume.Name, claim.Spec.VolumeName)
			assert.Equal(t, f.class, diagnose.ClassOf(claim))
			assert.Equal(t, c.size, claim.Spec.Resources.Requests.Storage().String())
			assert.Equal(t, f.name, claim.Labels[storage.LabelInstallation])

			if volume.Spec.ClaimRef.UID == "" {
				f.barrier()
				assert.Equal(t, volume.ResourceVersion, get(f, "", volume.Name, &corev1.PersistentVolume{}).ResourceVersion,
					"the binder does the rest")
				return
			}
			given := f.rebound(volume.Name, claim)
			assert.Empty(t, given.Spec.ClaimRef.ResourceVersion)
			assert.Equal(t, namespace+"/pvc-data-pipeline", given.Spec.ClaimRef.Namespace+"/"+given.Spec.ClaimRef.Name)
			assert.Equal(t, diagnose.Rebound(volume.Name, "").Note, f.event(namespace, claim.Name, diagnose.ReasonRebound))
		})
	}
}

func TestRebindsNoOtherVolume(t *testing.T) {
	t.Parallel()

	type volume = corev1.PersistentVolume
	cases := map[string]struct {
		change  func(*volume)
		earlier bool // and is reported
	}{
		"of an earlier namespace of this name": {
			func(v *volume) { v.Labels[storage.LabelNamespaceUID] = "deleted" }, true,
		},
		"of another namespace, with forged labels": {func(v *volume) { v.Spec.ClaimRef.Namespace = "another" }, false},
		"of another claim":                         {func(v *volume) { v.Spec.ClaimRef.Name = "another" }, false},
		"without a claimRef":                       {func(v *volume) { v.Spec.ClaimRef = nil }, false},
		"that is deleted with its claim": {
			func(v *volume) { v.Spec.PersistentVolumeReclaimPolicy = "Delete" }, false,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, `{name: default, storageClass: {name: CLASS}}`)
			namespace := f.namespace()
			volume := f.released("old", namespace, get(f, "", namespace, &corev1.Namespace{}).UID, c.change)
			f.pod(namespace, "one", "default")
			f.run()

			claim := eventually(f, namespace, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{}, exists)
			f.barrier()
			assert.Empty(t, claim.Spec.VolumeName)
			assert.Equal(t, volume.ResourceVersion, get(f, "", volume.Name, &corev1.PersistentVolume{}).ResourceVersion)
			if !c.earlier {
				assert.Empty(t, f.notes(namespace, claim.Name, diagnose.ReasonVolumeReleased))
				return
			}
			note := f.event(namespace, claim.Name, diagnose.ReasonVolumeReleased)
			assert.Contains(t, note, "begins with an empty volume: PersistentVolume "+volume.Name+" has the data")
			assert.Contains(t, note, diagnose.ConsentCommand(volume.Name, namespace))
		})
	}
}

func TestRefusesAmbiguousVolumes(t *testing.T) {
	f := newFixture(t, `{name: default, storageClass: {name: CLASS}}`)
	namespace := f.namespace()
	home := get(f, "", namespace, &corev1.Namespace{}).UID
	first, second := f.released("first", namespace, home), f.released("second", namespace, home)
	f.pod(namespace, "one", "default")
	f.run()

	note := f.event(namespace, "one", diagnose.ReasonVolumesAmbiguous)
	assert.Contains(t, note, " all have data of deleted claims of the name pvc-data-pipeline: nothing is created until "+
		"one is left")
	assert.Contains(t, note, first.Name)
	assert.Contains(t, note, second.Name)
	assert.Contains(t, note, "kubectl label persistentvolume ")
	f.missing(namespace, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{})

	delete(second.Labels, storage.LabelNamespaceUID)
	require.NoError(t, f.Update(t.Context(), second))
	claim := eventually(f, namespace, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{}, exists)
	assert.Equal(t, "first."+namespace, claim.Spec.VolumeName)
}

func TestRefusesReleasedVolumeThatDoesNotFit(t *testing.T) {
	f := newFixture(t, `{name: default, claim: {accessModes: [ReadWriteMany]}, `+
		`storageClass: {name: CLASS, backend: nfs, parameters: {server: a, share: /b}}}`)
	namespace := f.namespace()
	volume := f.released("old", namespace, get(f, "", namespace, &corev1.Namespace{}).UID)
	f.pod(namespace, "one", "default")
	f.run()

	assert.Equal(t, "PersistentVolume "+volume.Name+" has the data of the deleted claim pvc-data-pipeline, but the "+
		"profile default requires another: "+
		"its access modes are ReadWriteOnce, the claim needs ReadWriteMany. Nothing is created until that is resolved: "+
		"restore the profile, or give it another claim.name to begin with an empty volume",
		f.event(namespace, "one", diagnose.ReasonVolumeDiffers))
	f.missing(namespace, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{})
	assert.Equal(t, gone, get(f, "", volume.Name, &corev1.PersistentVolume{}).Spec.ClaimRef.UID)
}

// A static volume has its name from the profile, so its claim can be there and wait for it.
func TestRebindsStaticVolume(t *testing.T) {
	t.Parallel()

	const form = `{name: default, storageClass: {name: CLASS, backend: host-path}, volume: {handle: /data, namespace: `

	cases := map[string]struct {
		claimed, consent bool
	}{
		"to a claim that is missing":        {false, true},
		"to a claim that waits":             {true, true},
		"not to another namespace's claim":  {false, false},
		"not to one that waits for another": {true, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			namespace := f.namespace()
			f.configure(form + namespace + ", zone: node-1}}")
			home := types.UID("gone")
			if c.consent {
				home = get(f, "", namespace, &corev1.Namespace{}).UID
			}
			volume := f.released("pv-data-pipeline", namespace, home)
			f.pod(namespace, "one", "default")
			if c.claimed {
				f.claim(namespace, "pvc-data-pipeline", f.class, "100Gi", func(claim *corev1.PersistentVolumeClaim) {
					claim.Labels = map[string]string{storage.LabelInstallation: f.name, storage.LabelProfile: "default"}
					claim.Spec.VolumeName = volume.Name
				})
			}
			f.run()

			claim := eventually(f, namespace, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{}, exists)
			assert.Equal(t, volume.Name, claim.Spec.VolumeName)
			if c.consent {
				f.rebound(volume.Name, claim)
				return
			}
			assert.Equal(t, "claim pvc-data-pipeline is Pending because its PersistentVolume "+volume.Name+" is Released: it "+
				"still holds the data of "+
				"a claim of this name that was deleted. To give this data to the new claim: "+diagnose.ConsentCommand(volume.Name,
				namespace),
				f.event(namespace, claim.Name, diagnose.ReasonVolumeReleased))
			assert.Equal(t, gone, get(f, "", volume.Name, &corev1.PersistentVolume{}).Spec.ClaimRef.UID)
		})
	}
}

// A volume that is free for the claim's name would be bound to the new claim, whatever that claim
// requests.
func TestDoesNotBindDataOfEarlierNamespace(t *testing.T) {
	f := newFixture(t, `{name: default, storageClass: {name: CLASS}}`)
	namespace := f.namespace()
	volume := f.released("old", namespace, "gone", func(v *corev1.PersistentVolume) {
		v.Spec.ClaimRef.UID, v.Spec.ClaimRef.ResourceVersion, v.Status.Phase = "", "", corev1.VolumeAvailable
	})
	f.pod(namespace, "one", "default")
	f.run()

	note := f.event(namespace, "one", diagnose.ReasonVolumeReleased)
	assert.Contains(t, note, "PersistentVolume "+volume.Name+" is free for the claim pvc-data-pipeline, but has the "+
		"data of an earlier namespace")
	assert.Contains(t, note, diagnose.ConsentCommand(volume.Name, namespace))
	f.missing(namespace, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{})
}

func TestWaitsUntilVolumeIsReleased(t *testing.T) {
	f := newSerialFixture(t, `{name: default, storageClass: {name: CLASS}}`)
	namespace := f.namespace()
	volume := f.released("old", namespace, get(f, "", namespace, &corev1.Namespace{}).UID,
		func(v *corev1.PersistentVolume) { v.Status.Phase = corev1.VolumeBound })
	f.pod(namespace, "one", "default")
	errors := metric(t, "pipeline_storage_claims_errors_total", "")
	f.run()

	claim := eventually(f, namespace, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{}, exists)
	assert.Equal(t, volume.Name, claim.Spec.VolumeName)
	f.barrier()
	assert.Equal(t, gone, get(f, "", volume.Name, &corev1.PersistentVolume{}).Spec.ClaimRef.UID)

	volume.Status.Phase = corev1.VolumeReleased
	require.NoError(t, f.Status().Update(t.Context(), volume))
	f.rebound(volume.Name, claim)
	assert.InDelta(t, errors, metric(t, "pipeline_storage_claims_errors_total", ""), 0, "to wait is no error")
}

// A claim that was made for its old volume before a restart gets it after, though its profile names
// no volume.
func TestCompletesInterruptedRebind(t *testing.T) {
	f := newFixture(t, `{name: default, storageClass: {name: CLASS}}`)
	namespace := f.namespace()
	volume := f.released("old", namespace, get(f, "", namespace, &corev1.Namespace{}).UID)
	claim := f.claim(namespace, "pvc-data-pipeline", f.class, "100Gi", func(claim *corev1.PersistentVolumeClaim) {
		claim.Labels = map[string]string{storage.LabelInstallation: f.name, storage.LabelProfile: "default"}
		claim.Spec.VolumeName = volume.Name
	})
	f.pod(namespace, "one", "default")
	f.run()
	f.rebound(volume.Name, claim)
}
