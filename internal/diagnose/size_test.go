package diagnose

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/pipeline-storage/pipeline-storage/internal/claimtest"
)

// byController is a claim whose size the claims controller has requested.
var byController = claimtest.RequestedBy(FieldManager)

// has is a Bound claim with a capacity.
func has(capacity string) claimtest.Change {
	return func(c *corev1.PersistentVolumeClaim) {
		c.Status.Phase, c.Spec.VolumeName = corev1.ClaimBound, "v"
		c.Status.Capacity = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(capacity)}
	}
}

func TestReducesOnlyWhatWasNotCarriedOut(t *testing.T) {
	t.Parallel()

	for name, row := range map[string]struct {
		claim      *corev1.PersistentVolumeClaim
		size       string
		canReduce  bool
		note, next string
	}{
		"the same size": {claimtest.Claim(claimtest.Size("2Gi"), has("2Gi")), "2Gi", false, "", ""},
		"a larger size": {claimtest.Claim(claimtest.Size("2Gi"), has("2Gi")), "3Gi", false, "", ""},
		"an expansion that was not carried out": {
			claimtest.Claim(claimtest.Size("10Ti"), has("1Gi"), byController), "2Gi", true, "", "",
		},
		"one, to a byte more than the claim has": {
			claimtest.Claim(claimtest.Size("10Ti"), has("1Gi"), byController), "1073741825", true, "", "",
		},
		"one, to what the claim has": {
			claimtest.Claim(claimtest.Size("10Ti"), has("1Gi"), byController), "1Gi", false,
			"claim data requests 10Ti, has 1Gi, and the profile a has 1Gi: an expansion that is not carried out can be taken " +
				"back, but only to more than the claim has. ", "Set claim.size to 1025Mi or more",
		},
		"one, to less than the claim has": {
			claimtest.Claim(claimtest.Size("10Ti"), has("1500M"), byController), "1Gi", false,
			"claim data requests 10Ti, has 1500M, and the profile a has 1Gi: an expansion that is not carried out can be " +
				"taken back, but only to more than the claim has. ", "Set claim.size to 1431Mi or more",
		},
		"an expansion that a third party requested": {
			claimtest.Claim(claimtest.Size("10Ti"), has("1Gi"), claimtest.RequestedBy("kubectl-edit")), "2Gi", false,
			"claim data requests 10Ti, has 1Gi, and the profile a has 2Gi: the field manager \"kubectl-edit\" requested that " +
				"size, and the controller takes back only what it requested itself. ",
			"Set claim.size to 10Ti, or take the request back: kubectl patch persistentvolumeclaim data --namespace ml " +
				`--type=merge -p '{"spec":{"resources":{"requests":{"storage":"2Gi"}}}}'`,
		},
		"one that a third party requested, to what the claim has": {
			claimtest.Claim(claimtest.Size("10Ti"), has("1Gi"), claimtest.RequestedBy("kubectl-edit")), "1Gi", false,
			"claim data requests 10Ti, has 1Gi, and the profile a has 1Gi: the field manager \"kubectl-edit\" requested that " +
				"size, and the controller takes back only what it requested itself. ",
			"Set claim.size to 10Ti, or take the request back: kubectl patch persistentvolumeclaim data --namespace ml " +
				`--type=merge -p '{"spec":{"resources":{"requests":{"storage":"1025Mi"}}}}'`,
		},
		"one that both requested": {
			claimtest.Claim(claimtest.Size("10Ti"), has("1Gi"), byController, claimtest.RequestedBy("argocd")), "2Gi", false,
			"claim data requests 10Ti, has 1Gi, and the profile a has 2Gi: the field manager \"argocd\" requested that size, " +
				"and the controller takes back only what it requested itself. ",
			"Set claim.size to 10Ti, or take the request back: kubectl patch persistentvolumeclaim data --namespace ml " +
				`--type=merge -p '{"spec":{"resources":{"requests":{"storage":"2Gi"}}}}'`,
		},
		"one without managedFields": {
			claimtest.Claim(claimtest.Size("10Ti"), has("1Gi")), "2Gi", false,
			"claim data requests 10Ti, has 1Gi, and the profile a has 2Gi: a third party requested that size, and the " +
				"controller takes back only what it requested itself. ",
			"Set claim.size to 10Ti, or take the request back: kubectl patch persistentvolumeclaim data --namespace ml " +
				`--type=merge -p '{"spec":{"resources":{"requests":{"storage":"2Gi"}}}}'`,
		},
		"a claim that has its size": {
			claimtest.Claim(claimtest.Size("2Gi"), has("2Gi")), "1Gi", false,
			"claim data has 2Gi and the profile a has 1Gi: claims never shrink, so the claim stays as it is; ",
			"restore the size, or give the profile another claim.name and copy the data",
		},
		"a claim whose volume is larger": {
			claimtest.Claim(claimtest.Size("2Gi"), has("4Gi")), "1Gi", false,
			"claim data has 2Gi and the profile a has 1Gi: claims never shrink, so the claim stays as it is; ",
			"restore the size, or give the profile another claim.name and copy the data",
		},
		"a claim that has no volume yet": {
			claimtest.Claim(claimtest.Size("10Ti")), "2Gi", false,
			"claim data is Pending and requests 10Ti, and the profile a has 2Gi: only a bound claim can change its size. ",
			"Delete the claim, which holds no data yet: it is created again with the size of the profile",
		},
		"a claim that waits for a volume with data": {
			claimtest.Claim(claimtest.Size("2Gi"), claimtest.Volume("v")), "1Gi", false,
			"claim data has 2Gi and the profile a has 1Gi: claims never shrink, so the claim stays as it is; ",
			"restore the size, or give the profile another claim.name and copy the data",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			size := resource.MustParse(row.size)
			assert.Equal(t, row.canReduce, CanReduce(row.claim, size))
			f := NeverShrinks("a", row.claim, size)
			if row.note == "" {
				assert.Nil(t, f)
				return
			}
			require.NotNil(t, f)
			assert.Equal(t, Finding{ReasonNeverShrinks, row.note + row.next, row.next}, *f)
		})
	}
}

