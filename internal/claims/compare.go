package claims

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"

	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
)

// compare compares an existing claim with the profile. A claim of this installation gets the size of
// the profile where Kubernetes accepts that; every other difference is reported.
func (r *reconciliation) compare(ctx context.Context) error {
	if r.claim == nil {
		return nil
	}
	if len(r.wanted.Claims) == 0 { // claim.create is false: any size, class and mode that can be mounted
		if diagnose.IsBlock(r.claim) {
			r.warn(blockClaim(r.claim.Name))
		}
		return nil
	}
	wanted := r.wanted.Claims[0]
	if !r.own() {
		if why := r.unmanagedMisfits(); len(why) > 0 {
			r.warn(unmanagedMisfit(r.profile.Name, r.claim.Name, why))
		}
		return nil
	}
	if what := differences(r.claim, wanted); len(what) > 0 {
		r.warn(ownDifference(r.profile.Name, r.claim.Name, what))
	}
	if differsInSource(r.claim, wanted) && !r.isRebound() {
		r.warn(diagnose.IgnoredSource(r.profile.Name, r.claim, wanted))
	}
	if err := r.resize(ctx, wanted); err != nil {
		return err
	}
	return r.addMetadata(ctx, wanted)
}

// unmanagedMisfits returns why an unmanaged claim cannot replace the one that the profile would
// create.
func (r *reconciliation) unmanagedMisfits() []string {
	if r.claim == nil || r.own() || len(r.wanted.Claims) == 0 {
		return nil
	}
	return misfits(r.claim, r.wanted.Claims[0])
}

// compareVolume returns how a volume differs from the wanted one, and warns of one that only lacks
// the option of a read-only profile. Such a volume was created before mount.readOnly made volumes
// read-only: it holds the right data, so pods use it.
func (r *reconciliation) compareVolume(existing, wanted *corev1.PersistentVolume) []string {
	option := r.profile.ReadOnlyVolumeOption()
	if !slices.Contains(wanted.Spec.MountOptions, option) || slices.Contains(existing.Spec.MountOptions, option) {
		return volumeDifferences(existing, wanted)
	}
	r.warn(writableVolume(r.profile.Name, existing, wanted.Spec.MountOptions))
	writable := wanted.DeepCopy()
	writable.Spec.MountOptions = slices.DeleteFunc(writable.Spec.MountOptions, func(o string) bool { return o == option })
	return volumeDifferences(existing, writable)
}

// misfits returns why an unmanaged claim cannot replace the wanted one. Empty: it can.
func misfits(existing, wanted *corev1.PersistentVolumeClaim) []string {
	var why []string
	if missing := diagnose.Lacking(existing.Spec.AccessModes, wanted.Spec.AccessModes); len(missing) > 0 {
		why = append(why, fmt.Sprintf("its access modes are %s, which lacks %s",
			diagnose.Modes(existing.Spec.AccessModes), diagnose.Modes(missing)))
	}
	if have, want := sizeOf(existing), diagnose.Requested(wanted); have.Cmp(want) < 0 {
		why = append(why, fmt.Sprintf("its size is %s, less than %s", have.String(), want.String()))
	}
	if differsInSource(existing, wanted) {
		why = append(why, "it did not begin with the "+diagnose.SourceOf(wanted))
	}
	return append(why, sourceDifferences(existing, wanted)...)
}

// differences returns how an own claim differs from the profile, except for its size, which can
// grow.
func differences(existing, wanted *corev1.PersistentVolumeClaim) []string {
	var what []string
	have, want := existing.Spec.AccessModes, wanted.Spec.AccessModes
	if len(diagnose.Lacking(have, want))+len(diagnose.Lacking(want, have)) > 0 {
		what = append(what, fmt.Sprintf("its access modes are %s, not %s", diagnose.Modes(have), diagnose.Modes(want)))
	}
	return append(what, sourceDifferences(existing, wanted)...)
}

