package diagnose

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// noProvisioner is the provisioner of classes for volumes that people make.
// Source: Kubernetes, Storage Classes, Local.
const noProvisioner = "kubernetes.io/no-provisioner"

// Finding is a problem.
type Finding struct {
	// Reason is for machines: one of the constants of this package.
	Reason string
	// Note is a sentence with the problem and the next step.
	Note string
	// Next is the end of Note with the next step; empty where nothing is to be done.
	Next string
}

// advise returns a finding. what is the problem, with the colon or full stop behind it; next is the
// next step.
func advise(reason, what, next string) Finding { return Finding{reason, what + next, next} }

// What returns the part of Note with the problem.
func (f Finding) What() string {
	return strings.TrimRight(strings.TrimSuffix(f.Note, f.Next), " ,:;.")
}

// Snapshot has the objects that show why pods wait for a claim.
type Snapshot struct {
	// Profile is that of the claim.
	Profile *storage.Profile
	// Name is the name of the claim, which need not exist.
	Name string
	// Namespace is where the claim is, or should be.
	Namespace string
	// Claim is nil where it does not exist.
	Claim *corev1.PersistentVolumeClaim
	// Volume is the one that the claim names; nil: it does not exist.
	Volume *corev1.PersistentVolume
	// Class is the one that the claim names; nil: it does not exist.
	Class *storagev1.StorageClass
	// Pods are those that use the claim.
	Pods []corev1.Pod
	// Own is true where a claims controller created the claim, and re-binds its old volume by
	// consent.
	Own bool
	// Drivers are the names of the CSIDriver objects; nil: they were not read.
	Drivers []string
	// Nodes are those of the cluster; nil: they were not read.
	Nodes []metav1.PartialObjectMetadata
	// Source is the object that the dataSource of the claim names; nil: it is not of a kind that is
	// read.
	Source *Source
	// VolumesUnread and ClassesUnread are true where those could not be read, so that nil does not
	// mean missing.
	VolumesUnread, ClassesUnread bool
}

// profileHint returns the end of a next step with the field of the profile that would do it, where
// there is a profile.
func (s *Snapshot) profileHint(before, field string) string {
	if s.Profile == nil {
		return ""
	}
	return before + "set " + field + ": true in the profile " + s.Profile.Name
}

// cause is why a claim is not Bound, and the next step.
type cause struct{ reason, because, next string }

// causes are the checks in the order in which people resolve them.
var causes = []func(*Snapshot) *cause{
	lost, volumeCause, classCause, driverCause, sourceCause, consumerCause, selectedNodeCause, provisionerCause,
}

// Claim returns why a claim is not Bound. Of several causes it returns the one to resolve first. It
// is pure and safe for concurrent use, as everything in this package is.
func Claim(s Snapshot) Finding {
	if s.Claim == nil {
		return advise(ReasonClaimMissing, fmt.Sprintf("claim %s does not exist in namespace %s: ", s.Name, s.Namespace),
			"create it"+s.profileHint(" or ", "claim.create"))
	}
	for _, causeOf := range causes {
		if c := causeOf(&s); c != nil {
			return advise(c.reason, fmt.Sprintf("claim %s is %s because %s", s.Name, phase(s.Claim), c.because), c.next)
		}
	}
	return advise(ReasonPending, fmt.Sprintf("claim %s is %s: ", s.Name, phase(s.Claim)),
		fmt.Sprintf("kubectl describe persistentvolumeclaim %s --namespace %s shows its events", s.Name, s.Namespace))
}

// phase returns Pending for a claim whose status is not written yet.
func phase(claim *corev1.PersistentVolumeClaim) corev1.PersistentVolumeClaimPhase {
	if claim.Status.Phase == "" {
		return corev1.ClaimPending
	}
	return claim.Status.Phase
}

// BeingDeleted is about a claim that pods still need, whether it is bound or not.
func BeingDeleted(claim string) Finding {
	return advise(ReasonClaimDeleting,
		fmt.Sprintf("claim %s is being deleted: Kubernetes removes it when no pod uses it any more, "+
			"and new pods wait. ", claim),
		"Delete these pods; then the claim is recreated, and its volume is retained where the reclaim policy is Retain")
}

