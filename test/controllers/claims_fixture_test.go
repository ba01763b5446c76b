package controllers

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/pipeline-storage/pipeline-storage/internal/claims"
	"github.com/pipeline-storage/pipeline-storage/internal/claimtest"
	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
	"github.com/pipeline-storage/pipeline-storage/internal/kube"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

const (
	ownNamespace = "pipeline-storage"
	account      = "system:serviceaccount:" + ownNamespace + ":webhook"
	// labelTest is on the pods of a test, and its controllers see no other test's pods.
	labelTest = "claims-test"
)

// admin returns a client with every right, and the credentials of a ServiceAccount with the rights
// of the chart.
func admin(t *testing.T) (client.Client, *rest.Config) {
	t.Helper()

	root := suite.RESTConfig(t)
	scheme := kube.Scheme(kube.Groups()...)
	require.NoError(t, rbacv1.AddToScheme(scheme))
	c, err := client.New(root, client.Options{Scheme: scheme})
	require.NoError(t, err)
	grant(t, c)

	limited := rest.CopyConfig(root)
	limited.Impersonate = rest.ImpersonationConfig{
		UserName: account,
		Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:" + ownNamespace, "system:authenticated"},
	}
	return c, limited
}

// grant gives the account the rights that the chart gives it, and no others.
func grant(t *testing.T, c client.Client) {
	t.Helper()

	rule := func(group, resource string, verbs ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{group}, Resources: []string{resource}, Verbs: verbs}
	}
	subjects := []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: account}}
	meta := metav1.ObjectMeta{Name: "claims-test"}
	inOwnNamespace := metav1.ObjectMeta{Name: "claims-test", Namespace: ownNamespace}
	for _, object := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ownNamespace}},
		&rbacv1.ClusterRole{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{
			rule("", "pods", "get", "list", "watch"),
			rule("", "persistentvolumeclaims", "get", "list", "watch", "create", "patch"),
			rule("", "namespaces", "get", "list", "watch"),
			rule("", "persistentvolumes", "get", "list", "patch", "create"),
			rule("storage.k8s.io", "storageclasses", "get", "create"),
			rule("events.k8s.io", "events", "create", "patch"),
			rule("admissionregistration.k8s.io", "mutatingwebhookconfigurations", "get", "list", "watch"),
			rule("admissionregistration.k8s.io", "mutatingadmissionpolicies", "get", "list", "watch"),
			rule("admissionregistration.k8s.io", "mutatingadmissionpolicybindings", "get", "list", "watch"),
		}},
		&rbacv1.ClusterRoleBinding{
			ObjectMeta: meta, Subjects: subjects,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "claims-test"},
		},
		&rbacv1.Role{ObjectMeta: inOwnNamespace, Rules: []rbacv1.PolicyRule{
			rule("coordination.k8s.io", "leases", "create"),
			{
				APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, ResourceNames: []string{"claims-test"},
				Verbs: []string{"get", "update", "patch"},
			},
		}},
		&rbacv1.RoleBinding{
			ObjectMeta: inOwnNamespace, Subjects: subjects,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "claims-test"},
		},
	} {
		if err := c.Create(t.Context(), object); !apierrors.IsAlreadyExists(err) {
			require.NoError(t, err)
		}
	}
}

// fixture is an installation with a configuration and as many replicas as a test starts.
type fixture struct {
	client.Client
	t       *testing.T
	limited *rest.Config
	current atomic.Pointer[storage.Config]
	// name is unique: that of the installation, and the beginning of the names of its namespaces.
	name string
	// class is a StorageClass of this test alone, which profiles call CLASS.
	class string
}

// newFixture runs the test beside others.
func newFixture(t *testing.T, profiles ...string) *fixture {
	t.Helper()
	t.Parallel()
	return newSerialFixture(t, profiles...)
}

// newSerialFixture is for a test that reads what all tests share: a metric, or the heap.
func newSerialFixture(t *testing.T, profiles ...string) *fixture {
	t.Helper()

	c, limited := admin(t)
	name := "claims-" + rand.String(8)
	f := &fixture{Client: c, t: t, limited: limited, name: name, class: name + "-fast"}
	t.Cleanup(func() {
		assert.NoError(t, c.DeleteAllOf(context.Background(), &storagev1.StorageClass{}, f.labelled()))
	})
	if len(profiles) > 0 {
		f.configure(profiles...)
	}
	return f
}

