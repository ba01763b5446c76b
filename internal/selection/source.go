package selection

import (
	"context"
	"fmt"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pipeline-storage/pipeline-storage/internal/kube"
)

// Source is where a program finds the selection of its own installation. The zero Source has none.
type Source struct {
	// Kind is [kube.KindWebhookConfiguration] or [kube.KindPolicy].
	Kind string
	// Name is the name of that object. Empty: there is no selection.
	Name string
}

// ByWebhooks is the source of an installation with a webhook.
func ByWebhooks(name string) Source { return Source{Kind: kube.KindWebhookConfiguration, Name: name} }

// ByPolicy is the source of an installation in policy mode.
func ByPolicy(name string) Source { return Source{Kind: kube.KindPolicy, Name: name} }

// IsPolicy reports whether policies select the pods. Only then may a program watch policies: an API
// server before Kubernetes 1.36 does not serve them, and a cache would wait for them forever.
func (s Source) IsPolicy() bool { return s.Kind == kube.KindPolicy }

// Objects are empty objects of the kinds from which the selection is read, to watch.
func (s Source) Objects() []client.Object {
	if s.IsPolicy() {
		return []client.Object{
			&admissionregistrationv1.MutatingAdmissionPolicy{}, &admissionregistrationv1.MutatingAdmissionPolicyBinding{},
		}
	}
	return []client.Object{&admissionregistrationv1.MutatingWebhookConfiguration{}}
}

// Cache returns what a manager's cache stores of the selections of every installation.
func (s Source) Cache() map[client.Object]cache.ByObject {
	if s.IsPolicy() {
		return map[client.Object]cache.ByObject{
			&admissionregistrationv1.MutatingWebhookConfiguration{}:   kube.CacheWebhooks(""),
			&admissionregistrationv1.MutatingAdmissionPolicy{}:        kube.CachePolicies(),
			&admissionregistrationv1.MutatingAdmissionPolicyBinding{}: kube.CachePolicyBindings(),
		}
	}
	return map[client.Object]cache.ByObject{
		&admissionregistrationv1.MutatingWebhookConfiguration{}: kube.CacheWebhooks(s.Name),
	}
}

// Read reads the selection, and returns nil when its object does not exist. A cache has only objects
// with the product's label, which a third party may have removed: then live is read.
func (s Source) Read(ctx context.Context, cached, live client.Reader) (*Selection, error) {
	if !s.IsPolicy() {
		own, err := kube.ReadWebhookConfiguration(ctx, s.Name, cached, live)
		if err != nil || own == nil {
			return nil, err
		}
		return OfWebhooks(own), nil
	}
	own := &admissionregistrationv1.MutatingAdmissionPolicy{}
	if found, err := kube.ReadFirst(ctx, s.Kind, s.Name, own, cached, live); err != nil || !found {
		return nil, err
	}
	var bindings admissionregistrationv1.MutatingAdmissionPolicyBindingList
	if err := cached.List(ctx, &bindings, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list MutatingAdmissionPolicyBindings: %w", err)
	}
	return OfPolicy(own, bindings.Items), nil
}

// Namespaces returns the selectors of namespaces of an object from which the selection is read. Nil:
// it is another installation's. Nil within the list matches every namespace.
func (s Source) Namespaces(object client.Object) []*metav1.LabelSelector {
	var owner string
	var namespaces []*metav1.LabelSelector
	switch o := object.(type) {
	case *admissionregistrationv1.MutatingWebhookConfiguration:
		owner = o.Name
		for i := range o.Webhooks {
			namespaces = append(namespaces, o.Webhooks[i].NamespaceSelector)
		}
	case *admissionregistrationv1.MutatingAdmissionPolicy:
		selector, _ := selectors(o.Spec.MatchConstraints)
		owner, namespaces = o.Name, append(namespaces, selector)
	case *admissionregistrationv1.MutatingAdmissionPolicyBinding:
		selector, _ := selectors(o.Spec.MatchResources)
		owner, namespaces = o.Spec.PolicyName, append(namespaces, selector)
	}
	if owner != s.Name {
		return nil
	}
	return namespaces
}

// Installed returns the selections of every installation, in each mode: those of its webhooks, and
// those of its policies, each in the order of their reader.
//
// Policies may be read without a cache. Then an API server that does not serve them has none, and so
// has an account that may not list them: the webhooks are returned all the same.
func Installed(ctx context.Context, webhooks, policies client.Reader) ([]*Selection, error) {
	var all []*Selection
	var configurations admissionregistrationv1.MutatingWebhookConfigurationList
	product := client.MatchingLabels{kube.LabelName: kube.ProductName}
	if err := webhooks.List(ctx, &configurations, product); err != nil {
		return nil, fmt.Errorf("list MutatingWebhookConfigurations: %w", err)
	}
	for i := range configurations.Items {
		all = append(all, OfWebhooks(&configurations.Items[i]))
	}
	var list admissionregistrationv1.MutatingAdmissionPolicyList
	var bindings admissionregistrationv1.MutatingAdmissionPolicyBindingList
	err := policies.List(ctx, &list, product)
	if err == nil && len(list.Items) > 0 {
		err = policies.List(ctx, &bindings)
	}
	switch {
	case kube.IsUnserved(err), apierrors.IsForbidden(err):
		return all, nil
	case err != nil:
		return nil, fmt.Errorf("list MutatingAdmissionPolicies and their bindings: %w", err)
	}
	for i := range list.Items {
		all = append(all, OfPolicy(&list.Items[i], bindings.Items))
	}
	return all, nil
}
