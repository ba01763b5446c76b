package claims

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
	"github.com/pipeline-storage/pipeline-storage/internal/kube"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

const (
	// maxUnknownProfiles is how many names the cache stores of a pod's injected annotation that are
	// no profiles in force. The replica that wrote them may have read a newer file, and a profile
	// that was removed is reported.
	maxUnknownProfiles = 4
	// maxValue is how many bytes of a value are stored: as many as a name has.
	// Source: Kubernetes, IsDNS1123Subdomain.
	maxValue = 253
)

// CacheOptions returns what the manager's cache must hold and what it leaves out. The API server
// selects, so that pods without the label, finished pods and unmanaged claims never arrive. Objects
// that arrive are stripped. Another reader of the same cache gets the same selection; what selects
// namespaces is stored as [selection.Source.Cache] has it.
func CacheOptions(o Options) cache.Options {
	by := map[client.Object]cache.ByObject{
		&corev1.Pod{}: {
			Label: labels.SelectorFromSet(labels.Set{kinds.Label: kinds.LabelEnabled}),
			Field: unfinished(), Transform: kube.Strip(stripPod(o.Config)),
		},
		&corev1.Namespace{}: kube.CacheNamespaces(),
		&corev1.PersistentVolumeClaim{}: {
			Label:     labels.SelectorFromSet(labels.Set{storage.LabelInstallation: o.Installation}),
			Transform: kube.Strip(stripClaim),
		},
	}
	maps.Copy(by, o.Selection.Cache())
	return cache.Options{DefaultTransform: cache.TransformStripManagedFields(), ByObject: by}
}

// unfinished selects pods that still need their storage. Finished pods of Jobs would otherwise
// count as users forever. The API server supports status.phase as a field selector of pods.
// Source: Kubernetes, Field Selectors, "List of supported fields".
func unfinished() fields.Selector {
	return fields.AndSelectors(
		fields.OneTermNotEqualSelector("status.phase", string(corev1.PodSucceeded)),
		fields.OneTermNotEqualSelector("status.phase", string(corev1.PodFailed)),
	)
}

// stripPod returns the transform for pods. It reads the configuration for each pod, because
// profiles may have changed since the last one.
func stripPod(config func() *storage.Config) func(*metav1.PartialObjectMetadata) *metav1.PartialObjectMetadata {
	return func(pod *metav1.PartialObjectMetadata) *metav1.PartialObjectMetadata {
		stripped := &metav1.PartialObjectMetadata{TypeMeta: pod.TypeMeta, ObjectMeta: kube.Identity(&pod.ObjectMeta)}
		if injected, ok := pod.Annotations[inject.AnnotationInjected]; ok {
			stripped.Annotations = map[string]string{inject.AnnotationInjected: boundedProfiles(config(), injected)}
		}
		return stripped
	}
}

// boundedProfiles returns the part of an injected annotation that the cache stores: the profiles in
// force, whose number the administrator decides, and at most [maxUnknownProfiles] other names. The
// author of a pod can write 256 KiB there.
func boundedProfiles(config *storage.Config, annotation string) string {
	if config.Profile(annotation) != nil { // the usual pod
		return strings.Clone(annotation)
	}
	names := inject.InjectedProfiles(map[string]string{inject.AnnotationInjected: annotation})
	unknown := 0
	bounded := strings.Join(slices.DeleteFunc(names, func(name string) bool {
		if config.Profile(name) != nil {
			return false
		}
		unknown++
		return unknown > maxUnknownProfiles
	}), ",")
	return strings.Clone(bounded) // a part of the annotation would retain all of it in memory
}

// stripClaim returns the part of a claim that the controller compares. Anyone who can write claims
// in a namespace can give them the label of this installation. So nothing is stored that grows with
// its author's input.
func stripClaim(claim *corev1.PersistentVolumeClaim) *corev1.PersistentVolumeClaim {
	stripped := &corev1.PersistentVolumeClaim{ObjectMeta: kube.Identity(&claim.ObjectMeta)}
	stripped.Labels = subset(claim.Labels, storage.LabelInstallation, storage.LabelProfile, diagnose.LabelManagedBy)
	stripped.Annotations = subset(claim.Annotations, diagnose.AnnotationHelmRelease, diagnose.AnnotationSelectedNode)
	stripped.ManagedFields = diagnose.SizeFields(claim.ManagedFields)
	spec := &claim.Spec
	stripped.Spec = corev1.PersistentVolumeClaimSpec{
		AccessModes: spec.AccessModes, StorageClassName: spec.StorageClassName, VolumeName: spec.VolumeName,
		VolumeMode: spec.VolumeMode, DataSourceRef: stripSource(spec.DataSourceRef),
	}
	if size, ok := spec.Resources.Requests[corev1.ResourceStorage]; ok {
		stripped.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: size}
	}
	stripped.Status.Phase = claim.Status.Phase
	if capacity, ok := claim.Status.Capacity[corev1.ResourceStorage]; ok {
		stripped.Status.Capacity = corev1.ResourceList{corev1.ResourceStorage: capacity}
	}
	stripResize(&claim.Status, &stripped.Status)
	return stripped
}

// stripResize copies what [diagnose.Infeasible] reads, for a claim whose expansion has failed.
func stripResize(status, stripped *corev1.PersistentVolumeClaimStatus) {
	state, ok := status.AllocatedResourceStatuses[corev1.ResourceStorage]
	if !ok {
		return
	}
	stripped.AllocatedResourceStatuses = map[corev1.ResourceName]corev1.ClaimResourceStatus{
		corev1.ResourceStorage: corev1.ClaimResourceStatus(bounded(string(state))),
	}
	if size, ok := status.AllocatedResources[corev1.ResourceStorage]; ok {
		stripped.AllocatedResources = corev1.ResourceList{corev1.ResourceStorage: size}
	}
	for _, c := range status.Conditions {
		if c.Type == corev1.PersistentVolumeClaimControllerResizeError ||
			c.Type == corev1.PersistentVolumeClaimNodeResizeError {
			c := corev1.PersistentVolumeClaimCondition{Type: c.Type, Status: c.Status, Message: bounded(c.Message)}
			stripped.Conditions = append(stripped.Conditions, c)
		}
	}
}

// stripSource returns the dataSource of a claim. The API server does not bound its kind and name.
// Source: Kubernetes, pkg/apis/core/validation validateDataSourceRef.
func stripSource(ref *corev1.TypedObjectReference) *corev1.TypedObjectReference {
	if ref == nil {
		return nil
	}
	stripped := &corev1.TypedObjectReference{Kind: bounded(ref.Kind), Name: bounded(ref.Name)}
	if ref.APIGroup != nil {
		stripped.APIGroup = new(bounded(*ref.APIGroup))
	}
	if ref.Namespace != nil {
		stripped.Namespace = new(bounded(*ref.Namespace))
	}
	return stripped
}

// bounded returns a copy of the beginning of a value: a part of it would retain all of it in memory.
func bounded(value string) string { return strings.Clone(value[:min(len(value), maxValue)]) }

// subset returns some labels or annotations, with bounded values.
func subset(all map[string]string, keys ...string) map[string]string {
	var some map[string]string
	for _, key := range keys {
		if value, ok := all[key]; ok {
			if some == nil {
				some = make(map[string]string, 1)
			}
			some[key] = bounded(value)
		}
	}
	return some
}