// labelled selects what this installation created.
func (f *fixture) labelled() client.MatchingLabels {
	return client.MatchingLabels{storage.LabelInstallation: f.name}
}

// configure replaces the configuration.
func (f *fixture) configure(profiles ...string) {
	f.t.Helper()

	own := make([]string, len(profiles))
	for i, profile := range profiles {
		own[i] = strings.ReplaceAll(profile, "CLASS", f.class)
	}
	f.current.Store(claimtest.Config(f.t, own...))
}

// claimsReplica is one running program.
type claimsReplica struct {
	index   *claims.Index
	manager manager.Manager
	changed chan struct{}
	stop    func()
}

// run starts a replica that ends with the test, or by its stop.
func (f *fixture) run(change ...func(*claims.Options, *manager.Options)) *claimsReplica {
	f.t.Helper()

	r := &claimsReplica{changed: make(chan struct{})}
	o := claims.Options{
		Config: f.current.Load, Changed: r.changed, Installation: f.name, Workers: 1,
		PendingAfter: time.Second, Recheck: time.Second,
	}
	m := manager.Options{
		Scheme: kube.Scheme(kube.Groups()...), Metrics: server.Options{BindAddress: "0"},
		Controller:       config.Controller{SkipNameValidation: new(true)},
		LeaderElectionID: "claims-test", LeaderElectionNamespace: ownNamespace,
	}
	for _, c := range change {
		c(&o, &m)
	}
	m.Cache = f.cacheOptions(o)
	m.Cache.ReaderFailOnMissingInformer = true // nothing may be watched by accident
	var err error
	r.manager, err = manager.New(f.limited, m)
	require.NoError(f.t, err)
	r.index, err = claims.Add(r.manager, o)
	require.NoError(f.t, err)

	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.manager.Start(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil && !m.LeaderElection { // whoever loses the lease fails
			f.t.Error(err)
		}
	})
	f.t.Cleanup(r.stop)
	require.True(f.t, r.manager.GetCache().WaitForCacheSync(f.t.Context()))
	return r
}

// cacheOptions are the program's, less the pods of other tests.
func (f *fixture) cacheOptions(o claims.Options) cache.Options {
	f.t.Helper()

	options := claims.CacheOptions(o)
	own, err := labels.NewRequirement(labelTest, selection.Equals, []string{f.name})
	require.NoError(f.t, err)
	for object, by := range options.ByObject {
		if _, ok := object.(*corev1.Pod); ok {
			by.Label = by.Label.Add(*own)
			options.ByObject[object] = by
		}
	}
	return options
}

// pods returns the pods in the cache.
func (r *claimsReplica) pods(f *fixture) []metav1.PartialObjectMetadata {
	f.t.Helper()

	list := kube.MetadataListOf("Pod")
	require.NoError(f.t, r.manager.GetCache().List(f.t.Context(), list))
	return list.Items
}

// set replaces the configuration of a running replica.
func (f *fixture) set(r *claimsReplica, profiles ...string) {
	f.t.Helper()

	f.configure(profiles...)
	r.changed <- struct{}{}
}

// namespace makes a namespace.
func (f *fixture) namespace(labels ...string) string {
	f.t.Helper()

	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: f.name + "-", Labels: map[string]string{}}}
	for _, l := range labels {
		namespace.Labels[l] = "true"
	}
	require.NoError(f.t, f.Create(f.t.Context(), namespace))
	return namespace.Name
}

// pod makes a pod as the webhook leaves it.
func (f *fixture) pod(namespace, name, injected string, change ...func(*corev1.Pod)) *corev1.Pod {
	f.t.Helper()

	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: namespace,
			Labels:      map[string]string{kinds.Label: kinds.LabelEnabled, labelTest: f.name},
			Annotations: map[string]string{inject.AnnotationInjected: injected},
		},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "example.com/main"}}},
	}
	for _, c := range change {
		c(pod)
	}
	require.NoError(f.t, f.Create(f.t.Context(), pod))
	return pod
}

