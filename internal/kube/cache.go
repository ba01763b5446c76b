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

// CachePolicies stores which pods the MutatingAdmissionPolicies of every installation select, without
// their CEL.
func CachePolicies() cache.ByObject {
	type policy = admissionregistrationv1.MutatingAdmissionPolicy
	return cache.ByObject{
		Label: labels.SelectorFromSet(labels.Set{LabelName: ProductName}),
		Transform: Strip(func(p *policy) *policy {
			stripped := &policy{ObjectMeta: Identity(&p.ObjectMeta)}
			stripped.Labels = p.Labels
			stripped.Spec.MatchConstraints = selectorsOf(p.Spec.MatchConstraints)
			return stripped
		}),
	}
}

// CachePolicyBindings stores which pods every MutatingAdmissionPolicyBinding of the cluster selects. It
// does not look at labels: the API server follows a binding that has none, too.
func CachePolicyBindings() cache.ByObject {
	type binding = admissionregistrationv1.MutatingAdmissionPolicyBinding
	return cache.ByObject{Transform: Strip(func(b *binding) *binding {
		stripped := &binding{ObjectMeta: Identity(&b.ObjectMeta)}
		stripped.Spec.PolicyName, stripped.Spec.MatchResources = b.Spec.PolicyName, selectorsOf(b.Spec.MatchResources)
		return stripped
	})}
}

// selectorsOf returns resources with their selectors only.
func selectorsOf(r *admissionregistrationv1.MatchResources) *admissionregistrationv1.MatchResources {
	if r == nil {
		return nil
	}
	return &admissionregistrationv1.MatchResources{
		NamespaceSelector: r.NamespaceSelector, ObjectSelector: r.ObjectSelector,
	}
}
