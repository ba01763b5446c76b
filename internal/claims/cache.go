package claims

import (
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

const (
	// labelName with productName finds the MutatingWebhookConfigurations of every installation.
	// Source: Kubernetes, Recommended Labels.
	labelName   = "app.kubernetes.io/name"
	productName = "pipeline-storage"
)

// CacheOptions returns what the manager's cache must hold and what it leaves out: the API server selects, so that pods
// without the label, finished pods and claims of others never arrive, and what arrives is stripped. Another user of the
// same cache gets the same selection; the MutatingWebhookConfiguration of the installation itself keeps all its fields.
func CacheOptions(o Options) cache.Options {
	return cache.Options{
		DefaultTransform: cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&corev1.Pod{}: {
				Label: labels.SelectorFromSet(labels.Set{kinds.Label: kinds.LabelEnabled}),
				Field: unfinished(), Transform: strip(stripPod(o.Config)),
			},
			&corev1.Namespace{}: {Transform: strip(stripNamespace)},
			&corev1.PersistentVolumeClaim{}: {
				Label:     labels.SelectorFromSet(labels.Set{storage.LabelInstallation: o.Installation}),
				Transform: strip(stripClaim),
			},
			&admissionregistrationv1.MutatingWebhookConfiguration{}: {
				Label: labels.SelectorFromSet(labels.Set{labelName: productName}), Transform: stripWebhooks(o.WebhookConfiguration),
			},
		},
	}
}

// unfinished selects pods that still need their storage. Finished pods of Jobs would otherwise count as users for ever.
func unfinished() fields.Selector {
	return fields.AndSelectors(
		fields.OneTermNotEqualSelector("status.phase", string(corev1.PodSucceeded)),
		fields.OneTermNotEqualSelector("status.phase", string(corev1.PodFailed)),
	)
}

// strip makes a transform of a function for one type. What is of another type (a tombstone) passes.
func strip[T any](keep func(T) T) toolscache.TransformFunc {
	return func(object any) (any, error) {
		if typed, ok := object.(T); ok {
			return keep(typed), nil
		}
		return object, nil
	}
}

// identity is the metadata without which a cache cannot work, and the times.
func identity(m *metav1.ObjectMeta) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name: m.Name, Namespace: m.Namespace, UID: m.UID, ResourceVersion: m.ResourceVersion,
		CreationTimestamp: m.CreationTimestamp, DeletionTimestamp: m.DeletionTimestamp,
	}
}

// maxKept is how many bytes of a value are kept: as many as a name has. Source: Kubernetes, IsDNS1123Subdomain.
const maxKept = 253

// only keeps some labels or annotations.
func only(all map[string]string, keys ...string) map[string]string {
	var kept map[string]string
	for _, key := range keys {
		if value, ok := all[key]; ok {
			if kept == nil {
				kept = make(map[string]string, 1)
			}
			kept[key] = strings.Clone(value[:min(len(value), maxKept)])
		}
	}
	return kept
}

func stripPod(config func() *storage.Config) func(*metav1.PartialObjectMetadata) *metav1.PartialObjectMetadata {
	return func(pod *metav1.PartialObjectMetadata) *metav1.PartialObjectMetadata {
		kept := &metav1.PartialObjectMetadata{TypeMeta: pod.TypeMeta, ObjectMeta: identity(&pod.ObjectMeta)}
		if injected, ok := pod.Annotations[inject.AnnotationInjected]; ok {
			kept.Annotations = map[string]string{inject.AnnotationInjected: fewProfiles(config(), injected)}
		}
		return kept
	}
}

// stripNamespace keeps the labels: selectors look at them.
func stripNamespace(namespace *metav1.PartialObjectMetadata) *metav1.PartialObjectMetadata {
	kept := &metav1.PartialObjectMetadata{TypeMeta: namespace.TypeMeta, ObjectMeta: identity(&namespace.ObjectMeta)}
	kept.Labels = namespace.Labels
	return kept
}

// stripClaim keeps of a claim what the controller compares. Whoever may write claims in a namespace can give them our label, so
// nothing is kept that grows with what is written there.
func stripClaim(claim *corev1.PersistentVolumeClaim) *corev1.PersistentVolumeClaim {
	kept := &corev1.PersistentVolumeClaim{ObjectMeta: identity(&claim.ObjectMeta)}
	kept.Labels = only(claim.Labels, storage.LabelInstallation, storage.LabelProfile, diagnose.LabelManagedBy)
	kept.Annotations = only(claim.Annotations, diagnose.AnnotationHelmRelease, diagnose.AnnotationSelectedNode)
	spec := &claim.Spec
	kept.Spec = corev1.PersistentVolumeClaimSpec{
		AccessModes: spec.AccessModes, StorageClassName: spec.StorageClassName, VolumeName: spec.VolumeName, VolumeMode: spec.VolumeMode,
	}
	if size, ok := spec.Resources.Requests[corev1.ResourceStorage]; ok {
		kept.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: size}
	}
	kept.Status.Phase = claim.Status.Phase
	if capacity, ok := claim.Status.Capacity[corev1.ResourceStorage]; ok {
		kept.Status.Capacity = corev1.ResourceList{corev1.ResourceStorage: capacity}
	}
	return kept
}

// stripWebhooks keeps of other installations what says which pods they take. Of the own one it keeps all but
// managedFields, so that this cache can also tell what caBundle is live.
func stripWebhooks(own string) toolscache.TransformFunc {
	return strip(func(c *admissionregistrationv1.MutatingWebhookConfiguration) *admissionregistrationv1.MutatingWebhookConfiguration {
		if c.Name == own {
			c.ManagedFields = nil
			return c
		}
		kept := &admissionregistrationv1.MutatingWebhookConfiguration{ObjectMeta: identity(&c.ObjectMeta)}
		kept.Labels = c.Labels
		for i := range c.Webhooks {
			kept.Webhooks = append(kept.Webhooks, admissionregistrationv1.MutatingWebhook{
				Name: c.Webhooks[i].Name, NamespaceSelector: c.Webhooks[i].NamespaceSelector, ObjectSelector: c.Webhooks[i].ObjectSelector,
			})
		}
		return kept
	})
}
