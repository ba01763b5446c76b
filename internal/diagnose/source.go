package diagnose

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// Source is the object that the dataSource of a claim names, as far as it was read. Kinds other than
// VolumeSnapshot and PersistentVolumeClaim are not read.
type Source struct {
	// Snapshot or Claim is the object, by its kind; nil: it does not exist.
	Snapshot *VolumeSnapshot
	Claim    *corev1.PersistentVolumeClaim
	// Volume is that of Claim; nil: it was not read.
	Volume *corev1.PersistentVolume
	// Unread is true where the object could not be read, so that nil does not mean missing.
	Unread bool
	// Unserved is true where the cluster has no such kind.
	Unserved bool
}

// VolumeSnapshot is what a restore needs of a VolumeSnapshot.
// Source: external-snapshotter, client/apis/volumesnapshot/v1.
type VolumeSnapshot struct {
	// Deleted is true after its deletion was requested.
	Deleted bool
	// Ready is true when a volume can be created from it.
	Ready bool
	// Error is why it could not be taken; empty: there is no error.
	Error string
	// RestoreSize is the smallest size of a volume with its data; nil: it is not known.
	RestoreSize *resource.Quantity
}

// SnapshotOf reads a VolumeSnapshot. What it lacks, or has in another form, is left out.
func SnapshotOf(object *unstructured.Unstructured) *VolumeSnapshot {
	s := &VolumeSnapshot{Deleted: object.GetDeletionTimestamp() != nil}
	s.Ready, _, _ = unstructured.NestedBool(object.Object, "status", "readyToUse")
	message, _, _ := unstructured.NestedString(object.Object, "status", "error", "message")
	s.Error = oneLine(message)
	text, _, _ := unstructured.NestedString(object.Object, "status", "restoreSize")
	if size, err := resource.ParseQuantity(text); err == nil {
		s.RestoreSize = &size
	}
	return s
}

// SourceOf describes the dataSource of a claim as KIND NAME, with the group of a kind that is not
// Kubernetes' own or VolumeSnapshot's. Empty: it has none.
func SourceOf(claim *corev1.PersistentVolumeClaim) string {
	ref := claim.Spec.DataSourceRef
	if ref == nil {
		return ""
	}
	kind := ref.Kind
	if ref.APIGroup != nil && *ref.APIGroup != "" && !isSnapshot(ref) {
		kind += "." + *ref.APIGroup
	}
	if ref.Namespace != nil && *ref.Namespace != "" {
		return fmt.Sprintf("%s %s/%s", kind, *ref.Namespace, ref.Name)
	}
	return kind + " " + ref.Name
}

// NeedsSnapshot reports whether a claim waits for a VolumeSnapshot of its own namespace.
func NeedsSnapshot(claim *corev1.PersistentVolumeClaim) bool {
	return waitsForSource(claim) && isSnapshot(claim.Spec.DataSourceRef)
}

// NeedsClaim reports whether a claim waits for another claim of its own namespace.
func NeedsClaim(claim *corev1.PersistentVolumeClaim) bool {
	return waitsForSource(claim) && isClaim(claim.Spec.DataSourceRef)
}

// waitsForSource reports whether a claim is to have a new volume with the data of an object in its
// namespace. A claim that names its volume is bound to that, and nothing is copied.
// Source: Kubernetes, pkg/controller/volume/persistentvolume/pv_controller.go syncUnboundClaim.
func waitsForSource(claim *corev1.PersistentVolumeClaim) bool {
	ref := claim.Spec.DataSourceRef
	return claim.Spec.VolumeName == "" && ref != nil && (ref.Namespace == nil || *ref.Namespace == "")
}

func isSnapshot(ref *corev1.TypedObjectReference) bool {
	return ref.Kind == storage.KindVolumeSnapshot && ref.APIGroup != nil && *ref.APIGroup == storage.GroupSnapshots
}

