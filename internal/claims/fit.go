package claims

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
)

// misfits says why a claim of somebody else cannot stand in for the wanted one. Empty: it can.
func misfits(existing, wanted *corev1.PersistentVolumeClaim) []string {
	var why []string
	if missing := diagnose.Lacking(existing.Spec.AccessModes, wanted.Spec.AccessModes); len(missing) > 0 {
		why = append(why, fmt.Sprintf("its access modes are %s, which lacks %s", diagnose.Modes(existing.Spec.AccessModes), diagnose.Modes(missing)))
	}
	if have, want := sizeOf(existing), diagnose.Requested(wanted); have.Cmp(want) < 0 {
		why = append(why, fmt.Sprintf("its size is %s, less than %s", have.String(), want.String()))
	}
	return append(why, placement(existing, wanted)...)
}

// differences says what of an own claim is no longer what the profile says, but for the size, which can grow.
func differences(existing, wanted *corev1.PersistentVolumeClaim) []string {
	var what []string
	have, want := existing.Spec.AccessModes, wanted.Spec.AccessModes
	if len(diagnose.Lacking(have, want))+len(diagnose.Lacking(want, have)) > 0 {
		what = append(what, fmt.Sprintf("its access modes are %s, not %s", diagnose.Modes(have), diagnose.Modes(want)))
	}
	return append(what, placement(existing, wanted)...)
}

// placement says where a claim has its data from elsewhere than wanted. A claim with the wanted volume has the wanted data,
// whatever its class is called.
func placement(existing, wanted *corev1.PersistentVolumeClaim) []string {
	var why []string
	have, want := existing.Spec, wanted.Spec
	switch {
	case want.VolumeName != "" && have.VolumeName != want.VolumeName:
		why = append(why, fmt.Sprintf("its volume is %q, not %q", have.VolumeName, want.VolumeName))
	case want.VolumeName == "" && diagnose.ClassOf(existing) != diagnose.ClassOf(wanted):
		why = append(why, fmt.Sprintf("its StorageClass is %q, not %q", diagnose.ClassOf(existing), diagnose.ClassOf(wanted)))
	}
	if diagnose.IsBlock(existing) {
		why = append(why, "its volumeMode is Block, but pods mount a file system")
	}
	return why
}

// sizeOf is what a claim has: its request, or its capacity where the volume turned out larger.
func sizeOf(claim *corev1.PersistentVolumeClaim) resource.Quantity {
	size, capacity := diagnose.Requested(claim), claim.Status.Capacity[corev1.ResourceStorage]
	if capacity.Cmp(size) > 0 {
		return capacity
	}
	return size
}

func bound(claim *corev1.PersistentVolumeClaim) bool {
	return claim != nil && claim.Status.Phase == corev1.ClaimBound
}

// classRefusal says why a class of that name cannot be used. Empty: it can.
func classRefusal(existing, wanted *storagev1.StorageClass) string {
	if existing.Provisioner != wanted.Provisioner {
		return fmt.Sprintf("StorageClass %s exists with the provisioner %s, but the profile's backend needs %s: "+
			"give the profile another storageClass.name, or use the class with storageClass.create: false",
			existing.Name, existing.Provisioner, wanted.Provisioner)
	}
	if have, want := reclaimPolicy(existing), reclaimPolicy(wanted); have != want {
		return fmt.Sprintf("StorageClass %s exists with the reclaimPolicy %s, but the profile says %s, which decides whether data outlives its claim: "+
			"give the profile another storageClass.name, make the class anew (a reclaimPolicy cannot be changed), "+
			"or accept the class as it is with storageClass.create: false", existing.Name, have, want)
	}
	return ""
}

// reclaimPolicy is Delete where a class names none. Source: Kubernetes, Storage Classes, Reclaim policy.
func reclaimPolicy(class *storagev1.StorageClass) corev1.PersistentVolumeReclaimPolicy {
	return valueOr(class.ReclaimPolicy, corev1.PersistentVolumeReclaimDelete)
}

