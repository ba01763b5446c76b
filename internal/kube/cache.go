package kube

import (
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
)

// Strip makes a cache transform of a function for one type. An object of another type, such as a
// tombstone, passes.
func Strip[T any](strip func(T) T) toolscache.TransformFunc {
	return func(object any) (any, error) {
		if typed, ok := object.(T); ok {
			return strip(typed), nil
		}
		return object, nil
	}
}

// Identity returns the metadata without which a cache cannot work, and the times.
func Identity(m *metav1.ObjectMeta) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name: m.Name, Namespace: m.Namespace, UID: m.UID, ResourceVersion: m.ResourceVersion,
		CreationTimestamp: m.CreationTimestamp, DeletionTimestamp: m.DeletionTimestamp,
	}
}

// CacheNamespaces stores names and labels of namespaces: selectors match labels.
func CacheNamespaces() cache.ByObject {
	return cache.ByObject{Transform: Strip(func(n *metav1.PartialObjectMetadata) *metav1.PartialObjectMetadata {
		stripped := &metav1.PartialObjectMetadata{TypeMeta: n.TypeMeta, ObjectMeta: Identity(&n.ObjectMeta)}
		stripped.Labels = n.Labels
		return stripped
	})}
}

// CacheWebhooks stores the MutatingWebhookConfigurations of every installation. Of the one named
// own it stores all fields but managedFields, so that a reader can compare its caBundle. Of the
// others it stores only which pods they select.
func CacheWebhooks(own string) cache.ByObject {
	type configuration = admissionregistrationv1.MutatingWebhookConfiguration
	return cache.ByObject{
		Label: labels.SelectorFromSet(labels.Set{LabelName: ProductName}),
		Transform: Strip(func(c *configuration) *configuration {
			if c.Name == own {
				c.ManagedFields = nil
				return c
			}
			stripped := &configuration{ObjectMeta: Identity(&c.ObjectMeta)}
			stripped.Labels = c.Labels
			for _, w := range c.Webhooks {
				stripped.Webhooks = append(stripped.Webhooks, admissionregistrationv1.MutatingWebhook{
					Name: w.Name, NamespaceSelector: w.NamespaceSelector, ObjectSelector: w.ObjectSelector,
				})
			}
			return stripped
		}),
	}
}
