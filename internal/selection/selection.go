package selection

import (
	"maps"
	"slices"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/pipeline-storage/pipeline-storage/internal/kube"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
)

// Selection is what selects the pods of one installation.
type Selection struct {
	// Object is the metadata of its MutatingWebhookConfiguration or of its MutatingAdmissionPolicy.
	Object metav1.Object
	// Kind is the kind of that: [kube.KindWebhookConfiguration] or [kube.KindPolicy].
	Kind string
	// Rules select pods, each by itself. They are in the order of the webhooks or of the bindings. A
	// policy without a binding has none, and selects nothing.
	Rules []Rule
}

// Rule is a webhook, or a binding together with its policy.
type Rule struct {
	// By is what a pod is selected by.
	By inject.SelectedBy
	// Namespaces and Pods match the labels of a namespace and of a pod in it. The rule selects the pod
	// where both match. Nil matches all.
	Namespaces, Pods *metav1.LabelSelector
	// Since is when the rule was created.
	Since time.Time
}

// OfWebhooks returns what a MutatingWebhookConfiguration selects.
func OfWebhooks(c *admissionregistrationv1.MutatingWebhookConfiguration) *Selection {
	s := &Selection{Object: c, Kind: kube.KindWebhookConfiguration}
	for i := range c.Webhooks {
		w := &c.Webhooks[i]
		rule := Rule{Namespaces: w.NamespaceSelector, Pods: w.ObjectSelector, Since: c.CreationTimestamp.Time}
		if service := w.ClientConfig.Service; service != nil && service.Path != nil {
			rule.By = inject.AdmissionPaths[*service.Path]
		}
		s.Rules = append(s.Rules, rule)
	}
	return s
}

// OfPolicy returns what a MutatingAdmissionPolicy selects by its own ones of the bindings: a request
// must match the policy's constraints and the binding's resources.
// Source: Kubernetes, admissionregistration/v1 MutatingAdmissionPolicyBindingSpec.matchResources.
func OfPolicy(
	p *admissionregistrationv1.MutatingAdmissionPolicy, bindings []admissionregistrationv1.MutatingAdmissionPolicyBinding,
) *Selection {
	s := &Selection{Object: p, Kind: kube.KindPolicy}
	namespaces, pods := selectors(p.Spec.MatchConstraints)
	for i := range bindings {
		b := &bindings[i]
		if b.Spec.PolicyName != p.Name {
			continue
		}
		ofNamespaces, ofPods := selectors(b.Spec.MatchResources)
		since := p.CreationTimestamp.Time
		if b.CreationTimestamp.After(since) {
			since = b.CreationTimestamp.Time
		}
		s.Rules = append(s.Rules, Rule{
			By: selectedBy(b), Namespaces: both(namespaces, ofNamespaces), Pods: both(pods, ofPods), Since: since,
		})
	}
	return s
}

// BindingName returns the name of the binding that selects pods by that.
// Source: charts/pipeline-storage/templates.
func BindingName(policy string, by inject.SelectedBy) string {
	if by == inject.SelectedByLabel {
		return policy
	}
	return policy + "." + string(by)
}

// selectedBy returns what a binding selects pods by. Its name has it; a binding of a third party
// counts as one for the label.
func selectedBy(b *admissionregistrationv1.MutatingAdmissionPolicyBinding) inject.SelectedBy {
	for _, by := range []inject.SelectedBy{inject.SelectedByNamespace, inject.SelectedByPodSelector} {
		if b.Name == BindingName(b.Spec.PolicyName, by) {
			return by
		}
	}
	return inject.SelectedByLabel
}

// selectors returns the selectors of namespaces and of objects. Nil resources restrict nothing.
func selectors(r *admissionregistrationv1.MatchResources) (namespaces, objects *metav1.LabelSelector) {
	if r == nil {
		return nil, nil
	}
	return r.NamespaceSelector, r.ObjectSelector
}

// both returns a selector that matches the labels that a and b match. It changes neither.
func both(a, b *metav1.LabelSelector) *metav1.LabelSelector {
	switch {
	case isEmpty(a):
		return b
	case isEmpty(b):
		return a
	}
	joined := a.DeepCopy()
	for _, key := range slices.Sorted(maps.Keys(b.MatchLabels)) { // a may have the same key
		joined.MatchExpressions = append(joined.MatchExpressions, metav1.LabelSelectorRequirement{
			Key: key, Operator: metav1.LabelSelectorOpIn, Values: []string{b.MatchLabels[key]},
		})
	}
	joined.MatchExpressions = append(joined.MatchExpressions, b.MatchExpressions...)
	return joined
}

// isEmpty reports whether a selector matches everything.
func isEmpty(s *metav1.LabelSelector) bool {
	return s == nil || len(s.MatchLabels)+len(s.MatchExpressions) == 0
}

// Matches reports whether a selector matches these labels. The API server has checked the selector. A
// nil selector of a webhook or a policy matches all, but for metav1.LabelSelectorAsSelector none.
// Source: Kubernetes, admissionregistration/v1 MutatingWebhook and MatchResources; apimachinery, metav1.
func Matches(selector *metav1.LabelSelector, set map[string]string) bool {
	if selector == nil {
		return true
	}
	s, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && s.Matches(labels.Set(set))
}

// MatchesNamespace reports whether the rule selects pods of a namespace with these labels.
func (r *Rule) MatchesNamespace(set map[string]string) bool { return Matches(r.Namespaces, set) }

// MatchesNamespace reports whether a rule selects pods of a namespace with these labels. A nil
// Selection has no rules.
func (s *Selection) MatchesNamespace(set map[string]string) bool {
	return s != nil && slices.ContainsFunc(s.Rules, func(r Rule) bool { return r.MatchesNamespace(set) })
}

// String returns KIND NAME.
func (s *Selection) String() string { return s.Kind + " " + s.Object.GetName() }

// Reference refers to the object, for Events.
func (s *Selection) Reference() *corev1.ObjectReference {
	return kube.AdmissionReference(s.Kind, s.Object)
}