// get reads an object; a test that waits uses eventually.
func get[T client.Object](f *fixture, namespace, name string, into T) T {
	f.t.Helper()
	require.NoError(f.t, f.Get(f.t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, into))
	return into
}

// eventually reads an object until it is there and as wanted.
func eventually[T client.Object](f *fixture, namespace, name string, into T, wanted func(T) bool) T {
	f.t.Helper()
	require.Eventually(f.t, func() bool {
		err := f.Get(f.t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, into)
		return err == nil && wanted(into)
	}, timeout, poll, "%T %s/%s", into, namespace, name)
	return into
}

func exists[T client.Object](T) bool { return true }

func (f *fixture) missing(namespace, name string, object client.Object) {
	f.t.Helper()
	err := f.Get(f.t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, object)
	assert.True(f.t, apierrors.IsNotFound(err), "%T %s/%s should not exist, but: %v", object, namespace, name, err)
}

func (f *fixture) notes(namespace, about, reason string) []string {
	f.t.Helper()

	var list eventsv1.EventList
	require.NoError(f.t, f.List(f.t.Context(), &list, client.InNamespace(namespace)))
	var notes []string
	for _, e := range list.Items {
		if e.Regarding.Name == about && (reason == "" || e.Reason == reason) {
			notes = append(notes, e.Note)
		}
	}
	return notes
}

// event waits for an Event about an object and returns its note.
func (f *fixture) event(namespace, about, reason string) string {
	f.t.Helper()

	var notes []string
	require.Eventually(f.t, func() bool {
		notes = f.notes(namespace, about, reason)
		return len(notes) > 0
	}, timeout, poll, "an Event %s about %s", reason, about)
	assert.Len(f.t, notes, 1, "a problem is reported once")
	return notes[0]
}

// barrier returns when the controller has reconciled everything that was enqueued before: its one
// worker reconciles a profile of another namespace after them, and its Event comes after theirs.
func (f *fixture) barrier() {
	f.t.Helper()

	namespace := f.namespace()
	f.pod(namespace, "barrier", "no-such-profile")
	f.event(namespace, "barrier", diagnose.ReasonProfileUnknown)
}

// claim makes a claim by other hands than the controller's.
func (f *fixture) claim(namespace, name, class, size string, change ...claimtest.Change) *corev1.PersistentVolumeClaim {
	f.t.Helper()

	claim := claimtest.Claim(append(change, claimtest.Size(size), claimtest.Class(class))...)
	claim.ObjectMeta = metav1.ObjectMeta{
		Name: name, Namespace: namespace, Labels: claim.Labels,
		Annotations: claim.Annotations,
	}
	require.NoError(f.t, f.Create(f.t.Context(), claim))
	return claim
}

// bind does by hand what the binder does: a volume for a claim, and both Bound.
func (f *fixture) bind(claim *corev1.PersistentVolumeClaim, volume string) {
	f.t.Helper()

	ctx := f.t.Context()
	v := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: volume},
		Spec: corev1.PersistentVolumeSpec{
			Capacity: claim.Spec.Resources.Requests, AccessModes: claim.Spec.AccessModes,
			StorageClassName:              diagnose.ClassOf(claim),
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			PersistentVolumeSource:        corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/data"}},
			ClaimRef: &corev1.ObjectReference{
				APIVersion: "v1", Kind: kube.KindClaim,
				Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID,
			},
		},
	}
	if err := f.Create(ctx, v); !apierrors.IsAlreadyExists(err) {
		require.NoError(f.t, err)
	}
	require.NoError(f.t, retry.RetryOnConflict(retry.DefaultRetry, func() error {
		live := get(f, claim.Namespace, claim.Name, &corev1.PersistentVolumeClaim{})
		if live.Spec.VolumeName == "" {
			live.Spec.VolumeName = volume
			if err := f.Update(ctx, live); err != nil {
				return err
			}
		}
		live.Status.Phase = corev1.ClaimBound
		live.Status.Capacity, live.Status.AccessModes = live.Spec.Resources.Requests, live.Spec.AccessModes
		return f.Status().Update(ctx, live)
	}))
}