func isClaim(ref *corev1.TypedObjectReference) bool {
	return ref.Kind == storage.KindClaim && (ref.APIGroup == nil || *ref.APIGroup == "")
}

// sourceCause checks the object from which the volume is to be filled. The checks are those of
// external-provisioner, which repeats them until they succeed.
// Source: external-provisioner, pkg/controller/controller.go getSnapshotSource and getPVCSource.
func sourceCause(s *Snapshot) *cause {
	switch {
	case s.Source == nil || s.Source.Unread:
		return nil
	case s.Source.Unserved:
		return &cause{
			ReasonSourceMissing, fmt.Sprintf("its dataSource is the %s, and the cluster has no objects of that kind: ",
				SourceOf(s.Claim)),
			"install the CRDs and the controller of external-snapshotter",
		}
	case NeedsSnapshot(s.Claim):
		return s.snapshotCause(s.Source.Snapshot)
	case NeedsClaim(s.Claim):
		return s.cloneCause(s.Source.Claim)
	}
	return nil
}

// changeSource is the next step where a dataSource will never be ready.
const changeSource = "change claim.dataSource and delete the claim, which holds no data yet: it is created again"

// missingSource is the cause of a claim whose dataSource does not exist.
func (s *Snapshot) missingSource() *cause {
	return &cause{
		ReasonSourceMissing, fmt.Sprintf("its dataSource, the %s, does not exist in namespace %s: ", SourceOf(s.Claim),
			s.Namespace),
		"create it there, or " + changeSource,
	}
}

// notReadySource is the cause of a claim whose dataSource exists and cannot be copied yet.
func (s *Snapshot) notReadySource(why, next string) *cause {
	return &cause{ReasonSourceNotReady, fmt.Sprintf("its dataSource, the %s, %s: ", SourceOf(s.Claim), why), next}
}

// snapshotCause checks a VolumeSnapshot; nil: it does not exist.
func (s *Snapshot) snapshotCause(v *VolumeSnapshot) *cause {
	describe := fmt.Sprintf("kubectl describe volumesnapshot %s --namespace %s shows why", s.Claim.Spec.DataSourceRef.Name,
		s.Namespace)
	switch {
	case v == nil:
		return s.missingSource()
	case v.Deleted:
		return s.notReadySource("is being deleted", changeSource)
	case v.Error != "":
		return s.notReadySource("has the error "+v.Error, describe)
	case !v.Ready:
		return s.notReadySource("is not ready to use", describe)
	case v.RestoreSize != nil:
		return s.sourceSize(*v.RestoreSize)
	}
	return nil
}

// cloneCause checks the claim that is copied; nil: it does not exist.
func (s *Snapshot) cloneCause(source *corev1.PersistentVolumeClaim) *cause {
	switch {
	case source == nil:
		return s.missingSource()
	case source.DeletionTimestamp != nil:
		return s.notReadySource("is being deleted", changeSource)
	case source.Status.Phase == corev1.ClaimLost:
		return s.notReadySource("is Lost", changeSource)
	case source.Status.Phase != corev1.ClaimBound:
		return s.notReadySource("is "+string(phase(source)),
			"bind it first: a pod that mounts it makes its class create the volume")
	case IsBlock(source):
		return &cause{
			ReasonSourceUnfit, fmt.Sprintf("its dataSource, the %s, has volumeMode Block: ", SourceOf(s.Claim)),
			"use a claim with a file system",
		}
	}
	if c := s.sourceDriver(); c != nil {
		return c
	}
	return s.sourceSize(Requested(source))
}

