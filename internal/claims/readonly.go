package claims

import (
	"encoding/json"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
)

// differing returns in what a volume is not the wanted one, and warns of one that only lacks the option of a read-only
// profile. Such a volume was created before mount.readOnly made volumes read-only: it holds the right data, so pods use it.
func (v *visit) differing(existing, wanted *corev1.PersistentVolume) []string {
	option := v.profile.ReadOnlyVolumeOption()
	if !slices.Contains(wanted.Spec.MountOptions, option) || slices.Contains(existing.Spec.MountOptions, option) {
		return volumeDifferences(existing, wanted)
	}
	v.warn(writableVolume(v.profile.Name, existing, wanted.Spec.MountOptions))
	writable := wanted.DeepCopy()
	writable.Spec.MountOptions = slices.DeleteFunc(writable.Spec.MountOptions, func(o string) bool { return o == option })
	return volumeDifferences(existing, writable)
}

// writableVolume reports how to make a volume read-only. Its source, and csi.readOnly with it, cannot be changed; its mount
// options can. Source: Kubernetes, pkg/apis/core/validation ValidatePersistentVolumeUpdate.
func writableVolume(profile string, existing *corev1.PersistentVolume, options []string) diagnose.Finding {
	list, _ := json.Marshal(options) // strings always encode
	return diagnose.Finding{Reason: diagnose.ReasonVolumeWritable, Note: fmt.Sprintf("PersistentVolume %s is writable for a pod that names the claim itself, "+
		"though the profile %s is read-only. Run: kubectl patch persistentvolume %s --type=merge --patch='{\"spec\":{\"mountOptions\":%s}}'. "+
		"Then recreate the pods that use it", existing.Name, profile, existing.Name, list)}
}