// sourceDifferences returns how the origin of a claim's data differs from the wanted one. A claim
// with the wanted volume has the wanted data, whatever its class is called. Where the profile leaves
// the class to the cluster ([storage.ClusterDefault]), every class is the wanted one: the API server
// has filled in the one that was the default then.
func sourceDifferences(existing, wanted *corev1.PersistentVolumeClaim) []string {
	var why []string
	have, want := existing.Spec, wanted.Spec
	switch {
	case want.VolumeName != "" && have.VolumeName != want.VolumeName:
		why = append(why, fmt.Sprintf("its volume is %q, not %q", have.VolumeName, want.VolumeName))
	case want.VolumeName == "" && want.StorageClassName != nil && diagnose.ClassOf(existing) != diagnose.ClassOf(wanted):
		why = append(why, fmt.Sprintf("its StorageClass is %q, not %q", diagnose.ClassOf(existing), diagnose.ClassOf(wanted)))
	}
	if diagnose.IsBlock(existing) {
		why = append(why, "its volumeMode is Block, but pods mount a file system")
	}
	return why
}

// sizeOf returns the size of a claim: its request, or its capacity where the volume is larger. A
// driver may round up: a claim for 1Gi may have a volume of 4Gi.
func sizeOf(claim *corev1.PersistentVolumeClaim) resource.Quantity {
	size, capacity := diagnose.Requested(claim), claim.Status.Capacity[corev1.ResourceStorage]
	if capacity.Cmp(size) > 0 {
		return capacity
	}
	return size
}

// classRefusal returns why a class of that name cannot be used. Empty: it can.
func classRefusal(existing, wanted *storagev1.StorageClass) string {
	if existing.Provisioner != wanted.Provisioner {
		return fmt.Sprintf("StorageClass %s exists with the provisioner %s, but the profile's backend needs %s: "+
			"give the profile another storageClass.name, or use the class with storageClass.create: false",
			existing.Name, existing.Provisioner, wanted.Provisioner)
	}
	if have, want := reclaimPolicy(existing), reclaimPolicy(wanted); have != want {
		return fmt.Sprintf("StorageClass %s exists with the reclaimPolicy %s, but the profile has %s, "+
			"which decides whether data outlives its claim: "+
			"give the profile another storageClass.name, recreate the class (a reclaimPolicy cannot be changed), "+
			"or accept the class as it is with storageClass.create: false", existing.Name, have, want)
	}
	return ""
}

// reclaimPolicy returns Delete where a class names none.
// Source: Kubernetes, Storage Classes, Reclaim policy.
func reclaimPolicy(class *storagev1.StorageClass) corev1.PersistentVolumeReclaimPolicy {
	return ptr.Deref(class.ReclaimPolicy, corev1.PersistentVolumeReclaimDelete)
}

// classDifferences returns how a class that can be used differs from the wanted one. A nil
// volumeBindingMode is Immediate, a nil allowVolumeExpansion is false.
// Source: Kubernetes, pkg/apis/storage/v1/defaults.go and storage/v1 StorageClass.
func classDifferences(existing, wanted *storagev1.StorageClass) []string {
	what := valueDifferences("parameter", existing.Parameters, wanted.Parameters)
	for _, key := range slices.Sorted(maps.Keys(existing.Parameters)) {
		if _, ok := wanted.Parameters[key]; !ok {
			what = append(what, fmt.Sprintf("it has the parameter %s: %q", key, existing.Parameters[key]))
		}
	}
	what = append(what, optionDifferences(existing.MountOptions, wanted.MountOptions)...)
	have, want := ptr.Deref(existing.VolumeBindingMode, storagev1.VolumeBindingImmediate),
		ptr.Deref(wanted.VolumeBindingMode, storagev1.VolumeBindingImmediate)
	if have != want {
		what = append(what, fmt.Sprintf("its volumeBindingMode is %s, not %s", have, want))
	}
	if have, want := ptr.Deref(existing.AllowVolumeExpansion, false),
		ptr.Deref(wanted.AllowVolumeExpansion, false); have != want {
		what = append(what, fmt.Sprintf("its allowVolumeExpansion is %t, not %t", have, want))
	}
	if have, want := topologies(existing), topologies(wanted); have != want {
		what = append(what, fmt.Sprintf("its allowedTopologies are %s, not %s", have, want))
	}
	return what
}

