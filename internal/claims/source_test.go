package claims

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pipeline-storage/pipeline-storage/internal/claimtest"
)

// beginsWith gives a claim a VolumeSnapshot as its dataSource.
func beginsWith(name string) claimtest.Change {
	return func(c *corev1.PersistentVolumeClaim) {
		c.Spec.DataSourceRef = &corev1.TypedObjectReference{
			APIGroup: new("snapshot.storage.k8s.io"), Kind: "VolumeSnapshot", Name: name,
		}
	}
}

func TestDiffersInSource(t *testing.T) {
	t.Parallel()

	for name, row := range map[string]struct {
		existing, wanted *corev1.PersistentVolumeClaim
		want             bool
	}{
		"both have none":                       {claimtest.Claim(), claimtest.Claim(), false},
		"both have the same":                   {claimtest.Claim(beginsWith("a")), claimtest.Claim(beginsWith("a")), false},
		"the profile no longer needs it":       {claimtest.Claim(beginsWith("a")), claimtest.Claim(), false},
		"the profile has one since the claim":  {claimtest.Claim(), claimtest.Claim(beginsWith("a")), true},
		"the profile has another one, by name": {claimtest.Claim(beginsWith("a")), claimtest.Claim(beginsWith("b")), true},
	} {
		assert.Equal(t, row.want, differsInSource(row.existing, row.wanted), name)
	}
	assert.Equal(t, []string{"it did not begin with the VolumeSnapshot a"},
		misfits(claimtest.Claim(), claimtest.Claim(beginsWith("a"))), "an unmanaged claim has other data")
}

// TestReboundClaimNeedsNoSource: a claim for a volume that is older than itself has its data.
func TestReboundClaimNeedsNoSource(t *testing.T) {
	t.Parallel()

	created := metav1.NewTime(time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC))
	isBound := func(c *corev1.PersistentVolumeClaim) { c.Status.Phase = corev1.ClaimBound }
	volume := func(age time.Duration) *corev1.PersistentVolume {
		return &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(created.Add(-age))}}
	}
	for name, row := range map[string]struct {
		claim  *corev1.PersistentVolumeClaim
		volume *corev1.PersistentVolume
		want   bool
	}{
		"it waits for its old volume":        {claimtest.Claim(claimtest.Volume("v")), nil, true},
		"it waits for a new volume":          {claimtest.Claim(), nil, false},
		"it has its old volume":              {claimtest.Claim(claimtest.Volume("v"), isBound), volume(time.Hour), true},
		"it has a volume of its own":         {claimtest.Claim(claimtest.Volume("v"), isBound), volume(-time.Second), false},
		"it has one of the same second":      {claimtest.Claim(claimtest.Volume("v"), isBound), volume(0), false},
		"its volume does not exist any more": {claimtest.Claim(claimtest.Volume("v"), isBound), nil, false},
	} {
		row.claim.CreationTimestamp = created
		r := &reconciliation{claim: row.claim, volume: row.volume}
		assert.Equal(t, row.want, r.isRebound(), name)
	}
}

// TestCacheKeepsLittleOfAClaim: the API server does not bound the names in a dataSource, nor the
// messages of drivers.
func TestCacheKeepsLittleOfAClaim(t *testing.T) {
	t.Parallel()

	long := strings.Repeat("x", 100_000)
	claim := claimtest.Claim(func(c *corev1.PersistentVolumeClaim) {
		for range 1000 {
			claimtest.RequestedBy("kubectl-edit")(c)
		}
		c.Spec.DataSourceRef = &corev1.TypedObjectReference{APIGroup: &long, Kind: long, Name: long, Namespace: &long}
		c.Status.AllocatedResourceStatuses = map[corev1.ResourceName]corev1.ClaimResourceStatus{
			corev1.ResourceStorage: corev1.PersistentVolumeClaimControllerResizeInfeasible, "example.com/other": "x",
		}
		c.Status.AllocatedResources = corev1.ResourceList{"example.com/other": {}}
		c.Status.Conditions = []corev1.PersistentVolumeClaimCondition{
			{Type: corev1.PersistentVolumeClaimControllerResizeError, Status: corev1.ConditionTrue, Message: long, Reason: long},
			{Type: corev1.PersistentVolumeClaimResizing, Message: long},
		}
	})
	stripped := stripClaim(claim)
	data, err := stripped.Marshal()
	require.NoError(t, err)
	assert.Less(t, len(data), 2_000)
	assert.Equal(t, map[corev1.ResourceName]corev1.ClaimResourceStatus{
		corev1.ResourceStorage: corev1.PersistentVolumeClaimControllerResizeInfeasible,
	}, stripped.Status.AllocatedResourceStatuses)
	assert.Len(t, stripped.Status.Conditions, 1)
	assert.Equal(t, "kubectl-edit", stripped.ManagedFields[0].Manager, "it shows who requested the size")
}
