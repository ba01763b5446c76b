package controllers

import (
	"context"
	"maps"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	v1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
	"github.com/pipeline-storage/pipeline-storage/internal/kube"
	"github.com/pipeline-storage/pipeline-storage/internal/overlap"
	"github.com/pipeline-storage/pipeline-storage/internal/selection"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

const (
	overlapAccount = "overlap-test"
	overlapping    = "pipeline_storage_installations_overlap"
)

// overlapFixture is a cluster with a namespace, and a ServiceAccount with the rights that the chart gives
// for the comparison in policy mode.
type overlapFixture struct {
	client.Client
	t         *testing.T
	limited   *rest.Config
	namespace string
}

func newOverlapFixture(t *testing.T) *overlapFixture {
	t.Helper()
	root := suite.RESTConfig(t)
	scheme := kube.Scheme(kube.Groups()...)
	require.NoError(t, rbacv1.AddToScheme(scheme))
	c, err := client.New(root, client.Options{Scheme: scheme})
	require.NoError(t, err)
	f := &overlapFixture{Client: c, t: t, limited: rest.CopyConfig(root)}
	f.limited.Impersonate = rest.ImpersonationConfig{UserName: overlapAccount, Groups: []string{"system:authenticated"}}
	meta := metav1.ObjectMeta{Name: overlapAccount}
	for _, object := range []client.Object{
		&rbacv1.ClusterRole{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{
			{
				APIGroups: []string{v1.GroupName},
				Resources: []string{
					"mutatingwebhookconfigurations", "mutatingadmissionpolicies", "mutatingadmissionpolicybindings",
				},
				Verbs: []string{"get", "list", "watch"},
			},
			{APIGroups: []string{""}, Resources: []string{"namespaces"}, Verbs: []string{"get", "list", "watch"}},
			{APIGroups: []string{eventsv1.GroupName}, Resources: []string{"events"}, Verbs: []string{"create", "patch"}},
		}},
		&rbacv1.ClusterRoleBinding{
			ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: overlapAccount},
			Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: overlapAccount}},
		},
	} {
		require.NoError(t, client.IgnoreAlreadyExists(c.Create(t.Context(), object)))
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "overlap-"}}
	require.NoError(t, c.Create(t.Context(), namespace))
	f.namespace = namespace.Name
	return f
}

// webhook creates a MutatingWebhookConfiguration that selects the pods of the namespace.
func (f *overlapFixture) webhook(name string) *v1.MutatingWebhookConfiguration {
	f.t.Helper()
	c := &v1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{
		Name:   name,
		Labels: map[string]string{kube.LabelName: kube.ProductName},
	}}
	c.Webhooks = []v1.MutatingWebhook{{
		Name: "storage.pipeline-storage.io", AdmissionReviewVersions: []string{"v1"},
		SideEffects: new(v1.SideEffectClassNone),
		ClientConfig: v1.WebhookClientConfig{
			URL: new("https://127.0.0.1:1/inject"), CABundle: suite.RESTConfig(f.t).CAData,
		},
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: f.namespace}},
		// Never called: this test is about selectors.
		Rules: []v1.RuleWithOperations{{
			Operations: []v1.OperationType{v1.Create},
			Rule:       v1.Rule{APIGroups: []string{"example.com"}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
		}},
	}}
	require.NoError(f.t, f.Create(f.t.Context(), c))
	return c
}

// run starts a replica that ends with the test, with the caches that every program has.
func (f *overlapFixture) run(own selection.Source) (*overlap.Watcher, cache.Cache) {
	f.t.Helper()
	by := map[client.Object]cache.ByObject{&corev1.Namespace{}: kube.CacheNamespaces()}
	maps.Copy(by, own.Cache())
	mgr, err := manager.New(f.limited, manager.Options{
		Scheme: kube.Scheme(kube.Groups()...), Metrics: server.Options{BindAddress: "0"},
		Cache: cache.Options{
			ReaderFailOnMissingInformer: true, // nothing may be watched by accident
			ByObject:                    by,
		},
	})
	require.NoError(f.t, err)
	w, err := overlap.Add(mgr, own)
	require.NoError(f.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	f.t.Cleanup(sync.OnceFunc(func() { cancel(); assert.NoError(f.t, <-done) }))
	return w, mgr.GetCache()
}

// notes returns the notes of the Events about a MutatingWebhookConfiguration.
func (f *overlapFixture) notes(about string) []string {
	f.t.Helper()
	var list eventsv1.EventList
	require.NoError(f.t, f.List(f.t.Context(), &list, client.InNamespace(metav1.NamespaceDefault)))
	var notes []string
	for _, e := range list.Items {
		if e.Regarding.Name == about && e.Reason == diagnose.ReasonOverlap {
			assert.Equal(f.t, kube.Reporter, e.ReportingController)
			notes = append(notes, e.Note)
		}
	}
	return notes
}

// policy creates a MutatingAdmissionPolicy that selects the pods of the namespace, and its binding.
func (f *overlapFixture) policy(name string) *v1.MutatingAdmissionPolicy {
	f.t.Helper()
	p := newPolicy(name, &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: f.namespace}})
	require.NoError(f.t, f.Create(f.t.Context(), p))
	require.NoError(f.t, f.Create(f.t.Context(), newBinding(name)))
	f.t.Cleanup(func() {
		assert.NoError(f.t, client.IgnoreNotFound(f.Delete(context.Background(), p)))
		assert.NoError(f.t, f.Delete(context.Background(), newBinding(name)))
	})
	return p
}