func TestInfeasibleExpansion(t *testing.T) {
	t.Parallel()

	failed := func(state corev1.ClaimResourceStatus, tried string, conditions ...corev1.PersistentVolumeClaimCondition,
	) claimtest.Change {
		return func(c *corev1.PersistentVolumeClaim) {
			c.Status.AllocatedResourceStatuses = map[corev1.ResourceName]corev1.ClaimResourceStatus{
				corev1.ResourceStorage: state,
			}
			c.Status.AllocatedResources = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(tried)}
			c.Status.Conditions = conditions
		}
	}
	type conditionOf = corev1.PersistentVolumeClaimCondition
	condition := func(kind corev1.PersistentVolumeClaimConditionType, message string) conditionOf {
		return conditionOf{Type: kind, Status: corev1.ConditionTrue, Message: message}
	}
	const byDriver = corev1.PersistentVolumeClaimControllerResizeInfeasible
	for name, row := range map[string]struct {
		claim *corev1.PersistentVolumeClaim
		note  string
	}{
		"the driver refuses, with its reason": {
			claimtest.Claim(claimtest.Size("10Ti"), has("1Gi"), byController, failed(byDriver, "10Ti",
				condition(corev1.PersistentVolumeClaimResizing, "not this one"),
				condition(corev1.PersistentVolumeClaimControllerResizeError, "rpc error:\n size exceeds 1Ti."))),
			"claim data cannot be expanded to 10Ti and stays at 1Gi, because its driver refuses that: rpc error: size exceeds " +
				"1Ti. Set claim.size of the profile to what the storage can have, above 1Gi: the request is taken back to it. Or " +
				"raise the limit in the storage: the driver tries again",
		},
		"the driver refuses a third party's size": {
			claimtest.Claim(claimtest.Size("10Ti"), has("1Gi"), claimtest.RequestedBy("kubectl-edit"),
				failed(byDriver, "10Ti")),
			"claim data cannot be expanded to 10Ti and stays at 1Gi, because its driver refuses that. Request a size that the " +
				"storage can have, above 1Gi: the field manager \"kubectl-edit\" requested this one. Or raise the limit in the " +
				"storage: the driver tries again",
		},
		"the driver refuses, without a reason": {
			claimtest.Claim(claimtest.Size("10Ti"), has("1Gi"), byController, failed(byDriver, "10Ti")),
			"claim data cannot be expanded to 10Ti and stays at 1Gi, because its driver refuses that. Set claim.size of the " +
				"profile to what the storage can have, above 1Gi: the request is taken back to it. Or raise the limit in the " +
				"storage: the driver tries again",
		},
		"the node cannot": {
			claimtest.Claim(claimtest.Size("2Gi"), has("1Gi"), failed(corev1.PersistentVolumeClaimNodeResizeInfeasible, "2Gi",
				condition(corev1.PersistentVolumeClaimNodeResizeError, "resize2fs is missing"))),
			"claim data cannot be expanded to 2Gi and stays at 1Gi: its volume has grown, but the node cannot grow the file " +
				"system: resize2fs is missing. Mend what the message names, and recreate the pods that use the claim. Data is " +
				"not lost, and 1Gi stays usable",
		},
		"that was a size that is no longer requested": {
			claimtest.Claim(claimtest.Size("2Gi"), has("1Gi"), failed(byDriver, "10Ti")), "",
		},
		"the claim has what it requests": {claimtest.Claim(claimtest.Size("2Gi"), has("2Gi"), failed(byDriver, "2Gi")), ""},
		"it is under way": {
			claimtest.Claim(claimtest.Size("2Gi"), has("1Gi"),
				failed(corev1.PersistentVolumeClaimControllerResizeInProgress, "2Gi")), "",
		},
		"nothing was tried": {claimtest.Claim(claimtest.Size("2Gi"), has("1Gi")), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := Infeasible(row.claim)
			if row.note == "" {
				assert.Nil(t, f)
				return
			}
			require.NotNil(t, f)
			assert.Equal(t, ReasonExpandInfeasible, f.Reason)
			assert.Equal(t, row.note, f.Note)
			assert.True(t, strings.HasSuffix(f.Note, f.Next))
		})
	}

	long := claimtest.Claim(claimtest.Size("10Ti"), has("1Gi"), failed(byDriver, "10Ti",
		condition(corev1.PersistentVolumeClaimControllerResizeError, strings.Repeat("é", 100_000))))
	assert.Less(t, len(Infeasible(long).Note), 1024, "a driver's message leaves room for the next step")
}
