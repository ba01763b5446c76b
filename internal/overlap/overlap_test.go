package overlap

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pipeline-storage/pipeline-storage/internal/selection"
)

func equals(key, value string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{key: value}}
}

func requires(operator metav1.LabelSelectorOperator, values ...string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{
		Key: "k", Operator: operator,
		Values: values,
	}}}
}

func TestDisjoint(t *testing.T) {
	t.Parallel()

	for name, row := range map[string]struct {
		a, b *metav1.LabelSelector
		want bool
	}{
		"nothing is required": {nil, nil, false},
		"the empty selector":  {&metav1.LabelSelector{}, equals("k", "a"), false},
		"the same value":      {equals("k", "a"), equals("k", "a"), false},
		"two values":          {equals("k", "a"), equals("k", "b"), true},
		"two keys":            {equals("k", "a"), equals("l", "b"), false},
		"sets that share a value": {
			requires(metav1.LabelSelectorOpIn, "a", "b"),
			requires(metav1.LabelSelectorOpIn, "b", "c"), false,
		},
		"a value and all but that": {equals("k", "a"), requires(metav1.LabelSelectorOpNotIn, "a"), true},
		"two values and all but one": {
			requires(metav1.LabelSelectorOpIn, "a", "b"),
			requires(metav1.LabelSelectorOpNotIn, "a"), false,
		},
		"there and not there": {
			requires(metav1.LabelSelectorOpExists),
			requires(metav1.LabelSelectorOpDoesNotExist), true,
		},
		"a value and not there": {equals("k", "a"), requires(metav1.LabelSelectorOpDoesNotExist), true},
		"two that are both not there": {
			requires(metav1.LabelSelectorOpDoesNotExist),
			requires(metav1.LabelSelectorOpDoesNotExist), false,
		},
		"all but a value and not there": {
			requires(metav1.LabelSelectorOpNotIn, "a"),
			requires(metav1.LabelSelectorOpDoesNotExist), false,
		},
		"a selector that cannot be read": {requires("Nonsense"), equals("k", "a"), false},
		"one selector that excludes itself": {
			&metav1.LabelSelector{
				MatchLabels:      map[string]string{"k": "a"},
				MatchExpressions: requires(metav1.LabelSelectorOpNotIn, "a").MatchExpressions,
			}, nil, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, row.want, disjoint(row.a, row.b))
			assert.Equal(t, row.want, disjoint(row.b, row.a))
		})
	}
}

