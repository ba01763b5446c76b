package status

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	v1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pipeline-storage/pipeline-storage/internal/status"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

const (
	policyNamespace = "policy-system"
	policyName      = policyNamespace + ".ps"
)

// policyObjects are those of policy mode, as far as the plugin reads them. The first policy changes
// nothing, and the second refuses pods by a label.
func policyObjects() []client.Object {
	meta := metav1.ObjectMeta{Name: policyName, Labels: map[string]string{
		"app.kubernetes.io/name": "pipeline-storage", "app.kubernetes.io/instance": "ps",
	}}
	resources := &v1.MatchResources{
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"policy": "on"}},
		ResourceRules: []v1.NamedRuleWithOperations{{RuleWithOperations: v1.RuleWithOperations{
			Operations: []v1.OperationType{v1.Create},
			Rule:       v1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
		}}},
	}
	labeled := &v1.MatchResources{ObjectSelector: &metav1.LabelSelector{MatchLabels: enabled}}
	variables := []v1.Variable{{Name: "config", Expression: "{'profiles': 'default'}"}}
	return []client.Object{
		&v1.MutatingAdmissionPolicy{ObjectMeta: meta, Spec: v1.MutatingAdmissionPolicySpec{
			Variables: variables, MatchConstraints: resources, ReinvocationPolicy: v1.NeverReinvocationPolicy,
			Mutations: []v1.Mutation{{
				PatchType: v1.PatchTypeApplyConfiguration, ApplyConfiguration: &v1.ApplyConfiguration{Expression: "Object{}"},
			}},
		}},
		&v1.ValidatingAdmissionPolicy{ObjectMeta: meta, Spec: v1.ValidatingAdmissionPolicySpec{
			Variables: variables, MatchConstraints: resources,
			Validations: []v1.Validation{{Expression: "!('refuse' in object.metadata.labels)", Message: "path is taken"}},
		}},
		&v1.MutatingAdmissionPolicyBinding{ObjectMeta: meta, Spec: v1.MutatingAdmissionPolicyBindingSpec{
			PolicyName: policyName, MatchResources: labeled,
		}},
		&v1.ValidatingAdmissionPolicyBinding{ObjectMeta: meta, Spec: v1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: policyName, MatchResources: labeled, ValidationActions: []v1.ValidationAction{v1.Deny},
		}},
		&corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: policyNamespace, Name: "ps", Labels: meta.Labels},
			Data:       map[string]string{"config.yaml": configuration},
		},
	}
}

// installPolicies prepares namespaces, a pod that is older than the policies, and the policies, which end
// with the test.
func (w *world) installPolicies() {
	w.t.Helper()
	w.namespace(policyNamespace, nil)
	w.namespace("policy-served", map[string]string{"policy": "on"})
	w.namespace("policy-apart", nil)
	old := w.pod("policy-served", "old", nil)
	w.pod("policy-apart", "one", nil)
	time.Sleep(time.Until(old.CreationTimestamp.Add(time.Second))) // times have whole seconds
	for _, o := range policyObjects() {
		w.make(o)
		w.t.Cleanup(func() { assert.NoError(w.t, client.IgnoreNotFound(w.Delete(context.Background(), o))) })
	}
}

// policyInstallation is what the plugin reports about it.
func policyInstallation(t *testing.T, s *status.Status) status.Installation {
	t.Helper()
	i := slices.IndexFunc(s.Installations, func(i status.Installation) bool { return i.Name == policyName })
	require.GreaterOrEqual(t, i, 0, "%+v", s.Installations)
	return s.Installations[i]
}