// volumeCause checks the volume that the claim names.
func volumeCause(s *Snapshot) *cause {
	name := s.Claim.Spec.VolumeName
	if name == "" || (s.Volume == nil && s.VolumesUnread) {
		return nil
	}
	if s.Volume == nil {
		return &cause{
			ReasonVolumeMissing, fmt.Sprintf("its PersistentVolume %s does not exist: ", name),
			"create it" + s.profileHint(", or ", "volume.create"),
		}
	}
	if c := claimRefCause(s); c != nil {
		return c
	}
	if why := VolumeMisfits(s.Claim, s.Volume); len(why) > 0 {
		because := fmt.Sprintf("its PersistentVolume %s does not fit: %s", name, strings.Join(why, "; "))
		return &cause{reason: ReasonVolumeDiffers, because: because}
	}
	if s.Volume.Status.Phase == corev1.VolumeFailed {
		because := fmt.Sprintf("its PersistentVolume %s failed: %s", name, s.Volume.Status.Message)
		return &cause{reason: ReasonVolumeFailed, because: because}
	}
	return nil
}

// claimRefCause checks which claim the volume belongs to. A Released volume has the UID of a
// deleted claim, and people decide whether its data is meant for the new one: the command is
// reported, never run.
func claimRefCause(s *Snapshot) *cause {
	ref := s.Volume.Spec.ClaimRef
	switch {
	case ref == nil:
		return nil
	case ref.Namespace != s.Claim.Namespace || ref.Name != s.Claim.Name:
		return &cause{
			ReasonVolumeTaken, fmt.Sprintf("its PersistentVolume %s belongs to the claim %s/%s: ", s.Volume.Name,
				ref.Namespace, ref.Name),
			"name another volume, or free it there",
		}
	case ref.UID != "" && ref.UID != s.Claim.UID:
		return &cause{
			ReasonVolumeReleased, fmt.Sprintf("its PersistentVolume %s is Released: it still holds the data of a claim of "+
				"this name that was deleted. ", s.Volume.Name),
			"To give this data to the new claim: " + s.release(),
		}
	}
	return nil
}

// release returns the command that gives a Released volume to the claim.
func (s *Snapshot) release() string {
	if s.Own {
		return ConsentCommand(s.Volume.Name, s.Claim.Namespace)
	}
	return fmt.Sprintf(`kubectl patch persistentvolume %s --type=merge -p `+
		`'{"spec":{"claimRef":{"uid":null,"resourceVersion":null}}}'`, s.Volume.Name)
}

// VolumeMisfits returns why a claim cannot be bound to a volume that it names.
func VolumeMisfits(claim *corev1.PersistentVolumeClaim, volume *corev1.PersistentVolume) []string {
	var why []string
	if size, want := volume.Spec.Capacity[corev1.ResourceStorage], Requested(claim); size.Cmp(want) < 0 {
		why = append(why, fmt.Sprintf("its capacity is %s, the claim requests %s", size.String(), want.String()))
	}
	if missing := Lacking(volume.Spec.AccessModes, claim.Spec.AccessModes); len(missing) > 0 {
		why = append(why, fmt.Sprintf("its access modes are %s, the claim needs %s", Modes(volume.Spec.AccessModes),
			Modes(missing)))
	}
	if volume.Spec.StorageClassName != ClassOf(claim) {
		why = append(why, fmt.Sprintf("its StorageClass is %q, the claim's %q", volume.Spec.StorageClassName, ClassOf(claim)))
	}
	if IsBlock(claim) != (volume.Spec.VolumeMode != nil && *volume.Spec.VolumeMode == corev1.PersistentVolumeBlock) {
		why = append(why, "one of the two has volumeMode Block")
	}
	return why
}

