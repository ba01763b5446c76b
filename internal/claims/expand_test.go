package claims

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/pipeline-storage/pipeline-storage/internal/claimtest"
)

// TestExpandFailsOnNewerClaim: another client has requested more since the claim was read.
func TestExpandFailsOnNewerClaim(t *testing.T) {
	t.Parallel()

	class := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "fast"}, AllowVolumeExpansion: new(true)}
	claim := claimtest.Claim(claimtest.Size("10Gi"))
	claim.Status.Phase = corev1.ClaimBound
	api := fake.NewClientBuilder().WithObjects(class, claim).Build()
	key := client.ObjectKeyFromObject(claim)
	var stale, live corev1.PersistentVolumeClaim
	require.NoError(t, api.Get(t.Context(), key, &stale))
	newer := stale.DeepCopy()
	newer.Spec.Resources.Requests[corev1.ResourceStorage] = resource.MustParse("50Gi")
	require.NoError(t, api.Update(t.Context(), newer))

	r := &reconciliation{
		reconciler: &reconciler{live: api, writer: api}, claim: &stale,
		profile: &claimtest.Config(t, `{name: a}`).Profiles[0],
	}
	err := r.expand(t.Context(), claimtest.Claim(claimtest.Size("20Gi")))
	assert.True(t, apierrors.IsConflict(err), "it is tried again with the newer claim, not refused: %v", err)
	require.NoError(t, api.Get(t.Context(), key, &live))
	assert.Equal(t, "50Gi", live.Spec.Resources.Requests.Storage().String())
}