// topologies returns the allowed topologies of a class in one line: "zone=a,b or rack=1 and row=2".
func topologies(class *storagev1.StorageClass) string {
	var terms []string
	for _, term := range class.AllowedTopologies {
		var all []string
		for _, expression := range term.MatchLabelExpressions {
			all = append(all, expression.Key+"="+strings.Join(expression.Values, ","))
		}
		terms = append(terms, strings.Join(all, " and "))
	}
	return cmp.Or(strings.Join(terms, " or "), "unlimited")
}

// valueDifferences returns which wanted values are missing or different. kind is the singular word
// for a value in the sentence, such as parameter. The order is that of the sorted keys.
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

// optionDifferences compares mount options in their order, because a later option may override an
// earlier one.
// Source: mount(8), "the last option wins if there are conflicting ones".
func optionDifferences(have, want []string) []string {
	if slices.Equal(have, want) {
		return nil
	}
	return []string{fmt.Sprintf("its mount options are %q, not %q", have, want)}
}

// volumeRefusal returns why a volume of that name cannot be used. Empty: it can. Without a claimRef
// it is free, and the claim's volumeName reserves it.
func volumeRefusal(existing, wanted *corev1.PersistentVolume) string {
	ref, want := existing.Spec.ClaimRef, wanted.Spec.ClaimRef
	if ref == nil || (ref.Namespace == want.Namespace && ref.Name == want.Name) {
		return ""
	}
	return fmt.Sprintf("PersistentVolume %s belongs to the claim %s/%s, not to %s/%s: "+
		"give the profile another volume.name, or a namespace of its own",
		existing.Name, ref.Namespace, ref.Name, want.Namespace, want.Name)
}

// volumeDifferences returns how a volume holds other data than the wanted one, or treats it
// otherwise. Attributes that only the existing one has come from its driver or its author. Capacity
// and access modes are left out: they do not locate the data, and [diagnose.VolumeMisfits]
// checks them against the claim.
func volumeDifferences(existing, wanted *corev1.PersistentVolume) []string {
	var what []string
	have, want := existing.Spec, wanted.Spec
	switch from, to := dataSource(&have), dataSource(&want); {
	case from != to:
		what = append(what, fmt.Sprintf("its source is %s, not %s", from, to))
	case want.CSI != nil: // for some drivers the attributes, not the handle, locate the data
		what = append(what, valueDifferences("attribute", have.CSI.VolumeAttributes, want.CSI.VolumeAttributes)...)
	}
	what = append(what, optionDifferences(have.MountOptions, want.MountOptions)...)
	if have.PersistentVolumeReclaimPolicy != want.PersistentVolumeReclaimPolicy {
		what = append(what, fmt.Sprintf("its reclaim policy is %s, not %s",
			have.PersistentVolumeReclaimPolicy, want.PersistentVolumeReclaimPolicy))
	}
	if have.StorageClassName != want.StorageClassName {
		what = append(what, fmt.Sprintf("its StorageClass is %q, not %q", have.StorageClassName, want.StorageClassName))
	}
	return what
}

// dataSource describes where the data of a volume is, for the kinds of sources that profiles have.
// The text is compared, and stands in notes. For some CSI drivers the attributes locate the data as
// well, see [volumeDifferences].
func dataSource(spec *corev1.PersistentVolumeSpec) string {
	switch {
	case spec.CSI != nil:
		return fmt.Sprintf("%q of the driver %s", spec.CSI.VolumeHandle, spec.CSI.Driver)
	case spec.Local != nil:
		return fmt.Sprintf("the local path %q", spec.Local.Path)
	case spec.HostPath != nil:
		return fmt.Sprintf("the hostPath %q", spec.HostPath.Path)
	}
	return "of a kind that no profile has"
}

