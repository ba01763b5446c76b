package status

import (
	"context"
	"fmt"
	"slices"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pipeline-storage/pipeline-storage/internal/kube"
	"github.com/pipeline-storage/pipeline-storage/internal/selection"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
)

// Policies are what was read of the installations in policy mode.
type Policies struct {
	// Mutating and Validating are those of this product, by its label. Of the second kind, only those that
	// refuse pods are here: others only warn, or guard the webhook's account.
	Mutating   []admissionregistrationv1.MutatingAdmissionPolicy
	Validating []admissionregistrationv1.ValidatingAdmissionPolicy
	// MutatingBindings and ValidatingBindings are all of the cluster, when there are such policies.
	MutatingBindings   []admissionregistrationv1.MutatingAdmissionPolicyBinding
	ValidatingBindings []admissionregistrationv1.ValidatingAdmissionPolicyBinding
}

// names returns the names of the policies, sorted: one for each installation in policy mode. It is
// there while one of its two policies is.
func (p *Policies) names() []string {
	var names []string
	for i := range p.Mutating {
		names = append(names, p.Mutating[i].Name)
	}
	for i := range p.Validating {
		names = append(names, p.Validating[i].Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// namespaceOf returns the namespace of the installation of a policy: its name begins with it. Source:
// charts/pipeline-storage, pipeline-storage.clusterName.
func (p *Policies) namespaceOf(name string) string {
	namespace, _, _ := strings.Cut(name, ".")
	return namespace
}

// selection returns what a policy selects. Nil: it does not exist.
func (p *Policies) selection(name string) *selection.Selection {
	for i := range p.Mutating {
		if p.Mutating[i].Name == name {
			return selection.OfPolicy(&p.Mutating[i], p.MutatingBindings)
		}
	}
	return nil
}

// labels returns the labels of the policies of an installation.
func (p *Policies) labels(name string) map[string]string {
	for i := range p.Mutating {
		if p.Mutating[i].Name == name {
			return p.Mutating[i].Labels
		}
	}
	for i := range p.Validating {
		if p.Validating[i].Name == name {
			return p.Validating[i].Labels
		}
	}
	return nil
}

// object is KIND and NAME of an object of policy mode.
type object struct{ kind, name string }

// objects returns which objects of an installation there are.
func (p *Policies) objects(name string) map[object]bool {
	all := map[object]bool{}
	for i := range p.Mutating {
		all[object{kube.KindPolicy, p.Mutating[i].Name}] = true
	}
	for i := range p.Validating {
		all[object{kube.KindValidatingPolicy, p.Validating[i].Name}] = true
	}
	for i := range p.MutatingBindings {
		if b := &p.MutatingBindings[i]; b.Spec.PolicyName == name {
			all[object{kube.KindPolicyBinding, b.Name}] = true
		}
	}
	for i := range p.ValidatingBindings {
		if b := &p.ValidatingBindings[i]; b.Spec.PolicyName == name {
			all[object{kube.KindValidatingPolicyBinding, b.Name}] = true
		}
	}
	return all
}

// policyKinds are the kinds of which an installation in policy mode needs objects, and what happens
// without one.
var policyKinds = []struct {
	resource, kind string
	isBinding      bool
	without        string
}{
	{policies, kube.KindPolicy, false, withoutMutation},
	{policyBindings, kube.KindPolicyBinding, true, withoutMutation},
	{validations, kube.KindValidatingPolicy, false, withoutValidation},
	{validationBindings, kube.KindValidatingPolicyBinding, true, withoutValidation},
}

const (
	withoutMutation   = "nothing mounts the storage of the pods that it selects"
	withoutValidation = "pods that it selects start without their storage where it cannot be mounted"
)

// incomplete returns a problem for each object that an installation in policy mode lacks: one of its two
// policies, or a binding of one of them. Both policies have bindings of the same names.
func (s *Snapshot) incomplete(name string) []Problem {
	var problems []Problem
	lacks := func(kind, name, without string) {
		problems = append(problems, found(
			ReasonPolicyIncomplete, fmt.Sprintf("%s %s does not exist: %s", kind, name, without),
			"create it again: helm upgrade, or what installed the others", kind+"/"+name))
	}
	exists := s.Policies.objects(name)
	for _, k := range policyKinds {
		for _, by := range []inject.SelectedBy{
			inject.SelectedByLabel, inject.SelectedByNamespace, inject.SelectedByPodSelector,
		} {
			wanted := selection.BindingName(name, by)
			isNeeded := by == inject.SelectedByLabel || k.isBinding &&
				(exists[object{kube.KindPolicyBinding, wanted}] || exists[object{kube.KindValidatingPolicyBinding, wanted}])
			if isNeeded && !exists[object{k.kind, wanted}] && !s.unread(k.resource) {
				lacks(k.kind, wanted, k.without)
			}
		}
	}
	return problems
}

// policies reads the policies of this product, and their bindings where there are any. An API server
// before Kubernetes 1.36 has no such kind, which is not worth a note.
func (g *gathering) policies(ctx context.Context, product client.MatchingLabels) {
	p := &g.snapshot.Policies
	mutating, err := list(ctx, g.from, &admissionregistrationv1.MutatingAdmissionPolicyList{}, policyItems, product)
	if kube.IsUnserved(err) {
		return
	}
	if g.noteUnread(policies, err); err != nil {
		return
	}
	p.Mutating = mutating
	into(g, ctx, validations, &p.Validating, &admissionregistrationv1.ValidatingAdmissionPolicyList{}, validationItems,
		product)
	p.Validating = slices.DeleteFunc(p.Validating, func(v admissionregistrationv1.ValidatingAdmissionPolicy) bool {
		return !refusesPods(&v.Spec)
	})
	if len(p.names()) == 0 {
		return
	}
	into(g, ctx, policyBindings, &p.MutatingBindings, &admissionregistrationv1.MutatingAdmissionPolicyBindingList{},
		policyBindingItems)
	into(g, ctx, validationBindings, &p.ValidatingBindings,
		&admissionregistrationv1.ValidatingAdmissionPolicyBindingList{}, validationBindingItems)
}

// refusesPods reports whether a policy of this product is the one that refuses pods: it has the configuration,
// and fails closed. Source: charts/pipeline-storage/templates.
func refusesPods(p *admissionregistrationv1.ValidatingAdmissionPolicySpec) bool {
	isOpen := p.FailurePolicy != nil && *p.FailurePolicy == admissionregistrationv1.Ignore
	return !isOpen && slices.ContainsFunc(p.Variables, func(v admissionregistrationv1.Variable) bool {
		return v.Name == configVariable
	})
}

// configVariable is the variable of a policy that has the configuration.
const configVariable = "config"

func policyItems(
	l *admissionregistrationv1.MutatingAdmissionPolicyList,
) []admissionregistrationv1.MutatingAdmissionPolicy {
	return l.Items
}

func policyBindingItems(
	l *admissionregistrationv1.MutatingAdmissionPolicyBindingList,
) []admissionregistrationv1.MutatingAdmissionPolicyBinding {
	return l.Items
}

func validationItems(
	l *admissionregistrationv1.ValidatingAdmissionPolicyList,
) []admissionregistrationv1.ValidatingAdmissionPolicy {
	return l.Items
}

func validationBindingItems(
	l *admissionregistrationv1.ValidatingAdmissionPolicyBindingList,
) []admissionregistrationv1.ValidatingAdmissionPolicyBinding {
	return l.Items
}
