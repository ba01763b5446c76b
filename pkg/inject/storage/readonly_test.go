package storage_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/pipeline-storage/pipeline-storage/internal/injecttest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// volumeOf makes the PersistentVolume of a static profile of a backend.
func volumeOf(t *testing.T, b storage.Backend, readOnly bool, options ...string) *corev1.PersistentVolume {
	t.Helper()
	c := &storage.Config{APIVersion: storage.APIVersion, Kind: storage.ConfigKind, Profiles: []storage.Profile{{
		Name: "models", StorageClass: storage.StorageClass{Backend: b.Name, Driver: b.Driver},
		Volume: &storage.Volume{
			Handle:       "/volume",
			Zone:         "z",
			Namespace:    "ml",
			MountOptions: options,
		}, Mount: storage.MountConfig{ReadOnly: readOnly},
	}}}
	c.SetDefaults()
	objects, err := storage.Objects(c, storage.Release{}, storage.ProfileRef{Profile: "models", Namespace: "ml"})
	require.NoError(t, err)
	return objects.Volumes[0]
}

// A pod that names the claim itself has the volume's options, and not the profile's mount.
func TestReadOnlyProfilesMakeReadOnlyVolumes(t *testing.T) {
	t.Parallel()
	for _, b := range storage.Backends {
		t.Run(b.Name, func(t *testing.T) {
			t.Parallel()
			writable := volumeOf(t, b, false)
			assert.Empty(t, writable.Spec.MountOptions)
			volume := volumeOf(t, b, true)
			if b.ReadOnlyOption == "" {
				assert.Equal(t, writable, volume)
				return
			}
			assert.Equal(t, []string{b.ReadOnlyOption}, volume.Spec.MountOptions)
			assert.Equal(t, []string{"noatime", b.ReadOnlyOption}, volumeOf(t, b, true, "noatime").Spec.MountOptions)
			assert.Equal(
				t,
				[]string{"noatime," + b.ReadOnlyOption},
				volumeOf(t, b, true, "noatime,"+b.ReadOnlyOption).Spec.MountOptions,
				"not twice",
			)
			if volume.Spec.CSI != nil {
				assert.Equal(t, b.ReadOnlyAttach, volume.Spec.CSI.ReadOnly)
				assert.False(t, writable.Spec.CSI.ReadOnly)
			}
		})
	}
}

func TestReadOnlyProfilesRefuseTheOptionToWrite(t *testing.T) {
	t.Parallel()
	const text = "apiVersion: pipeline-storage.io/v1alpha1\nkind: StorageConfig\nprofiles:\n" +
		"- {name: a, storageClass: {backend: aws-efs}, volume: {handle: fs-1, mountOptions: [%q]}, mount: {readOnly: %t}}\n"
	for _, option := range []string{"rw", "noatime,rw"} {
		_, _, err := storage.Load(fmt.Appendf(nil, text, option, true))
		require.ErrorContains(t, err, "rw contradicts mount.readOnly, which makes the volume read-only for every pod", option)
		_, _, err = storage.Load(fmt.Appendf(nil, text, option, false))
		require.NoError(t, err, option)
	}
}

func TestWarnsWhereAVolumeCannotBeReadOnly(t *testing.T) {
	t.Parallel()
	const warning = `profile "default": mount.readOnly holds for injected pods only, because volumes of the backend `
	for name, row := range map[string]struct {
		profile string
		want    bool
	}{
		"a hostPath volume": {
			"storageClass: {backend: host-path}, volume: {handle: /x, zone: n}, mount: {readOnly: true}",
			true,
		},
		"one that may be written": {"storageClass: {backend: host-path}, volume: {handle: /x, zone: n}", false},
		"one that exists": {
			"storageClass: {backend: host-path}, volume: {name: v, create: false}, mount: {readOnly: true}",
			false,
		},
		"a local volume": {
			"storageClass: {backend: local-path}, volume: {handle: /x, zone: n}, mount: {readOnly: true}",
			true,
		},
		"a disk":                     {"volume: {handle: vol-1, zone: z}, mount: {readOnly: true}", false},
		"a volume to be provisioned": {"storageClass: {backend: local-path}, mount: {readOnly: true}", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := injecttest.Load(t, "profiles: [{name: default, "+row.profile+"}]\n")
			warnings := config.Profiles[0].Warnings()
			assert.Equal(
				t,
				row.want,
				slices.ContainsFunc(warnings, func(w string) bool { return strings.HasPrefix(w, warning) }),
				warnings,
			)
		})
	}
}
