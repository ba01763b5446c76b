package storage_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/internal/injecttest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

func TestLoadForAdmission(t *testing.T) {
	for name, tt := range map[string]struct{ config, exp string }{
		"a release in the claim": {
			"profiles:\n- name: default\n  claim: {name: 'c-{release}'}\n",
			`line 5: profiles[0].claim.name: Invalid value: "c-{release}": at admission no release is known`,
		},
		"a release in the class": {
			"profiles: [{name: default, storageClass: {name: '{release}'}}]\n",
			"profiles[0].storageClass.name",
		},
		"a release in the volume": {
			"profiles: [{name: default, volume: {handle: v, zone: z, namespace: n, name: '{release}'}}]\n",
			"profiles[0].volume.name",
		},
		"a volume of no namespace": {
			"profiles: [{name: default, volume: {handle: v, zone: z}}]\n",
			"profiles[0].volume.namespace: Required value: at admission a volume needs the namespace that it serves",
		},
		"a new volume for an unmanaged claim": {
			"profiles: [{name: default, claim: {name: x, create: false}, volume: {handle: v, zone: z, create: true}}]\n",
			"profiles[0].volume.namespace: Required value",
		},
		"a literal name of another's claim": {
			"profiles: [{name: default}, {name: b, mount: {path: /b}, claim: {name: pvc-data-pipeline}}]\n",
			`profiles[1].claim.name: Duplicate value: "pvc-data-pipeline"`,
		},
		"an attributes class to be made": {
			"profiles: [{name: default, attributesClass: {parameters: {iops: '6000'}}}]\n",
			"profiles[0].attributesClass.create: Invalid value: true: at admission no VolumeAttributesClass is created: " +
				"apply it once by kubectl (docs/backends.md shows one) and set create: false",
		},
		"a snapshot class to be made": {
			"profiles: [{name: default, snapshotClass: {create: true}}]\n",
			"profiles[0].snapshotClass.create: Invalid value: true: at admission no VolumeSnapshotClass is created",
		},
		"a release in the attributes class": {
			"profiles: [{name: default, attributesClass: {name: '{release}', create: false}}]\n",
			"profiles[0].attributesClass.name",
		},
		"a mistake for the renderer, too": {"profiles: [{name: Default}]\n", "profiles[0].name: Invalid value"},
		"text that is not YAML":           {"\t", "not a YAML document"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := storage.LoadForAdmission([]byte(injecttest.FileHead + tt.config))
			assert.ErrorContains(t, err, tt.exp)
		})
	}
}

// TestClaimsNameTheAttributesClassAtAdmission: the optional classes themselves are not created there.
func TestClaimsNameTheAttributesClassAtAdmission(t *testing.T) {
	config := injecttest.LoadForAdmission(t, "profiles: [{name: default, attributesClass: {name: gold, create: "+
		"false}, snapshotClass: {create: false}}]\n")
	objects, err := storage.Objects(config, storage.Release{}, storage.ProfileRef{Profile: "default", Namespace: "a"})
	require.NoError(t, err)
	assert.Len(t, objects.All(), 2, "a StorageClass and a claim")
	assert.Equal(t, new("gold"), objects.Claims[0].Spec.VolumeAttributesClassName)
}

func TestSharedVolume(t *testing.T) {
	const nfs = "storageClass: {backend: nfs, parameters: {server: s, share: /}}"
	config := injecttest.LoadForAdmission(t, "profiles: [{name: default, "+nfs+", claim: {accessModes: "+
		"[ReadWriteMany]}, volume: {handle: h, shared: true}}]\n")
	objects, err := storage.Objects(
		config,
		storage.Release{},
		storage.ProfileRef{Profile: "default", Namespace: "a"},
		storage.ProfileRef{Profile: "default", Namespace: "b"},
	)
	require.NoError(t, err)
	require.Len(t, objects.Volumes, 2)
	for i, namespace := range []string{"a", "b"} {
		volume, claim := objects.Volumes[i], objects.Claims[i]
		assert.Equal(t, "pv-data-pipeline."+namespace, volume.Name)
		assert.Equal(t, namespace, volume.Spec.ClaimRef.Namespace)
		assert.Equal(t, "h#"+namespace, volume.Spec.CSI.VolumeHandle, "a node distinguishes volumes by their handles")
		assert.Equal(t, volume.Name, claim.Spec.VolumeName)
	}

	for name, tt := range map[string]struct{ config, exp string }{
		"a disk": {
			"profiles: [{name: default, volume: {handle: h, shared: true}}]\n",
			"profiles[0].volume.shared: Invalid value: true: only one node can mount it",
		},
		"a name without a namespace": {
			"profiles: [{name: default, " + nfs + ", volume: {handle: h, shared: true, name: v}}]\n",
			"needs {namespace}",
		},
		"a namespace": {
			"profiles: [{name: default, " + nfs + ", volume: {handle: h, shared: true, namespace: n}}]\n",
			"a shared volume serves every namespace",
		},
	} {
		t.Run("refuses "+name, func(t *testing.T) {
			_, _, err := storage.Load([]byte(injecttest.FileHead + tt.config))
			assert.ErrorContains(t, err, tt.exp)
		})
	}
}
