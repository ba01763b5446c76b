package claims

import (
	"testing"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/pipeline-storage/pipeline-storage/internal/claimtest"
)

// TestIndexFollowsLostClaims has a claim that loses its volume and gets it again.
func TestIndexFollowsLostClaims(t *testing.T) {
	t.Parallel()

	claim := func(phase corev1.PersistentVolumeClaimPhase) *corev1.PersistentVolumeClaim {
		return &corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: "pvc-data-pipeline"},
			Spec:       corev1.PersistentVolumeClaimSpec{VolumeName: "pv-1"},
			Status:     corev1.PersistentVolumeClaimStatus{Phase: phase},
		}
	}
	const warning = "claim pvc-data-pipeline is Lost: its PersistentVolume pv-1 was deleted or bound to another claim, " +
		"and the pod waits: restore the volume, or delete the claim to have a new one"
	index := &Index{synced: func() bool { return true }}
	profile := &claimtest.Config(t, `{name: default}`).Profiles[0]

	index.lost.OnAdd(claim(corev1.ClaimBound), true)
	assert.Empty(t, index.Warnings("ml", profile))

	index.lost.OnUpdate(claim(corev1.ClaimBound), claim(corev1.ClaimLost))
	assert.Equal(t, []string{warning}, index.Warnings("ml", profile))
	assert.Empty(t, index.Warnings("etl", profile), "another namespace has another claim")

	index.lost.OnUpdate(claim(corev1.ClaimLost), claim(corev1.ClaimBound))
	assert.Empty(t, index.Warnings("ml", profile))

	index.lost.OnAdd(claim(corev1.ClaimLost), false)
	index.handler().OnAdd(injectedPod("ml", "one", "default"), true)
	warnings := index.Warnings("ml", profile)
	assert.Len(t, warnings, 2)
	assert.Equal(t, warning, warnings[0], "it comes first")

	index.lost.OnDelete(toolscache.DeletedFinalStateUnknown{Key: "ml/pvc-data-pipeline", Obj: claim(corev1.ClaimLost)})
	assert.Len(t, index.Warnings("ml", profile), 1)
}