// The tests of this file are not parallel, because they read one gauge.

// TestPolicyModeReportsAnotherInstallation finds one with a webhook and one in policy mode.
func TestPolicyModeReportsAnotherInstallation(t *testing.T) {
	f := newOverlapFixture(t)
	own := f.policy("own-" + f.namespace)
	w, cached := f.run(selection.ByPolicy(own.Name))
	both := f.webhook(own.Name) // while the installation moves from one mode to the other
	other := f.webhook("other-" + f.namespace)
	require.Eventually(t, func() bool { return w.Note() != "" }, timeout, poll)
	assert.Contains(t, w.Note(), "(MutatingWebhookConfiguration "+other.Name+") also selects pods of the namespace "+
		f.namespace+", which "+own.Name+" selects")
	assert.InDelta(t, 1, metric(t, overlapping, ""), 0)
	require.Eventually(t, func() bool { return len(f.notes(own.Name)) > 0 }, timeout, poll, "an Event about the policy")

	stored := &v1.MutatingAdmissionPolicy{}
	require.NoError(t, cached.Get(t.Context(), client.ObjectKeyFromObject(own), stored))
	assert.Empty(t, stored.Spec.Mutations, "the CEL is not needed")

	require.NoError(t, f.Delete(t.Context(), other))
	require.Eventually(t, func() bool { return w.Note() == "" }, timeout, poll)
	third := f.policy("third-" + f.namespace)
	require.Eventually(t, func() bool { return w.Note() != "" }, timeout, poll)
	assert.Contains(t, w.Note(), "(MutatingAdmissionPolicy "+third.Name+")")
	require.NoError(t, f.Delete(t.Context(), third))
	require.Eventually(t, func() bool { return w.Note() == "" }, timeout, poll)

	require.NoError(t, f.Delete(t.Context(), own))
	require.Eventually(t, func() bool { return w.Note() != "" }, timeout, poll)
	assert.Equal(t, "MutatingAdmissionPolicy "+own.Name+" does not exist: the installation serves no namespace, and "+
		"creates no claim", w.Note())
	assert.InDelta(t, 0, metric(t, overlapping, ""), 0)
	require.NoError(t, f.Delete(t.Context(), both))
}

// TestWebhookReportsInstallationInPolicyMode lists the policies: it has no cache of them.
func TestWebhookReportsInstallationInPolicyMode(t *testing.T) {
	f := newOverlapFixture(t)
	own := f.webhook("own-" + f.namespace)
	other := f.policy("other-" + f.namespace)
	w, cached := f.run(selection.ByWebhooks(own.Name))
	require.Eventually(t, func() bool { return w.Note() != "" }, timeout, poll)
	assert.Contains(t, w.Note(),
		"(MutatingAdmissionPolicy "+other.Name+") also selects pods of the namespace "+f.namespace)
	var missing *cache.ErrResourceNotCached
	require.ErrorAs(t, cached.Get(t.Context(), client.ObjectKeyFromObject(other), other), &missing,
		"a cluster before Kubernetes 1.36 has none to watch")

	require.NoError(t, f.Delete(t.Context(), other))
	own.Labels["changed"] = "true" // wakes it before the interval ends
	require.NoError(t, f.Update(t.Context(), own))
	require.Eventually(t, func() bool { return w.Note() == "" }, timeout, poll)
	require.NoError(t, f.Delete(t.Context(), own))
}

func TestReportsAnotherInstallation(t *testing.T) {
	f := newOverlapFixture(t)
	own := f.webhook("own-" + f.namespace)
	w, cached := f.run(selection.ByWebhooks(own.Name))
	other := f.webhook("other-" + f.namespace)
	require.Eventually(t, func() bool { return w.Note() != "" }, timeout, poll)
	assert.Contains(t, w.Note(),
		"(MutatingWebhookConfiguration "+other.Name+") also selects pods of the namespace "+f.namespace+", "+
			"which "+own.Name+" selects")
	assert.InDelta(t, 1, metric(t, overlapping, ""), 0)
	require.Eventually(t, func() bool { return len(f.notes(own.Name)) > 0 }, timeout, poll)
	assert.Equal(t, []string{w.Note()}, f.notes(own.Name), "a problem is reported once")

	stored := &v1.MutatingWebhookConfiguration{}
	require.NoError(t, cached.Get(t.Context(), client.ObjectKeyFromObject(other), stored))
	assert.Empty(t, stored.Webhooks[0].ClientConfig.CABundle, "another installation's CA is not needed")
	require.NoError(t, cached.Get(t.Context(), client.ObjectKeyFromObject(own), stored))
	assert.Equal(t, own.Webhooks[0].ClientConfig.CABundle, stored.Webhooks[0].ClientConfig.CABundle,
		"readiness may need its own")

	require.NoError(t, f.Delete(t.Context(), other))
	require.Eventually(t, func() bool { return w.Note() == "" }, timeout, poll)
	assert.InDelta(t, 0, metric(t, overlapping, ""), 0)
}
