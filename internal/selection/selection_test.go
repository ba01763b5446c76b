package selection

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	v1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pipeline-storage/pipeline-storage/internal/kube"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
)

func equals(key, value string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{key: value}}
}

func requires(key string, operator metav1.LabelSelectorOperator, values ...string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{
		Key: key, Operator: operator, Values: values,
	}}}
}

// hour is an hour of one day.
func hour(h int) metav1.Time { return metav1.NewTime(time.Date(2026, 1, 2, h, 0, 0, 0, time.UTC)) }

func policy(namespaces, pods *metav1.LabelSelector) *v1.MutatingAdmissionPolicy {
	return &v1.MutatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "s.ps", CreationTimestamp: hour(10)},
		Spec: v1.MutatingAdmissionPolicySpec{
			MatchConstraints: &v1.MatchResources{NamespaceSelector: namespaces, ObjectSelector: pods},
		},
	}
}

func binding(name, policy string, namespaces, pods *metav1.LabelSelector) v1.MutatingAdmissionPolicyBinding {
	return v1.MutatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: hour(9)},
		Spec: v1.MutatingAdmissionPolicyBindingSpec{
			PolicyName: policy, MatchResources: &v1.MatchResources{NamespaceSelector: namespaces, ObjectSelector: pods},
		},
	}
}

func TestPolicyServesNamespacesOfPolicyAndBinding(t *testing.T) {
	t.Parallel()
	unlabeled := binding("s.ps", "s.ps", nil, nil)
	unlabeled.Spec.MatchResources = nil
	for name, tt := range map[string]struct {
		namespaces *metav1.LabelSelector
		bindings   []v1.MutatingAdmissionPolicyBinding
		of         map[string]string
		want       bool
	}{
		"no binding": {nil, nil, nil, false},
		"a binding of another policy": {
			nil, []v1.MutatingAdmissionPolicyBinding{binding("s.ps", "other", nil, nil)}, nil, false,
		},
		"a binding without resources": {nil, []v1.MutatingAdmissionPolicyBinding{unlabeled}, nil, true},
		"a binding with empty selectors": {
			nil, []v1.MutatingAdmissionPolicyBinding{binding("s.ps", "s.ps", &metav1.LabelSelector{}, nil)}, nil, true,
		},
		"the policy leaves it out": {
			equals("team", "a"),
			[]v1.MutatingAdmissionPolicyBinding{binding("s.ps", "s.ps", nil, nil)},
			map[string]string{"team": "b"},
			false,
		},
		"the binding leaves it out": {
			equals("team", "a"),
			[]v1.MutatingAdmissionPolicyBinding{binding("s.ps", "s.ps", equals("stage", "x"), nil)},
			map[string]string{"team": "a"},
			false,
		},
		"the second binding has it": {
			equals("team", "a"),
			[]v1.MutatingAdmissionPolicyBinding{
				binding("s.ps", "s.ps", equals("stage", "x"), nil), binding("s.ps.namespace", "s.ps", equals("stage", "y"), nil),
			},
			map[string]string{"team": "a", "stage": "y"},
			true,
		},
		"both want one label of another value": {
			equals("team", "a"),
			[]v1.MutatingAdmissionPolicyBinding{binding("s.ps", "s.ps", equals("team", "b"), nil)},
			map[string]string{"team": "a"},
			false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := policy(tt.namespaces, nil)
			before := p.DeepCopy()
			assert.Equal(t, tt.want, OfPolicy(p, tt.bindings).MatchesNamespace(tt.of))
			assert.Equal(t, before, p, "it is in a cache")
		})
	}
	assert.False(t, (*Selection)(nil).MatchesNamespace(nil))
}

func TestRulesOfPolicy(t *testing.T) {
	t.Parallel()
	late := binding("s.ps.pod-selector", "s.ps", nil, equals("component", "worker"))
	late.CreationTimestamp = hour(11)
	s := OfPolicy(policy(equals("team", "a"), requires("app", metav1.LabelSelectorOpNotIn, "x")),
		[]v1.MutatingAdmissionPolicyBinding{
			binding("s.ps", "s.ps", nil, equals("pipeline-storage", "enabled")),
			binding("s.ps.namespace", "s.ps", equals("all", "on"), nil),
			late,
			binding("third", "s.ps", nil, nil),
		})
	assert.Equal(t, "MutatingAdmissionPolicy s.ps", s.String())
	assert.Equal(t, kube.KindPolicy, s.Reference().Kind)
	var by []inject.SelectedBy
	var since []int
	for _, r := range s.Rules {
		by, since = append(by, r.By), append(since, r.Since.Hour())
		assert.False(t, Matches(r.Pods, map[string]string{"app": "x"}), "the policy's selector of pods counts, too")
	}
	assert.Equal(t, []inject.SelectedBy{"", "namespace", "pod-selector", ""}, by)
	assert.Equal(t, []int{10, 10, 11, 10}, since, "a rule needs its policy and its binding")
	assert.True(t, Matches(s.Rules[2].Pods, map[string]string{"component": "worker"}))
	assert.False(t, Matches(s.Rules[2].Pods, nil))
	assert.True(t, s.Rules[1].MatchesNamespace(map[string]string{"team": "a", "all": "on"}))
	assert.False(t, s.Rules[1].MatchesNamespace(map[string]string{"team": "a"}))
}

func TestRulesOfWebhooks(t *testing.T) {
	t.Parallel()
	at := func(path *string) v1.WebhookClientConfig {
		return v1.WebhookClientConfig{Service: &v1.ServiceReference{Path: path}}
	}
	s := OfWebhooks(&v1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "s.ps", CreationTimestamp: hour(10)},
		Webhooks: []v1.MutatingWebhook{
			{ClientConfig: at(new("/inject")), NamespaceSelector: equals("team", "a")},
			{ClientConfig: at(new("/inject/namespace"))},
			{ClientConfig: at(nil)},
			{},
		},
	})
	assert.Equal(t, "MutatingWebhookConfiguration s.ps", s.String())
	var by []inject.SelectedBy
	for _, r := range s.Rules {
		by = append(by, r.By)
		assert.Equal(t, hour(10).Time, r.Since)
	}
	assert.Equal(t, []inject.SelectedBy{"", "namespace", "", ""}, by)
	assert.Equal(t, equals("team", "a"), s.Rules[0].Namespaces)
}

// TestBothMatchesWhatEachMatches compares the joined selector with the two for every pair and set.
func TestBothMatchesWhatEachMatches(t *testing.T) {
	t.Parallel()
	all := []*metav1.LabelSelector{
		nil,
		{},
		equals("k", "a"), equals("k", "b"), equals("l", "a"), requires("k", metav1.LabelSelectorOpExists),
		requires("k", metav1.LabelSelectorOpDoesNotExist), requires("k", metav1.LabelSelectorOpNotIn, "a"),
		{MatchLabels: map[string]string{"k": "a", "l": "b"}, MatchExpressions: requires("m", "Exists").MatchExpressions},
		requires("k", "Nonsense"),
	}
	sets := []map[string]string{
		nil, {"k": "a"}, {"k": "b"}, {"k": "a", "l": "a"}, {"k": "a", "l": "b", "m": ""}, {"l": "a"},
	}
	for i, a := range all {
		for j, b := range all {
			for _, set := range sets {
				assert.Equal(t, Matches(a, set) && Matches(b, set), Matches(both(a, b), set), "%d and %d: %v", i, j, set)
			}
		}
	}
}
