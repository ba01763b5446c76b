package diagnose

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// maxDriverMessage is how many bytes a finding repeats of a driver's message: a note has room for
// the next step behind it.
const maxDriverMessage = 250

// capacityOf returns the size that a claim has. It is zero until the claim is bound.
func capacityOf(claim *corev1.PersistentVolumeClaim) resource.Quantity {
	return claim.Status.Capacity[corev1.ResourceStorage]
}

// CanReduce reports whether the claims controller can take back the size that it requested for a
// claim, and request a smaller one. The API server lets an expansion that was not carried out be taken
// back to any size above the claim's capacity. Versions before 1.34 refuse that, unless their feature
// gate RecoverVolumeExpansionFailure is on, as it is by default since 1.32. A size that a third party
// requested remains.
// Source: Kubernetes, pkg/apis/core/validation ValidatePersistentVolumeClaimUpdate; KEP-1790.
func CanReduce(claim *corev1.PersistentVolumeClaim, size resource.Quantity) bool {
	return size.Cmp(Requested(claim)) < 0 && size.Cmp(capacityOf(claim)) > 0 && isExpanding(claim) && isOwnRequest(claim)
}

// isExpanding reports whether a claim requests more than it has.
func isExpanding(claim *corev1.PersistentVolumeClaim) bool {
	requested := Requested(claim)
	return claim.Status.Phase == corev1.ClaimBound && requested.Cmp(capacityOf(claim)) > 0
}

// NeverShrinks returns a finding about a profile with a smaller size than its claim requests. Nil:
// its size is not smaller, or the request can be taken back to it, see [CanReduce].
func NeverShrinks(profile string, claim *corev1.PersistentVolumeClaim, size resource.Quantity) *Finding {
	requested, capacity := Requested(claim), capacityOf(claim)
	if size.Cmp(requested) >= 0 || CanReduce(claim, size) {
		return nil
	}
	what := fmt.Sprintf("claim %s has %s and the profile %s has %s: claims never shrink, so the claim stays as it is; ",
		claim.Name, requested.String(), profile, size.String())
	next := "restore the size, or give the profile another claim.name and copy the data"
	switch {
	case isExpanding(claim) && !isOwnRequest(claim):
		what = fmt.Sprintf("claim %s requests %s, has %s, and the profile %s has %s: %s requested that size, and the "+
			"controller takes back only what it requested itself. ", claim.Name, requested.String(), capacity.String(), profile,
			size.String(), requester(claim))
		next = fmt.Sprintf("Set claim.size to %s, or take the request back: %s", requested.String(),
			requestCommand(claim, size))
	case isExpanding(claim):
		what = fmt.Sprintf("claim %s requests %s, has %s, and the profile %s has %s: an expansion that is not carried out "+
			"can be taken back, but only to more than the claim has. ", claim.Name, requested.String(), capacity.String(),
			profile, size.String())
		next = fmt.Sprintf("Set claim.size to %s or more", smallestAbove(capacity))
	case claim.Status.Phase != corev1.ClaimBound && claim.Spec.VolumeName == "":
		what = fmt.Sprintf("claim %s is %s and requests %s, and the profile %s has %s: only a bound claim can change its "+
			"size. ", claim.Name, phase(claim), requested.String(), profile, size.String())
		next = "Delete the claim, which holds no data yet: it is created again with the size of the profile"
	}
	f := advise(ReasonNeverShrinks, what, next)
	return &f
}

// requestCommand returns the command that requests a size for a claim that is being expanded, or the
// smallest size that the API server accepts.
func requestCommand(claim *corev1.PersistentVolumeClaim, size resource.Quantity) string {
	text, capacity := size.String(), capacityOf(claim)
	if size.Cmp(capacity) <= 0 {
		text = smallestAbove(capacity)
	}
	return fmt.Sprintf("kubectl patch persistentvolumeclaim %s --namespace %s --type=merge -p "+
		`'{"spec":{"resources":{"requests":{"storage":"%s"}}}}'`, claim.Name, claim.Namespace, text)
}

