package diagnose

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// Metadata of claims that is read.
const (
	// AnnotationHelmRelease is on everything that belongs to a Helm release, with
	// app.kubernetes.io/managed-by.
	// Source: Helm, pkg/action/validate.go.
	AnnotationHelmRelease = "meta.helm.sh/release-name"
	// LabelManagedBy with the value Helm is on the same objects.
	// Source: Kubernetes, Recommended Labels.
	LabelManagedBy = "app.kubernetes.io/managed-by"
	managedByHelm  = "Helm"
	// AnnotationSelectedNode is what the scheduler writes on a claim when it has chosen a node for
	// its first consumer.
	// Source: Kubernetes, component-helpers/storage/volume.AnnSelectedNode.
	AnnotationSelectedNode = "volume.kubernetes.io/selected-node"
)

// Lacking returns the wanted modes that are missing.
func Lacking(have, want []corev1.PersistentVolumeAccessMode) []corev1.PersistentVolumeAccessMode {
	var missing []corev1.PersistentVolumeAccessMode
	for _, mode := range want {
		if !slices.Contains(have, mode) {
			missing = append(missing, mode)
		}
	}
	return missing
}

// Modes returns access modes in one line. It uses the names of the API: ReadWriteOnce, not RWO.
func Modes(list []corev1.PersistentVolumeAccessMode) string {
	names := make([]string, len(list))
	for i, mode := range list {
		names[i] = string(mode)
	}
	return strings.Join(names, ", ")
}

// Requested returns the size that a claim requests. It is zero for a claim that requests nothing,
// which the API server refuses.
func Requested(claim *corev1.PersistentVolumeClaim) resource.Quantity {
	return claim.Spec.Resources.Requests[corev1.ResourceStorage]
}

// ClassOf returns the name of the class of a claim, empty where it names none. An empty name is
// also what a claim without dynamic provisioning has.
func ClassOf(claim *corev1.PersistentVolumeClaim) string {
	if claim.Spec.StorageClassName == nil {
		return ""
	}
	return *claim.Spec.StorageClassName
}

// IsBlock reports whether a claim is for a block device, which no pod can mount as a directory.
func IsBlock(claim *corev1.PersistentVolumeClaim) bool {
	return claim.Spec.VolumeMode != nil && *claim.Spec.VolumeMode == corev1.PersistentVolumeBlock
}

// OwnedBy reports whether an installation created the claim. A claim of a Helm release is Helm's,
// with any other label.
func OwnedBy(installation string, claim *corev1.PersistentVolumeClaim) bool {
	_, helm := claim.Annotations[AnnotationHelmRelease]
	return claim.Labels[storage.LabelInstallation] == installation && !helm &&
		claim.Labels[LabelManagedBy] != managedByHelm
}
