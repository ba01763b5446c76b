package claims

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
)

// noProvisioner is the provisioner of classes for volumes that people make. Source: Kubernetes, Storage Classes, Local.
const noProvisioner = "kubernetes.io/no-provisioner"

// finding is what is wrong: a reason for machines, and a sentence that says what it is and what to do.
type finding struct {
	reason, note string
}

// snapshot is what was read to find out why pods wait for a claim.
type snapshot struct {
	profile   *inject.Profile
	name      string // of the claim
	namespace string
	claim     *corev1.PersistentVolumeClaim // nil: it does not exist
	volume    *corev1.PersistentVolume      // the one that the claim names; nil: it does not exist
	class     *storagev1.StorageClass       // the one that the claim names; nil: it does not exist
	pods      []corev1.Pod                  // that use the claim
}

// diagnose says why a claim is not Bound. The first cause that applies is the one to look at first.
func diagnose(s snapshot) finding {
	if s.claim == nil {
		return finding{reasonClaimMissing, fmt.Sprintf("claim %s does not exist in namespace %s: create it or set claim.create: true in the profile %s",
			s.name, s.namespace, s.profile.Name)}
	}
	causes := []func(snapshot) (reason, because string){lost, volumeCause, classCause, consumerCause, provisionerCause}
	for _, cause := range causes {
		if reason, because := cause(s); reason != "" {
			return finding{reason, fmt.Sprintf("claim %s is %s because %s", s.name, phase(s.claim), because)}
		}
	}
	return finding{reasonPending, fmt.Sprintf("claim %s is %s: kubectl describe persistentvolumeclaim %s --namespace %s tells its events",
		s.name, phase(s.claim), s.name, s.namespace)}
}

func phase(claim *corev1.PersistentVolumeClaim) corev1.PersistentVolumeClaimPhase {
	if claim.Status.Phase == "" {
		return corev1.ClaimPending
	}
	return claim.Status.Phase
}

// beingDeleted is said of a claim that pods still need, whether it is bound or not.
func beingDeleted(claim string) finding {
	return finding{reasonClaimDeleting, fmt.Sprintf("claim %s is being deleted: it goes when the pods that use it have ended, and new pods wait. "+
		"End them to have it made again; its volume is kept where the reclaim policy is Retain", claim)}
}

func lost(s snapshot) (reason, because string) {
	if s.claim.Status.Phase != corev1.ClaimLost {
		return "", ""
	}
	return reasonVolumeMissing, fmt.Sprintf("its PersistentVolume %s was deleted or bound to another claim: "+
		"restore it, or delete the claim to have a new one, which is empty unless the profile names a volume", s.claim.Spec.VolumeName)
}

// volumeCause looks at the volume that the claim names.
func volumeCause(s snapshot) (reason, because string) {
	name := s.claim.Spec.VolumeName
	if name == "" {
		return "", ""
	}
	if s.volume == nil {
		return reasonVolumeMissing, fmt.Sprintf("its PersistentVolume %s does not exist: create it, or set volume.create: true in the profile %s", name, s.profile.Name)
	}
	if reason, because = claimRefCause(s); reason != "" {
		return reason, because
	}
	if why := volumeMisfits(s.claim, s.volume); len(why) > 0 {
		return reasonVolumeDiffers, fmt.Sprintf("its PersistentVolume %s does not fit: %s", name, strings.Join(why, "; "))
	}
	if s.volume.Status.Phase == corev1.VolumeFailed {
		return reasonVolumeFailed, fmt.Sprintf("its PersistentVolume %s failed: %s", name, s.volume.Status.Message)
	}
	return "", ""
}

// claimRefCause looks at whom the volume belongs to. A volume that was released keeps the UID of a claim that is gone, and
// only people can know that its data is meant for the new one: the command is told, never run.
func claimRefCause(s snapshot) (reason, because string) {
	ref := s.volume.Spec.ClaimRef
	switch {
	case ref == nil:
		return "", ""
	case ref.Namespace != s.claim.Namespace || ref.Name != s.claim.Name:
		return reasonVolumeTaken, fmt.Sprintf("its PersistentVolume %s belongs to the claim %s/%s: name another volume, or free it there",
			s.volume.Name, ref.Namespace, ref.Name)
	case ref.UID != "" && ref.UID != s.claim.UID:
		return reasonVolumeReleased, fmt.Sprintf("its PersistentVolume %s is Released: it still holds the data of a claim of this name that was deleted. "+
			`To give this data to the new claim: kubectl patch persistentvolume %s --type=merge -p '{"spec":{"claimRef":{"uid":null,"resourceVersion":null}}}'`,
			s.volume.Name, s.volume.Name)
	}
	return "", ""
}