// smallestAbove returns the smallest whole number of mebibytes above a size.
func smallestAbove(size resource.Quantity) string {
	const mebibyte = 1 << 20
	return resource.NewQuantity((size.Value()/mebibyte+1)*mebibyte, resource.BinarySI).String()
}

// infeasible has the states in which an expansion ends without success, and the condition with the
// reason. format is about a claim, the size that was tried, and the size that the claim has. next is
// about the size that it has, and nextOfOther, where it is another, about that and the third party
// that requested the other size.
// Source: Kubernetes, core/v1 ClaimResourceStatus; external-resizer, pkg/controller
// expand_and_recover.go.
var infeasible = map[corev1.ClaimResourceStatus]struct {
	condition                 corev1.PersistentVolumeClaimConditionType
	format, next, nextOfOther string
}{
	corev1.PersistentVolumeClaimControllerResizeInfeasible: {
		corev1.PersistentVolumeClaimControllerResizeError,
		"claim %s cannot be expanded to %s and stays at %s, because its driver refuses that%s. ",
		"Set claim.size of the profile to what the storage can have, above %s: the request is taken back to it. " +
			"Or raise the limit in the storage: the driver tries again",
		"Request a size that the storage can have, above %s: %s requested this one. Or raise the limit in the storage: the " +
			"driver tries again",
	},
	corev1.PersistentVolumeClaimNodeResizeInfeasible: {
		corev1.PersistentVolumeClaimNodeResizeError,
		"claim %s cannot be expanded to %s and stays at %s: its volume has grown, but the node cannot grow the file " +
			"system%s. ",
		"Mend what the message names, and recreate the pods that use the claim. Data is not lost, and %s stays usable",
		"",
	},
}

// Infeasible returns a finding about an expansion that the driver or the node has given up. Nil: they
// have given up nothing, or a size that the claim no longer requests.
func Infeasible(claim *corev1.PersistentVolumeClaim) *Finding {
	row, ok := infeasible[claim.Status.AllocatedResourceStatuses[corev1.ResourceStorage]]
	requested, capacity := Requested(claim), capacityOf(claim)
	tried, isRecorded := claim.Status.AllocatedResources[corev1.ResourceStorage]
	if !ok || requested.Cmp(capacity) <= 0 || isRecorded && tried.Cmp(requested) != 0 {
		return nil
	}
	why := resizeMessage(claim, row.condition)
	if why != "" {
		why = ": " + why
	}
	next := fmt.Sprintf(row.next, capacity.String())
	if row.nextOfOther != "" && !isOwnRequest(claim) {
		next = fmt.Sprintf(row.nextOfOther, capacity.String(), requester(claim))
	}
	f := advise(ReasonExpandInfeasible, fmt.Sprintf(row.format, claim.Name, requested.String(), capacity.String(), why),
		next)
	return &f
}

// resizeMessage returns the message of a condition of a claim. Empty: it has no such condition.
func resizeMessage(claim *corev1.PersistentVolumeClaim, condition corev1.PersistentVolumeClaimConditionType) string {
	for i := range claim.Status.Conditions {
		if c := &claim.Status.Conditions[i]; c.Type == condition && c.Status == corev1.ConditionTrue {
			return oneLine(c.Message)
		}
	}
	return ""
}

// ReduceRefused is about an API server that takes no request back, see [CanReduce].
func ReduceRefused(profile string, claim *corev1.PersistentVolumeClaim, size resource.Quantity) Finding {
	requested, capacity := Requested(claim), capacityOf(claim)
	return advise(ReasonReduceRefused,
		fmt.Sprintf("claim %s requests %s, has %s, and the profile %s has %s, but this API server takes no request back: "+
			"Kubernetes does since 1.34, and before with the feature gate RecoverVolumeExpansionFailure. ",
			claim.Name, requested.String(), capacity.String(), profile, size.String()),
		"Upgrade Kubernetes, or restore the size")
}