// classDifferences says in what a class that can be used is not the wanted one.
func classDifferences(existing, wanted *storagev1.StorageClass) []string {
	what := valueDifferences("parameter", existing.Parameters, wanted.Parameters)
	for _, key := range slices.Sorted(maps.Keys(existing.Parameters)) {
		if _, ok := wanted.Parameters[key]; !ok {
			what = append(what, fmt.Sprintf("it has the parameter %s: %q", key, existing.Parameters[key]))
		}
	}
	what = append(what, optionDifferences(existing.MountOptions, wanted.MountOptions)...)
	have, want := valueOr(existing.VolumeBindingMode, storagev1.VolumeBindingImmediate), valueOr(wanted.VolumeBindingMode, storagev1.VolumeBindingImmediate)
	if have != want {
		what = append(what, fmt.Sprintf("its volumeBindingMode is %s, not %s", have, want))
	}
	if have, want := valueOr(existing.AllowVolumeExpansion, false), valueOr(wanted.AllowVolumeExpansion, false); have != want {
		what = append(what, fmt.Sprintf("its allowVolumeExpansion is %t, not %t", have, want))
	}
	return what
}

// valueDifferences says which wanted values are missing or others.
func valueDifferences(kind string, have, want map[string]string) []string {
	var what []string
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if value, ok := have[key]; !ok {
			what = append(what, fmt.Sprintf("it lacks the %s %s: %q", kind, key, want[key]))
		} else if value != want[key] {
			what = append(what, fmt.Sprintf("its %s %s is %q, not %q", kind, key, value, want[key]))
		}
	}
	return what
}

func optionDifferences(have, want []string) []string {
	if slices.Equal(have, want) {
		return nil
	}
	return []string{fmt.Sprintf("its mount options are %q, not %q", have, want)}
}

func valueOr[T any](value *T, otherwise T) T {
	if value == nil {
		return otherwise
	}
	return *value
}

// volumeRefusal says why a volume of that name cannot be used. Empty: it can. Without a claimRef it is free, and the
// claim's volumeName takes it.
func volumeRefusal(existing, wanted *corev1.PersistentVolume) string {
	ref, want := existing.Spec.ClaimRef, wanted.Spec.ClaimRef
	if ref == nil || (ref.Namespace == want.Namespace && ref.Name == want.Name) {
		return ""
	}
	return fmt.Sprintf("PersistentVolume %s belongs to the claim %s/%s, not to %s/%s: "+
		"give the profile another volume.name, or a namespace of its own",
		existing.Name, ref.Namespace, ref.Name, want.Namespace, want.Name)
}

// volumeDifferences says in what a volume holds other data than the wanted one, or treats it otherwise. Attributes that
// only the existing one has are its driver's or its maker's.
func volumeDifferences(existing, wanted *corev1.PersistentVolume) []string {
	var what []string
	have, want := existing.Spec, wanted.Spec
	switch from, to := sourceOf(&have), sourceOf(&want); {
	case from != to:
		what = append(what, fmt.Sprintf("its source is %s, not %s", from, to))
	case want.CSI != nil: // for some drivers the attributes, not the handle, say where the data is
		what = append(what, valueDifferences("attribute", have.CSI.VolumeAttributes, want.CSI.VolumeAttributes)...)
	}
	what = append(what, optionDifferences(have.MountOptions, want.MountOptions)...)
	if have.PersistentVolumeReclaimPolicy != want.PersistentVolumeReclaimPolicy {
		what = append(what, fmt.Sprintf("its reclaim policy is %s, not %s", have.PersistentVolumeReclaimPolicy, want.PersistentVolumeReclaimPolicy))
	}
	if have.StorageClassName != want.StorageClassName {
		what = append(what, fmt.Sprintf("its StorageClass is %q, not %q", have.StorageClassName, want.StorageClassName))
	}
	return what
}

// sourceOf names where the data of a volume is, for the kinds of sources that profiles make.
func sourceOf(spec *corev1.PersistentVolumeSpec) string {
	switch {
	case spec.CSI != nil:
		return fmt.Sprintf("%q of the driver %s", spec.CSI.VolumeHandle, spec.CSI.Driver)
	case spec.Local != nil:
		return fmt.Sprintf("the local path %q", spec.Local.Path)
	case spec.HostPath != nil:
		return fmt.Sprintf("the hostPath %q", spec.HostPath.Path)
	}
	return "of a kind that no profile makes"
}