func TestOverlapNote(t *testing.T) {
	t.Parallel()

	webhook := func(name string, namespaces, objects *metav1.LabelSelector) *selection.Selection {
		return selection.OfWebhooks(&admissionregistrationv1.MutatingWebhookConfiguration{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Webhooks:   []admissionregistrationv1.MutatingWebhook{{NamespaceSelector: namespaces, ObjectSelector: objects}},
		})
	}
	policy := func(name string, namespaces, objects *metav1.LabelSelector) *selection.Selection {
		p := &admissionregistrationv1.MutatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: name}}
		p.Spec.MatchConstraints = &admissionregistrationv1.MatchResources{NamespaceSelector: namespaces}
		b := admissionregistrationv1.MutatingAdmissionPolicyBinding{ObjectMeta: p.ObjectMeta}
		b.Spec.PolicyName = name
		b.Spec.MatchResources = &admissionregistrationv1.MatchResources{ObjectSelector: objects}
		return selection.OfPolicy(p, []admissionregistrationv1.MutatingAdmissionPolicyBinding{b})
	}
	namespace := func(name, team string) metav1.PartialObjectMetadata {
		return metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
			Name:   name,
			Labels: map[string]string{"team": team},
		}}
	}
	namespaces := []metav1.PartialObjectMetadata{
		namespace("a1", "a"), namespace("b1", "b"), namespace("a2", "a"), namespace("a3", "a"), namespace("a4", "a"),
		namespace("a5", "a"),
	}
	// optIn is one with the webhooks of optIn alone: a pod may get the label from one of two installations, and then
	// be selected by the other.
	optIn := func(name string, namespaces *metav1.LabelSelector) *selection.Selection {
		s := webhook(name, namespaces, equals("component", "worker"))
		s.Rules = append(s.Rules, webhook(name, namespaces, &metav1.LabelSelector{
			MatchExpressions: []metav1.LabelSelectorRequirement{{
				Key: "app.kubernetes.io/name", Operator: metav1.LabelSelectorOpNotIn, Values: []string{"pipeline-storage"},
			}},
		}).Rules...)
		return s
	}
	enabled := equals("pipeline-storage", "enabled")
	own := webhook("own", equals("team", "a"), enabled)
	ending := webhook("ending", nil, enabled)
	ending.Object.SetDeletionTimestamp(new(metav1.Now()))

	for name, row := range map[string]struct {
		others []*selection.Selection
		want   string
	}{
		"alone":                     {nil, ""},
		"another team":              {[]*selection.Selection{webhook("other", equals("team", "b"), enabled)}, ""},
		"a team without namespaces": {[]*selection.Selection{webhook("other", equals("stage", "x"), enabled)}, ""},
		"other pods of the same":    {[]*selection.Selection{webhook("other", nil, equals("pipeline-storage", "other"))}, ""},
		"one that is being deleted": {[]*selection.Selection{ending}, ""},
		"everybody": {
			[]*selection.Selection{webhook("other", nil, enabled)},
			"another installation (MutatingWebhookConfiguration other) also selects pods of the namespaces a1, a2, a3 and 2 " +
				"more, which own selects: give the two namespaceSelectors that no namespace matches both of",
		},
		"one namespace": {
			[]*selection.Selection{
				webhook("fine", equals("team", "b"), nil),
				webhook("other", equals("team", "a"), enabled),
			},
			"another installation (MutatingWebhookConfiguration other) also selects pods of the namespace a1, which own " +
				"selects: give the two namespaceSelectors that no namespace matches both of",
		},
		"one in policy mode of another team": {[]*selection.Selection{policy("other", equals("team", "b"), enabled)}, ""},
		"one in policy mode": {
			[]*selection.Selection{policy("other", equals("team", "a"), enabled)},
			"another installation (MutatingAdmissionPolicy other) also selects pods of the namespaces a1, a2, a3 and 2 " +
				"more, which own selects: give the two namespaceSelectors that no namespace matches both of",
		},
		"one that selects pods without the label in another team": {
			[]*selection.Selection{optIn("other", equals("team", "b"))}, "",
		},
		"one that selects pods without the label": {
			[]*selection.Selection{optIn("other", equals("team", "a"))},
			"another installation (MutatingWebhookConfiguration other) also selects pods of the namespaces a1, a2, a3 and 2 " +
				"more, which own selects: give the two namespaceSelectors that no namespace matches both of",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen := namespaces
			if name == "one namespace" {
				seen = namespaces[:2]
			}
			assert.Equal(t, row.want, overlapNote(own, append(row.others, own), seen))
			inPolicyMode := policy("own", equals("team", "a"), enabled)
			assert.Equal(t, row.want, overlapNote(inPolicyMode, append(row.others, own, inPolicyMode), seen),
				"the modes find the same, and the own webhook is no other installation")
		})
	}
}

func TestComparesNothingWithoutAName(t *testing.T) {
	t.Parallel()
	w, err := Add(nil, selection.Source{})
	require.NoError(t, err)
	assert.Empty(t, w.Note())
}

// TestReportsThatNothingIsServed: in policy mode no certificate reports it.
func TestReportsThatNothingIsServed(t *testing.T) {
	t.Parallel()
	p := &admissionregistrationv1.MutatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "own"}}
	bound := admissionregistrationv1.MutatingAdmissionPolicyBinding{}
	bound.Spec.PolicyName = "own"
	for name, row := range map[string]struct {
		source selection.Source
		own    *selection.Selection
		want   string
	}{
		"no webhook": {selection.ByWebhooks("own"), nil, ""},
		"no policy": {
			selection.ByPolicy("own"), nil,
			"MutatingAdmissionPolicy own does not exist: the installation serves no namespace, and creates no claim",
		},
		"no binding": {
			selection.ByPolicy("own"), selection.OfPolicy(p, nil),
			"MutatingAdmissionPolicy own has no MutatingAdmissionPolicyBinding: the installation serves no namespace, and " +
				"creates no claim",
		},
		"a policy with a binding": {
			selection.ByPolicy("own"),
			selection.OfPolicy(p, []admissionregistrationv1.MutatingAdmissionPolicyBinding{bound}), "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, row.want, (&Watcher{own: row.source}).unserved(row.own))
		})
	}
}