// TestFindsInstallationInPolicyMode: what it has, what is wrong with pods, and what the API server reports
// for its policies.
func TestFindsInstallationInPolicyMode(t *testing.T) {
	w := newWorld(t)
	w.installPolicies()
	admin := suite.Plane(t).Kubeconfig

	got := runStatus(t, admin, "--all-namespaces")
	assert.Empty(t, got.Unread)
	assert.Equal(t, status.Installation{
		Name: policyName, Namespace: policyNamespace, Mode: status.ModePolicy, Problems: []status.Problem{},
		Profiles: []string{"default", "noclass", "disk", "fixed", "twins", "theirs"},
	}, policyInstallation(t, got))
	assert.Equal(t, policyName, namespaceOf(got, "policy-served").Installation)
	assertProblem(t, got, "policy-served", "Pod/old", status.ReasonBeforeWebhook,
		"it is older than the policies, so nothing mounted its storage", "recreate the pod")
	assertProblem(t, got, "policy-apart", "Pod/one", status.ReasonNotSelected,
		"the namespaceSelector of MutatingAdmissionPolicy "+policyName+" leaves the namespace policy-apart out (policy=on)",
		"label the namespace as the selector wants")
	out, _, _ := kubectl(t, admin, "pipeline-storage", "status", "--namespace", "policy-served")
	assert.Contains(t, out, "POLICY "+policyName+", namespace "+policyNamespace+", profiles default")

	t.Run("what the policies refuse", func(t *testing.T) { w.with(t).refusedByPolicies() })
	t.Run("the documented rights suffice", func(t *testing.T) { w.with(t).readsPolicies() })
	t.Run("a policy that is gone", func(t *testing.T) { w.with(t).withoutPolicy() })
}

// refusedByPolicies reads the messages of the API server about a pod that a policy refuses, and about
// parameters that do not exist.
func (w *world) refusedByPolicies() {
	admin := suite.Plane(w.t).Kubeconfig
	refused := map[string]string{kinds.Label: kinds.LabelEnabled, "refuse": "true"}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "policy-served", GenerateName: "refused-", Labels: refused},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "example.com/main"}}},
	}
	require.Eventually(w.t, func() bool { // a policy takes effect a moment late
		return w.Create(w.t.Context(), pod.DeepCopy(), client.DryRunAll) != nil
	}, eventTimeout, poll)
	w.deployment("policy-served", "taken", nil, refused)
	w.event("policy-served", "FailedCreate", "denied request: path is taken")
	assertProblem(w.t, runStatus(w.t, admin, "--namespace", "policy-served"), "policy-served", "ReplicaSet/taken-",
		status.ReasonPodsRefused, "denied request: path is taken", "change what the message names in the pod template")
}

// readsPolicies runs the plugin with the rights of docs/status.md and no others.
func (w *world) readsPolicies() {
	kubeconfig := w.account(policyNamespace, "reader")
	role := documentedRole(w.t)
	role.Name = "policy-status"
	w.make(role, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role.Name}, Subjects: subject(policyNamespace, "reader"),
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
	})
	want := policyInstallation(w.t, runStatus(w.t, suite.Plane(w.t).Kubeconfig, "--all-namespaces"))
	require.EventuallyWithT(w.t, func(c *assert.CollectT) { // the authorizer reads roles from a cache
		got := runStatus(w.t, kubeconfig, "--all-namespaces")
		assert.Empty(c, got.Unread)
		if len(got.Unread) == 0 {
			assert.Equal(c, want, policyInstallation(w.t, got))
		}
	}, eventTimeout, poll)
}

// withoutPolicy removes the policy that mounts: the other one still refuses, so that the installation
// must still be found.
func (w *world) withoutPolicy() {
	require.NoError(w.t, w.Delete(w.t.Context(), policyObjects()[0]))
	got := runStatus(w.t, suite.Plane(w.t).Kubeconfig, "--all-namespaces")
	own := policyInstallation(w.t, got)
	assert.Equal(w.t, status.ModePolicy, own.Mode)
	require.Len(w.t, own.Problems, 1)
	assert.Equal(w.t, status.ReasonPolicyIncomplete, own.Problems[0].Reason)
	assert.Contains(w.t, own.Problems[0].Message, "MutatingAdmissionPolicy "+policyName+" does not exist")
	assertProblem(w.t, got, "policy-apart", "Pod/one", status.ReasonPolicyIncomplete, "lacks what would mount it",
		"mend the installation")
}
