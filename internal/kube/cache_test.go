package kube

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	v1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestCachesSelectorsOfPolicies: the CEL of policies is large, and nothing reads it.
func TestCachesSelectorsOfPolicies(t *testing.T) {
	t.Parallel()
	selector := &metav1.LabelSelector{MatchLabels: map[string]string{"team": "a"}}
	resources := &v1.MatchResources{
		NamespaceSelector: selector, ObjectSelector: selector, ResourceRules: []v1.NamedRuleWithOperations{{}},
	}
	labels := map[string]string{LabelName: ProductName}
	p := &v1.MutatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "s.ps", Labels: labels, Annotations: map[string]string{"a": "b"}},
		Spec: v1.MutatingAdmissionPolicySpec{
			MatchConstraints: resources, Variables: []v1.Variable{{}}, Mutations: []v1.Mutation{{}},
		},
	}
	stripped, err := CachePolicies().Transform(p)
	require.NoError(t, err)
	selectors := &v1.MatchResources{NamespaceSelector: selector, ObjectSelector: selector}
	assert.Equal(t, &v1.MutatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "s.ps", Labels: labels},
		Spec:       v1.MutatingAdmissionPolicySpec{MatchConstraints: selectors},
	}, stripped)

	for _, r := range []*v1.MatchResources{resources, nil} {
		want := &v1.MutatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: "s.ps"}}
		want.Spec.PolicyName = "s.ps"
		if r != nil {
			want.Spec.MatchResources = selectors
		}
		stripped, err = CachePolicyBindings().Transform(&v1.MutatingAdmissionPolicyBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "s.ps", Labels: labels},
			Spec: v1.MutatingAdmissionPolicyBindingSpec{
				PolicyName: "s.ps", MatchResources: r, ParamRef: &v1.ParamRef{Name: "p"},
			},
		})
		require.NoError(t, err)
		assert.Equal(t, want, stripped)
	}
	assert.Nil(t, CachePolicyBindings().Label, "the API server follows a binding that has no label")
}
