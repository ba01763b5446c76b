package status

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pipeline-storage/pipeline-storage/internal/selection"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
)

// rulesWithoutLabel returns the rules of every installation that select pods without the opt-in label,
// those of webhooks in the order in which an API server calls them.
func (s *Snapshot) rulesWithoutLabel() []selection.Rule {
	var all []selection.Rule
	for i := range s.Webhooks {
		all = append(all, selection.OfWebhooks(&s.Webhooks[i]).Rules...)
	}
	for i := range s.Policies.Mutating {
		all = append(all, selection.OfPolicy(&s.Policies.Mutating[i], s.Policies.MutatingBindings).Rules...)
	}
	return slices.DeleteFunc(all, func(r selection.Rule) bool { return r.By == inject.SelectedByLabel })
}

// unlabeledPods adds the pods without the opt-in label that a rule selects, and those that it would
// select if they were created now. It must follow the installations and the namespaces. A namespace
// whose label selects all of its pods is one request; a podSelector is one for all namespaces.
func (g *gathering) unlabeledPods(ctx context.Context) {
	s, seen := g.snapshot, map[client.ObjectKey]bool{}
	for _, rule := range s.rulesWithoutLabel() {
		in := s.selectedNamespaces(&rule) // none where optIn does not use the webhook
		if rule.By == inject.SelectedByPodSelector && len(in) > 0 {
			in = []string{s.Namespace}
		}
		for _, namespace := range in {
			found, err := list(ctx, g.from, &corev1.PodList{}, podItems, client.InNamespace(namespace), withoutLabel(&rule))
			if err != nil {
				g.noteUnread(podsWithoutLabel, err)
				return
			}
			for i := range found {
				if key := client.ObjectKeyFromObject(&found[i]); !seen[key] {
					seen[key] = true
					s.Pods = append(s.Pods, found[i])
				}
			}
		}
	}
}

// selectedNamespaces returns the namespaces that a rule selects.
func (s *Snapshot) selectedNamespaces(rule *selection.Rule) []string {
	var names []string
	for i := range s.Namespaces {
		if rule.MatchesNamespace(s.Namespaces[i].Labels) {
			names = append(names, s.Namespaces[i].Name)
		}
	}
	return names
}

// withoutLabel selects the pods of a rule that have no value of the opt-in label.
func withoutLabel(rule *selection.Rule) client.MatchingLabelsSelector {
	selector := labels.Everything()
	if s, err := metav1.LabelSelectorAsSelector(rule.Pods); rule.Pods != nil && err == nil {
		selector = s
	}
	none, _ := labels.ParseToRequirements("!" + kinds.Label) // the key is valid
	return client.MatchingLabelsSelector{Selector: selector.Add(none...)}
}

// selectedBy returns what selects a pod, and false when nothing does. A labeled pod may have got its
// label at admission, which wrote why; that is shown, and decides nothing.
func (a *analysis) selectedBy(pod *corev1.Pod) (inject.SelectedBy, bool) {
	if pod.Labels[kinds.Label] != kinds.LabelEnabled {
		return a.selectsUnlabeled(pod.Labels)
	}
	by := inject.SelectedBy(pod.Annotations[inject.AnnotationSelectedBy])
	if !slices.Contains([]inject.SelectedBy{inject.SelectedByNamespace, inject.SelectedByPodSelector}, by) {
		by = inject.SelectedByLabel
	}
	return by, true
}

// selectsUnlabeled returns what selects pods of the namespace with these labels, and false when nothing
// does. Pods with a value of the opt-in label opt in or out by it.
func (a *analysis) selectsUnlabeled(of map[string]string) (inject.SelectedBy, bool) {
	if _, ok := of[kinds.Label]; ok || a.meta == nil {
		return "", false
	}
	for i := range a.withoutLabel {
		if r := &a.withoutLabel[i]; r.MatchesNamespace(a.meta.Labels) && selection.Matches(r.Pods, of) {
			return r.By, true
		}
	}
	return "", false
}

// whyLate is the sentence about a pod that the chosen installation selects and would inject today.
func (a *analysis) whyLate(pod *corev1.Pod) string {
	idle := words[a.selected.Mode].idle
	if pod.Labels[kinds.Label] == kinds.LabelEnabled {
		return "it has the label and no storage, although it would get it today: it was labeled after it was " +
			"created, or created while " + idle
	}
	reason := "the namespace was labeled " + inject.LabelAllPods
	if by, _ := a.selectedBy(pod); by == inject.SelectedByPodSelector {
		reason = "the pod was labeled, or the podSelector changed,"
	}
	return fmt.Sprintf("it has no storage, although it would get it today: %s after the pod was created, or it was "+
		"created while %s", reason, idle)
}

// selectsAllPods reports whether the namespace has the label for all of its pods.
func selectsAllPods(namespace *metav1.PartialObjectMetadata) bool {
	return namespace.Labels[inject.LabelAllPods] == kinds.LabelEnabled
}

// namespaceLabel finds a namespace whose label for all pods nothing reads: the chart has the webhook or
// the binding for it only with optIn.namespaceLabel.
func (a *analysis) namespaceLabel() {
	if a.meta == nil || !selectsAllPods(a.meta) || a.selectionsUnread() {
		return
	}
	for i := range a.withoutLabel {
		if r := &a.withoutLabel[i]; r.By == inject.SelectedByNamespace && r.MatchesNamespace(a.meta.Labels) {
			return
		}
	}
	a.add(found(
		ReasonNamespaceLabel,
		fmt.Sprintf("it has the label %s=%s, and no webhook or policy selects its pods by it", inject.LabelAllPods,
			kinds.LabelEnabled),
		a.namespaceLabelNext(), "Namespace/"+a.name,
	))
}

// namespaceLabelNext is what to do about a label for all pods that nothing reads.
func (a *analysis) namespaceLabelNext() string {
	switch {
	case a.excludes(inject.SelectedByLabel):
		return "remove the label: " + excludedByName
	case a.excludes(inject.SelectedByNamespace):
		return "remove the label, by which nothing ever selects pods of this namespace, and label the pods; then " +
			"recreate them"
	}
	return "set optIn.namespaceLabel in the chart's values, and let its namespaceSelector select the namespace; or " +
		"label the pods; then recreate them"
}

// excludedByName is why labels of a namespace and of its pods do nothing.
const excludedByName = "the installation serves no pod of this namespace, which it excludes by its name " +
	"(excludedNamespaces in the chart's values, and its own namespace)"

// excludes reports whether the namespace is excluded by its name from every rule that selects pods in
// this way: then no label and no value of optIn selects pods there. The chart excludes kube-system from
// those for pods without the opt-in label, whatever its values are.
func (a *analysis) excludes(by inject.SelectedBy) bool {
	if by == inject.SelectedByNamespace && a.name == metav1.NamespaceSystem {
		return true
	}
	isExcluded := false
	for i := range a.installed {
		for _, s := range a.installed[i].selections {
			for j := range s.Rules {
				if s.Rules[j].By != by {
					continue
				}
				if isExcluded = excludesName(s.Rules[j].Namespaces, a.name); !isExcluded {
					return false
				}
			}
		}
	}
	return isExcluded
}

// excludesName reports whether a selector excludes a namespace by its name.
func excludesName(selector *metav1.LabelSelector, name string) bool {
	return selector != nil && slices.ContainsFunc(selector.MatchExpressions, func(r metav1.LabelSelectorRequirement) bool {
		return r.Key == corev1.LabelMetadataName && r.Operator == metav1.LabelSelectorOpNotIn &&
			slices.Contains(r.Values, name)
	})
}