// Findings about differences. Each note has the difference and the next step.

// finding formats a note. The reason is one of package diagnose.
func finding(reason, format string, args ...any) diagnose.Finding {
	return diagnose.Finding{Reason: reason, Note: fmt.Sprintf(format, args...)}
}

// blockClaim is about a claim for a raw block device.
func blockClaim(claim string) diagnose.Finding {
	const format = "claim %s has volumeMode Block, but pods mount a file system: use another claim"
	return finding(diagnose.ReasonClaimDiffers, format, claim)
}

// unmanagedMisfit is about a claim that exists under the profile's name and cannot replace its own.
func unmanagedMisfit(profile, claim string, why []string) diagnose.Finding {
	const format = "claim %s exists, was not created by this installation and does not fit the profile %s: %s. " +
		"It is left as it is: give the profile another claim.name, or use this claim with claim.create: false"
	return finding(diagnose.ReasonClaimDiffers, format, claim, profile, strings.Join(why, "; "))
}

// ownDifference is about a claim of this installation whose profile was changed afterwards. Only
// the size and the VolumeAttributesClass of a bound claim can be changed.
// Source: Kubernetes, pkg/apis/core/validation ValidatePersistentVolumeClaimUpdate.
func ownDifference(profile, claim string, what []string) diagnose.Finding {
	const format = "claim %s no longer matches the profile %s: %s. A claim cannot be changed so: " +
		"restore the profile, or give it another claim.name and copy the data"
	return finding(diagnose.ReasonClaimDiffers, format, claim, profile, strings.Join(what, "; "))
}

// classDifference is about a class that pods can use in spite of its parameters.
func classDifference(profile, class string, what []string) diagnose.Finding {
	const format = "StorageClass %s exists and differs from the profile %s: %s. It is used as it is: " +
		"give the profile another storageClass.name, or put the profile in line with it"
	return finding(diagnose.ReasonClassDiffers, format, class, profile, strings.Join(what, "; "))
}

// otherVolume is about a volume that exists before the claim.
func otherVolume(profile, volume string, what []string) diagnose.Finding {
	const format = "PersistentVolume %s exists and differs from the profile %s: %s. " +
		"Nothing is created until that is resolved: give the profile another volume.name, put one of the two in line with " +
		"the other, " +
		"or accept the volume as it is with volume.create: false"
	return finding(diagnose.ReasonVolumeDiffers, format, volume, profile, strings.Join(what, "; "))
}

// boundVolume is about the volume of a bound claim.
func boundVolume(profile, claim, volume string, what []string) diagnose.Finding {
	const format = "claim %s is bound to PersistentVolume %s, which no longer matches the profile %s: %s. " +
		"Pods go on with the volume as it is: restore the profile, or give it another claim.name and volume.name"
	return finding(diagnose.ReasonVolumeDiffers, format, claim, volume, profile, strings.Join(what, "; "))
}

// writableVolume is about a volume that can be made read-only. Its source, and csi.readOnly with
// it, cannot be changed; its mount options can.
// Source: Kubernetes, pkg/apis/core/validation ValidatePersistentVolumeUpdate.
func writableVolume(profile string, existing *corev1.PersistentVolume, options []string) diagnose.Finding {
	const format = "PersistentVolume %s is writable for a pod that names the claim itself, " +
		"though the profile %s is read-only. " +
		"Run: kubectl patch persistentvolume %s --type=merge --patch='{\"spec\":{\"mountOptions\":%s}}'. " +
		"Then recreate the pods that use it"
	list, _ := json.Marshal(options) // strings always encode
	return finding(diagnose.ReasonVolumeWritable, format, existing.Name, profile, existing.Name, list)
}
