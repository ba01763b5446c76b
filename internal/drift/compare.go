package drift

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	v1 "k8s.io/api/admissionregistration/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// maxDifferences is how many webhooks a report names. The writer of the live object chooses their
// number.
const maxDifferences = 5

// exclusions are the requirements that a cloud adds to the namespaceSelector of every webhook. They
// only exclude that cloud's own namespaces, so they are no drift.
//
// Source: AKS, FAQ, "Can admission controller webhooks impact kube-system and internal AKS
// namespaces?"; the requirements are those of github.com/Azure/AKS issues 1771 and 4002.
var exclusions = []metav1.LabelSelectorRequirement{
	{Key: "control-plane", Operator: metav1.LabelSelectorOpDoesNotExist},
	{Key: "control-plane", Operator: metav1.LabelSelectorOpNotIn, Values: []string{"true"}},
	{Key: "kubernetes.azure.com/managedby", Operator: metav1.LabelSelectorOpNotIn, Values: []string{"aks"}},
}

// Differences returns a phrase for each webhook that is not as expected, with the names of its
// fields and none of their values. It is empty when the live webhooks are as installed. It ignores
// caBundles, the order of the webhooks and of a selector's requirements, and the exclusions that a
// cloud adds.
func (e *Expected) Differences(live []v1.MutatingWebhook) []string {
	var found []string
	have := byName(defaulted(live))
	for i := range e.Webhooks {
		want := &e.Webhooks[i]
		actual, ok := have[want.Name]
		switch fields := changed(want, actual); {
		case !ok:
			found = append(found, fmt.Sprintf("webhook %s is missing", want.Name))
		case len(fields) > 0:
			found = append(found, fmt.Sprintf("webhook %s: %s", want.Name, strings.Join(fields, ", ")))
		}
	}
	want := byName(e.Webhooks)
	for i := range live {
		if _, ok := want[live[i].Name]; !ok {
			found = append(found, fmt.Sprintf("webhook %s is additional", live[i].Name))
		}
	}
	if more := len(found) - maxDifferences; more > 0 {
		found = append(found[:maxDifferences], fmt.Sprintf("%d more webhooks", more))
	}
	return found
}

// excluded returns the keys of the exclusions that a cloud has added.
func (e *Expected) excluded(live []v1.MutatingWebhook) []string {
	var keys []string
	have := byName(live)
	for i := range e.Webhooks {
		for _, r := range added(&e.Webhooks[i], have[e.Webhooks[i].Name]) {
			keys = append(keys, r.Key)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// restored returns the webhooks to write: those expected, with the caBundles and a cloud's
// exclusions of the live ones.
func (e *Expected) restored(live []v1.MutatingWebhook) []v1.MutatingWebhook {
	have := byName(live)
	webhooks := make([]v1.MutatingWebhook, len(e.Webhooks))
	for i := range e.Webhooks {
		e.Webhooks[i].DeepCopyInto(&webhooks[i])
		actual, ok := have[e.Webhooks[i].Name]
		if !ok {
			continue
		}
		webhooks[i].ClientConfig.CABundle = actual.ClientConfig.CABundle
		selector := webhooks[i].NamespaceSelector
		selector.MatchExpressions = append(selector.MatchExpressions, added(&e.Webhooks[i], actual)...)
	}
	return webhooks
}

// byName maps webhooks by their names, which are unique in one object.
// Source: Kubernetes, pkg/apis/admissionregistration/validation.
func byName(webhooks []v1.MutatingWebhook) map[string]*v1.MutatingWebhook {
	named := make(map[string]*v1.MutatingWebhook, len(webhooks))
	for i := range webhooks {
		named[webhooks[i].Name] = &webhooks[i]
	}
	return named
}

// added returns the exclusions that the live webhook has in addition to those expected.
func added(want, actual *v1.MutatingWebhook) []metav1.LabelSelectorRequirement {
	if actual == nil || actual.NamespaceSelector == nil {
		return nil
	}
	var more []metav1.LabelSelectorRequirement
	for _, r := range actual.NamespaceSelector.MatchExpressions {
		if has(exclusions, r) && !has(want.NamespaceSelector.MatchExpressions, r) {
			more = append(more, r)
		}
	}
	return more
}

// has compares with semantic equality, for which a nil list equals an empty one.
func has(all []metav1.LabelSelectorRequirement, one metav1.LabelSelectorRequirement) bool {
	return slices.ContainsFunc(all, func(r metav1.LabelSelectorRequirement) bool {
		return apiequality.Semantic.DeepEqual(r, one)
	})
}

// changed returns the JSON names of the fields that differ. A nil webhook has none.
func changed(want, actual *v1.MutatingWebhook) []string {
	if actual == nil {
		return nil
	}
	more := added(want, actual)
	want, actual = want.DeepCopy(), actual.DeepCopy()
	actual.NamespaceSelector.MatchExpressions = slices.DeleteFunc(actual.NamespaceSelector.MatchExpressions,
		func(r metav1.LabelSelectorRequirement) bool { return has(more, r) })
	for _, w := range []*v1.MutatingWebhook{want, actual} {
		w.ClientConfig.CABundle = nil
		sortSelector(w.NamespaceSelector)
		sortSelector(w.ObjectSelector)
	}
	return changedFields("", reflect.ValueOf(*want), reflect.ValueOf(*actual))
}

// changedFields compares two structs field by field, so that a field that a later API version adds
// is compared as well. The fields of clientConfig are named one by one.
func changedFields(prefix string, want, actual reflect.Value) []string {
	var names []string
	for i := range want.NumField() {
		field := want.Type().Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case field.Type == reflect.TypeFor[v1.WebhookClientConfig]():
			names = append(names, changedFields(name+".", want.Field(i), actual.Field(i))...)
		case !apiequality.Semantic.DeepEqual(want.Field(i).Interface(), actual.Field(i).Interface()):
			names = append(names, prefix+name)
		}
	}
	return names
}

// sortSelector sorts requirements and their values, whose order means nothing.
func sortSelector(s *metav1.LabelSelector) {
	for i := range s.MatchExpressions {
		slices.Sort(s.MatchExpressions[i].Values)
	}
	slices.SortFunc(s.MatchExpressions, func(a, b metav1.LabelSelectorRequirement) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Operator, b.Operator), slices.Compare(a.Values, b.Values))
	})
}

// defaulted returns a copy of the webhooks as the API server stores them.
// Source: Kubernetes, pkg/apis/admissionregistration/v1/defaults.go.
func defaulted(webhooks []v1.MutatingWebhook) []v1.MutatingWebhook {
	all := make([]v1.MutatingWebhook, len(webhooks))
	for i := range webhooks {
		webhooks[i].DeepCopyInto(&all[i])
		w := &all[i]
		setDefault(&w.FailurePolicy, v1.Fail)
		setDefault(&w.MatchPolicy, v1.Equivalent)
		setDefault(&w.NamespaceSelector, metav1.LabelSelector{})
		setDefault(&w.ObjectSelector, metav1.LabelSelector{})
		setDefault(&w.TimeoutSeconds, 10)
		setDefault(&w.ReinvocationPolicy, v1.NeverReinvocationPolicy)
		if w.ClientConfig.Service != nil {
			setDefault(&w.ClientConfig.Service.Port, 443)
		}
		for j := range w.Rules {
			setDefault(&w.Rules[j].Scope, v1.AllScopes)
		}
	}
	return all
}

// setDefault sets a field that is nil.
func setDefault[T any](field **T, value T) {
	if *field == nil {
		*field = &value
	}
}