// classCause checks the class. A claim that names its volume needs no class object: there the name
// only has to be equal.
func classCause(s *Snapshot) *cause {
	name := ClassOf(s.Claim)
	switch {
	case s.Claim.Spec.VolumeName != "":
		return nil
	case s.Claim.Spec.StorageClassName == nil: // Kubernetes fills it in as soon as there is a default class
		return &cause{
			ReasonClassMissing, "it names no StorageClass, and the cluster has no default one: ",
			"annotate a class with storageclass.kubernetes.io/is-default-class: \"true\", and the claim gets it",
		}
	case name == "":
		return &cause{
			ReasonVolumeMissing, "it has no StorageClass that could make a volume: ",
			"create a PersistentVolume for it",
		}
	case s.Class == nil && !s.ClassesUnread:
		next := "create it"
		if s.Profile != nil && !*s.Profile.StorageClass.Create {
			next += s.profileHint(", or ", "storageClass.create")
		}
		return &cause{ReasonClassMissing, fmt.Sprintf("its StorageClass %s does not exist: ", name), next}
	}
	return nil
}

// driverCause checks the driver that is to make the volume.
func driverCause(s *Snapshot) *cause {
	if s.Claim.Spec.VolumeName != "" || s.Class == nil || !lacksDriver(s.Drivers, s.Class.Provisioner) {
		return nil
	}
	return &cause{
		ReasonDriverMissing, fmt.Sprintf("its StorageClass %s needs the CSI driver %s, and the cluster has no CSIDriver "+
			"of that name: ", s.Class.Name, s.Class.Provisioner),
		"install the driver (kubectl get csidrivers lists those that are)",
	}
}

// consumerCause finds the pod that a class with WaitForFirstConsumer waits for. Such a claim is
// bound after the scheduler has chosen a node for a pod, and has written it on the claim.
// Source: Kubernetes, Storage Classes, Volume Binding Mode.
func consumerCause(s *Snapshot) *cause {
	if s.Claim.Spec.VolumeName != "" || s.Class == nil || s.Class.VolumeBindingMode == nil ||
		*s.Class.VolumeBindingMode != storagev1.VolumeBindingWaitForFirstConsumer ||
		s.Claim.Annotations[AnnotationSelectedNode] != "" {
		return nil
	}
	if i := slices.IndexFunc(s.Pods, func(p corev1.Pod) bool { return p.Spec.NodeName == "" }); i >= 0 {
		because := fmt.Sprintf("its StorageClass %s waits for the first consumer, and the pod %s is not scheduled: %s",
			s.Class.Name, s.Pods[i].Name, whyNotScheduled(&s.Pods[i]))
		return &cause{reason: ReasonNotScheduled, because: because}
	}
	if len(s.Pods) > 0 {
		return &cause{
			ReasonNotScheduled, fmt.Sprintf("its StorageClass %s waits for the scheduler, and the pod %s was put on the node "+
				"%s without it: ",
				s.Class.Name, s.Pods[0].Name, s.Pods[0].Spec.NodeName),
			"use a nodeSelector in place of spec.nodeName",
		}
	}
	return nil
}

// whyNotScheduled returns the scheduler's own message: it names the nodes and their reasons.
func whyNotScheduled(pod *corev1.Pod) string {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Message != "" {
			return c.Message
		}
	}
	return "no scheduler has tried it yet"
}

// provisionerCause is the cause when no other applies.
func provisionerCause(s *Snapshot) *cause {
	switch {
	case s.Claim.Spec.VolumeName != "" || s.Class == nil:
		return nil
	case s.Class.Provisioner == noProvisioner:
		return &cause{
			ReasonVolumeMissing, fmt.Sprintf("no provisioner makes volumes of its StorageClass %s: ", s.Class.Name),
			"create a PersistentVolume of that class for it",
		}
	}
	return &cause{
		ReasonNotProvisioned, s.Class.Provisioner + " has made no volume for it yet: ",
		s.unreadSource() + fmt.Sprintf("see that this driver is installed (kubectl get csidrivers) and runs, and kubectl "+
			"describe persistentvolumeclaim %s --namespace %s for its events",
			s.Name, s.Namespace),
	}
}

// UnknownProfile is about a pod whose injected annotation names a profile that the configuration
// does not have.
func UnknownProfile(name string) Finding {
	return advise(ReasonProfileUnknown,
		fmt.Sprintf("the annotation %s names the profile %q, which the configuration does not have: "+
			"nothing is created for it; ", inject.AnnotationInjected, name), "restore the profile, or recreate the pod")
}