// sourceDriver checks that one driver has both volumes of a clone.
func (s *Snapshot) sourceDriver() *cause {
	v := s.Source.Volume
	if v == nil || s.Class == nil || v.Spec.CSI != nil && v.Spec.CSI.Driver == s.Class.Provisioner {
		return nil
	}
	has := "no CSI driver"
	if v.Spec.CSI != nil {
		has = "the driver " + v.Spec.CSI.Driver
	}
	return &cause{
		ReasonSourceUnfit, fmt.Sprintf("the volume of its dataSource, the %s, has %s, and its StorageClass %s has %s: ",
			SourceOf(s.Claim), has, s.Class.Name, s.Class.Provisioner),
		"a driver copies its own volumes only: give the profile a class of the same driver, and delete the claim, " +
			"which holds no data yet",
	}
}

// sourceSize checks that the claim is not smaller than its dataSource.
func (s *Snapshot) sourceSize(least resource.Quantity) *cause {
	requested := Requested(s.Claim)
	if requested.Cmp(least) >= 0 {
		return nil
	}
	return &cause{
		ReasonSourceUnfit, fmt.Sprintf("it requests %s, and its dataSource, the %s, needs %s: ", requested.String(),
			SourceOf(s.Claim), least.String()),
		fmt.Sprintf("set claim.size to %s or more, and delete the claim, which holds no data yet: it is created again",
			least.String()),
	}
}

// unreadSource returns how people find out about a dataSource that could not be read, to stand
// before another next step. Empty: it was read, or the claim has none.
func (s *Snapshot) unreadSource() string {
	if s.Source == nil || !s.Source.Unread {
		return ""
	}
	return fmt.Sprintf("see that its dataSource, the %s, exists and is ready, which needs your rights "+
		"(kubectl get volumesnapshot %s --namespace %s, or kubectl pipeline-storage status); ", SourceOf(s.Claim),
		s.Claim.Spec.DataSourceRef.Name, s.Namespace)
}

// IgnoredSource is about a claim that exists without the dataSource of its profile. Only a new claim
// is filled.
// Source: Kubernetes, pkg/apis/core/validation ValidatePersistentVolumeClaimUpdate.
func IgnoredSource(profile string, existing, wanted *corev1.PersistentVolumeClaim) Finding {
	have := SourceOf(existing)
	if have == "" {
		have = "nothing"
	}
	return advise(ReasonSourceDiffers,
		fmt.Sprintf("claim %s exists and began with %s, not with the %s, which is the dataSource of the profile %s: "+
			"only a new claim begins with it, and nothing is copied to this one. ",
			existing.Name, have, SourceOf(wanted), profile),
		"Give the profile another claim.name to restore the data there, or remove claim.dataSource")
}

// SourceIgnored returns a finding about a bound claim with a dataSource of which nothing was copied:
// its volume existed before it, or is one that no CSI driver creates. Nil: the driver has copied it.
// Source: Kubernetes, pkg/controller/volume/persistentvolume/pv_controller.go syncUnboundClaim, which
// binds a free volume without a look at the dataSource; local-path-provisioner, provisioner.go.
func SourceIgnored(claim *corev1.PersistentVolumeClaim, volume *corev1.PersistentVolume) *Finding {
	if claim.Spec.DataSourceRef == nil || volume == nil || claim.Status.Phase != corev1.ClaimBound {
		return nil
	}
	var why string
	switch spec := &volume.Spec; {
	case volume.CreationTimestamp.Before(&claim.CreationTimestamp):
		why = "is older than the claim"
	case spec.HostPath != nil || spec.Local != nil || spec.NFS != nil:
		why = "is not of a CSI driver"
	default:
		return nil
	}
	f := advise(ReasonSourceIgnored,
		fmt.Sprintf("claim %s has the %s as its dataSource, but its PersistentVolume %s %s: nothing was copied into it. ",
			claim.Name, SourceOf(claim), volume.Name, why),
		"Restore the data under another claim.name, by a class whose CSI driver can copy")
	return &f
}

// oneLine returns a message of a driver on one line, and not longer than a note has room for.
func oneLine(message string) string {
	message = strings.ToValidUTF8(message[:min(len(message), maxDriverMessage)], "")
	return strings.TrimRight(strings.Join(strings.Fields(message), " "), ".")
}