func volumeMisfits(claim *corev1.PersistentVolumeClaim, volume *corev1.PersistentVolume) []string {
	var why []string
	if size, want := volume.Spec.Capacity[corev1.ResourceStorage], requested(claim); size.Cmp(want) < 0 {
		why = append(why, fmt.Sprintf("its capacity is %s, the claim requests %s", size.String(), want.String()))
	}
	if missing := lacking(volume.Spec.AccessModes, claim.Spec.AccessModes); len(missing) > 0 {
		why = append(why, fmt.Sprintf("its access modes are %s, the claim needs %s", modes(volume.Spec.AccessModes), modes(missing)))
	}
	if volume.Spec.StorageClassName != classOf(claim) {
		why = append(why, fmt.Sprintf("its StorageClass is %q, the claim's %q", volume.Spec.StorageClassName, classOf(claim)))
	}
	if isBlock(claim) != (volume.Spec.VolumeMode != nil && *volume.Spec.VolumeMode == corev1.PersistentVolumeBlock) {
		why = append(why, "one of the two has volumeMode Block")
	}
	return why
}

// classCause looks at the class. A claim that names its volume needs none: there the name only has to be equal.
func classCause(s snapshot) (reason, because string) {
	name := classOf(s.claim)
	switch {
	case s.claim.Spec.VolumeName != "" || s.claim.Spec.StorageClassName == nil:
		return "", ""
	case name == "":
		return reasonVolumeMissing, "it has no StorageClass that could make a volume: create a PersistentVolume for it"
	case s.class == nil:
		because = fmt.Sprintf("its StorageClass %s does not exist: create it", name)
		if !*s.profile.StorageClass.Create {
			because += ", or set storageClass.create: true in the profile " + s.profile.Name
		}
		return reasonClassMissing, because
	}
	return "", ""
}

// consumerCause looks for the pod that a class with WaitForFirstConsumer waits for.
func consumerCause(s snapshot) (reason, because string) {
	if s.claim.Spec.VolumeName != "" || s.class == nil || s.class.VolumeBindingMode == nil ||
		*s.class.VolumeBindingMode != storagev1.VolumeBindingWaitForFirstConsumer || s.claim.Annotations[annotationSelectedNode] != "" {
		return "", ""
	}
	if i := slices.IndexFunc(s.pods, func(p corev1.Pod) bool { return p.Spec.NodeName == "" }); i >= 0 {
		return reasonNotScheduled, fmt.Sprintf("its StorageClass %s waits for the first consumer, and the pod %s is not scheduled: %s",
			s.class.Name, s.pods[i].Name, whyNotScheduled(&s.pods[i]))
	}
	if len(s.pods) > 0 {
		return reasonNotScheduled, fmt.Sprintf("its StorageClass %s waits for the scheduler, and the pod %s was put on the node %s without it: "+
			"use a nodeSelector in place of spec.nodeName", s.class.Name, s.pods[0].Name, s.pods[0].Spec.NodeName)
	}
	return "", ""
}

func whyNotScheduled(pod *corev1.Pod) string {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Message != "" {
			return c.Message
		}
	}
	return "no scheduler has looked at it yet"
}

// provisionerCause is what is left when everything is as it should be on this side.
func provisionerCause(s snapshot) (reason, because string) {
	switch {
	case s.claim.Spec.VolumeName != "" || s.class == nil:
		return "", ""
	case s.class.Provisioner == noProvisioner:
		return reasonVolumeMissing, fmt.Sprintf("nothing makes volumes of its StorageClass %s: create a PersistentVolume of that class for it", s.class.Name)
	}
	return reasonNotProvisioned, fmt.Sprintf("%s has made no volume for it yet: see that this driver is installed (kubectl get csidrivers) and runs, "+
		"and kubectl describe persistentvolumeclaim %s --namespace %s for what it says", s.class.Provisioner, s.name, s.namespace)
}
