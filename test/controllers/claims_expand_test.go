package controllers

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
)

func TestExpandsOwnClaims(t *testing.T) {
	profiles := func(size string) []string {
		return []string{
			`{name: grows, claim: {size: ` + size + `}, storageClass: {name: expand-yes}}`,
			`{name: stays, claim: {size: ` + size + `}, storageClass: {name: expand-no, allowVolumeExpansion: false}}`,
			`{name: unbound, claim: {size: ` + size + `}, storageClass: {name: expand-unbound}}`,
		}
	}
	f := newFixture(t, profiles("10Gi")...)
	namespace := f.namespace()
	f.pod(namespace, "one", "grows,stays,unbound")
	r := f.run()
	for _, profile := range []string{"grows", "stays", "unbound"} {
		claim := eventually(f, namespace, "pvc-data-pipeline-"+profile, &corev1.PersistentVolumeClaim{}, exists)
		if profile != "unbound" {
			f.bind(claim, profile+"."+namespace)
		}
	}

	f.set(r, profiles("20Gi")...)
	eventually(f, namespace, "pvc-data-pipeline-grows", &corev1.PersistentVolumeClaim{},
		func(c *corev1.PersistentVolumeClaim) bool {
			return c.Spec.Resources.Requests.Storage().Equal(resource.MustParse("20Gi"))
		})
	assert.Equal(t, "requested 20Gi in place of 10Gi, as the profile grows requires",
		f.event(namespace, "pvc-data-pipeline-grows", diagnose.ReasonExpanding))
	assert.Contains(t, f.event(namespace, "pvc-data-pipeline-stays", diagnose.ReasonExpandRefused),
		`its StorageClass "expand-no" does not allow expansion`)
	f.barrier()
	for _, profile := range []string{"stays", "unbound"} {
		claim := get(f, namespace, "pvc-data-pipeline-"+profile, &corev1.PersistentVolumeClaim{})
		assert.True(t, claim.Spec.Resources.Requests.Storage().Equal(resource.MustParse("10Gi")), "%s: %s", profile,
			claim.Spec.Resources.Requests.Storage())
	}
	assert.Empty(t, f.notes(namespace, "pvc-data-pipeline-unbound", diagnose.ReasonExpandRefused),
		"the API expands bound claims only, so it waits")

	grown := get(f, namespace, "pvc-data-pipeline-grows", &corev1.PersistentVolumeClaim{})
	f.set(r, profiles("5Gi")...)
	f.barrier()
	assert.Equal(t, grown.ResourceVersion, get(f, namespace, "pvc-data-pipeline-grows",
		&corev1.PersistentVolumeClaim{}).ResourceVersion, "a claim never shrinks")
	assert.Empty(t, f.notes(namespace, "pvc-data-pipeline-grows", diagnose.ReasonClaimDiffers))
	assert.Empty(t, f.notes(namespace, "pvc-data-pipeline-grows", diagnose.ReasonExpandRefused),
		"and no client requests it")
	assert.Equal(t, "claim pvc-data-pipeline-grows requests 20Gi, has 10Gi, and the profile grows has 5Gi: an expansion "+
		"that is not carried out can be taken back, but only to more than the claim has. Set claim.size to 10241Mi or more",
		f.event(namespace, "pvc-data-pipeline-grows", diagnose.ReasonNeverShrinks))

	// Other fields of a claim cannot be changed: the difference is reported, and the claim stays.
	f.set(r, `{name: grows, claim: {size: 10Gi, accessModes: [ReadWriteOncePod]}, storageClass: {name: expand-other}}`,
		profiles("10Gi")[1], profiles("10Gi")[2])
	assert.Equal(t, "claim pvc-data-pipeline-grows no longer matches the profile grows: its access modes are "+
		"ReadWriteOnce, not ReadWriteOncePod; "+
		`its StorageClass is "expand-yes", not "expand-other". A claim cannot be changed so: `+
		`restore the profile, or give it another claim.name and copy the data`,
		f.event(namespace, "pvc-data-pipeline-grows", diagnose.ReasonClaimDiffers))
	assert.Equal(t, grown.ResourceVersion, get(f, namespace, "pvc-data-pipeline-grows",
		&corev1.PersistentVolumeClaim{}).ResourceVersion)
	f.missing("", "expand-other", &storagev1.StorageClass{})
}

// TestExpandsWithoutPods: the claim of a CronJob has no pods between its runs.
func TestExpandsWithoutPods(t *testing.T) {
	f := newFixture(t, `{name: cron, claim: {size: 10Gi}, storageClass: {name: cron-fast}}`)
	namespace := f.namespace()
	pod := f.pod(namespace, "one", "cron")
	r := f.run()
	f.bind(eventually(f, namespace, "pvc-data-pipeline-cron", &corev1.PersistentVolumeClaim{}, exists), "cron."+namespace)
	pod.Status.Phase = corev1.PodSucceeded
	require.NoError(t, f.Status().Update(t.Context(), pod))
	require.Eventually(t, func() bool { return len(r.pods(f)) == 0 }, timeout, poll,
		"a finished pod is not in the cache")

	f.set(r, `{name: cron, claim: {size: 20Gi}, storageClass: {name: cron-fast}}`)
	eventually(f, namespace, "pvc-data-pipeline-cron", &corev1.PersistentVolumeClaim{},
		func(c *corev1.PersistentVolumeClaim) bool {
			return c.Spec.Resources.Requests.Storage().Equal(resource.MustParse("20Gi"))
		})
}
