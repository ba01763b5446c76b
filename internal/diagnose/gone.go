package diagnose

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// lost is about a claim that was bound and whose volume does not exist any more, or belongs to
// another claim. Kubernetes binds it again as soon as a volume of that name has no claimRef, or one
// with the UID of this claim. A claimRef without a UID does not do: it is only for a new claim.
// Source: Kubernetes, pkg/controller/volume/persistentvolume/pv_controller.go syncBoundClaim.
func lost(s *Snapshot) *cause {
	if s.Claim.Status.Phase != corev1.ClaimLost {
		return nil
	}
	const begin = "delete the claim and the pods that use it: the new claim has the data of the profile's " +
		"claim.dataSource or volume, and is empty without them"
	name := s.Claim.Spec.VolumeName
	switch {
	case name == "":
		return &cause{ReasonClaimLost, "it was bound and names no PersistentVolume any more: ", begin}
	case s.Volume == nil && s.VolumesUnread:
		return &cause{
			ReasonClaimLost, fmt.Sprintf("its PersistentVolume %s was deleted or belongs to another claim: ", name), begin,
		}
	case s.Volume == nil:
		return &cause{
			ReasonClaimLost, fmt.Sprintf("its PersistentVolume %s was deleted: ", name),
			fmt.Sprintf("where the storage behind it still exists, create a PersistentVolume of that name for it, with "+
				"spec.claimRef.uid %s, and the claim is Bound again. Else %s", s.Claim.UID, begin),
		}
	}
	return s.lostVolume(begin)
}

// lostVolume is about a Lost claim whose volume exists. The claimRef of a volume that is the claim's
// by its name can be completed.
func (s *Snapshot) lostVolume(begin string) *cause {
	ref := s.Volume.Spec.ClaimRef
	if ref == nil || ref.UID == s.Claim.UID {
		return nil // it is being bound again
	}
	because := fmt.Sprintf("its PersistentVolume %s belongs to the claim %s/%s", s.Volume.Name, ref.Namespace, ref.Name)
	if ref.Namespace != s.Claim.Namespace || ref.Name != s.Claim.Name {
		return &cause{ReasonClaimLost, because + ": ", begin}
	}
	return &cause{
		ReasonClaimLost, because + " with another UID than this claim's: ",
		fmt.Sprintf(`if its data is meant for this claim, kubectl patch persistentvolume %s --type=merge -p `+
			`'{"spec":{"claimRef":{"uid":"%s","resourceVersion":null}}}'. Else %s`, s.Volume.Name, s.Claim.UID, begin),
	}
}

// bindConflict is the scheduler's message about nodes other than the selected one, among others.
// Source: Kubernetes, pkg/scheduler/framework/plugins/volumebinding/binder.go ErrReasonBindConflict.
const bindConflict = "didn't find available persistent volumes to bind"

// selectedNodeCause finds a claim whose volume is to be created for a node that is gone, such as one
// that an autoscaler has removed. The scheduler puts the pods of such a claim on that node only, and
// leaves the annotation. The provisioner removes it when it finds no such node. One that runs on
// each node is gone with the node, and one that does not run removes nothing.
// Source: Kubernetes, pkg/scheduler/framework/plugins/volumebinding/binder.go FindPodVolumes;
// sig-storage-lib-external-provisioner, controller/controller.go (since 9.0); external-provisioner,
// pkg/controller/controller.go checkNode and prepareProvision.
func selectedNodeCause(s *Snapshot) *cause {
	node := s.Claim.Annotations[AnnotationSelectedNode]
	if node == "" || s.Claim.Spec.VolumeName != "" {
		return nil
	}
	remove := fmt.Sprintf("kubectl annotate persistentvolumeclaim %s --namespace %s %s-", s.Name, s.Namespace,
		AnnotationSelectedNode)
	isNode := func(n metav1.PartialObjectMetadata) bool { return n.Name == node }
	if s.Nodes != nil && !slices.ContainsFunc(s.Nodes, isNode) {
		return &cause{
			ReasonSelectedNodeGone, fmt.Sprintf("its volume is to be created for the node %s, which the cluster does not have "+
				"any more, and the scheduler puts its pods on no other: ", node),
			"let the scheduler choose again: " + remove,
		}
	}
	isRejected := func(p corev1.Pod) bool {
		return p.Spec.NodeName == "" && strings.Contains(whyNotScheduled(&p), bindConflict)
	}
	if i := slices.IndexFunc(s.Pods, isRejected); s.Nodes == nil && i >= 0 {
		return &cause{
			ReasonSelectedNodeGone, fmt.Sprintf("its volume is to be created for the node %s, the scheduler puts its pods on "+
				"no other, and the pod %s is not scheduled: %s ", node, s.Pods[i].Name, whyNotScheduled(&s.Pods[i])),
			fmt.Sprintf("If that node is gone (kubectl get node %s), let the scheduler choose again: %s", node, remove),
		}
	}
	return nil
}
