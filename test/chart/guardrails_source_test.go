package chart_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// A claim begins with the dataSource of its profile, and with nothing when it is to get its old volume.
func TestGuardrailsHoldClaimsToTheirDataSource(t *testing.T) {
	t.Parallel()
	restored, copied := provisioned(), provisioned()
	restored.Claim.DataSource = &storage.DataSource{Kind: "VolumeSnapshot", Name: "nightly-{namespace}"}
	copied.Name, copied.Mount.Path = "copied", "/copied"
	copied.Claim.DataSource = &storage.DataSource{Kind: "PersistentVolumeClaim", Name: "other"}
	client, config := guarded(t, []storage.Profile{restored, copied})
	namespace := serve(t, config)
	for _, profile := range config.Profiles {
		claim := claimFor(t, config, profile.Name, namespace)
		require.NotNil(t, claim.Spec.DataSourceRef)
		require.NoError(t, createClaim(t, client, claim))
	}
	snapshot := func(name string) *corev1.TypedObjectReference {
		return &corev1.TypedObjectReference{APIGroup: new(storage.GroupSnapshots), Kind: "VolumeSnapshot", Name: name}
	}
	rebound := claimFor(t, config, "provisioned", namespace)
	rebound.Spec.VolumeName, rebound.Spec.DataSourceRef = "pvc-1", nil
	require.NoError(t, createClaim(t, client, rebound), "a claim for its old volume")

	for name, c := range map[string]struct {
		profile string
		change  func(*corev1.PersistentVolumeClaim)
	}{
		"no dataSource": {"provisioned", func(c *corev1.PersistentVolumeClaim) { c.Spec.DataSourceRef = nil }},
		"another snapshot": {
			"provisioned", func(c *corev1.PersistentVolumeClaim) { c.Spec.DataSourceRef = snapshot("of-another-team") },
		},
		"another kind": {
			"provisioned", func(c *corev1.PersistentVolumeClaim) { c.Spec.DataSourceRef.Kind = "Bucket" },
		},
		"another group": {
			"provisioned", func(c *corev1.PersistentVolumeClaim) { c.Spec.DataSourceRef.APIGroup = new("example.com") },
		},
		"another claim": {"copied", func(c *corev1.PersistentVolumeClaim) { c.Spec.DataSourceRef.Name = "of-another-team" }},
		"a snapshot for a copy": {
			"copied", func(c *corev1.PersistentVolumeClaim) { c.Spec.DataSourceRef = snapshot("nightly-" + namespace) },
		},
		"another one in the older field": {"copied", func(c *corev1.PersistentVolumeClaim) {
			c.Spec.DataSourceRef = nil
			c.Spec.DataSource = &corev1.TypedLocalObjectReference{Kind: "PersistentVolumeClaim", Name: "of-another-team"}
		}},
		"a volume and a dataSource": {
			"provisioned", func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "pvc-1" },
		},
	} {
		claim := claimFor(t, config, c.profile, namespace)
		c.change(claim)
		err := createClaim(t, client, claim)
		assert.True(t, denied(err), "%s: %v", name, err)
	}
}
