package claims

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/pipeline-storage/pipeline-storage/internal/kube"
	"github.com/pipeline-storage/pipeline-storage/internal/selection"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

const (
	// controllerName stands in the labels of the metrics of controller-runtime, such as
	// controller_runtime_reconcile_total.
	controllerName = "claims"
	// The first wait after an error, and the longest.
	firstRetry = 200 * time.Millisecond
	lastRetry  = time.Minute
)

// Add adds the controller to a manager that was made with [CacheOptions] of the same options, and
// returns the index of this replica. The controller runs on the leader only, the index everywhere.
// The account needs the verbs that cmd/webhook/app lists in its markers. An error means that the
// manager cannot watch: it must not be started then.
func Add(mgr manager.Manager, o Options) (*Index, error) {
	o = o.withDefaults()
	index, err := newIndex(mgr)
	if err != nil {
		return nil, err
	}
	r := newReconciler(mgr, o)
	if err := watch(mgr, o, r, index); err != nil {
		return nil, err
	}
	if err := mgr.Add(&configurationFollower{options: o, index: index, requeue: r.requeue}); err != nil {
		return nil, fmt.Errorf("add the follower of the configuration: %w", err)
	}
	return index, nil
}

// newIndex makes the index and the informers that feed it and the controller, so that a replica
// that becomes the leader has them filled.
func newIndex(mgr manager.Manager) (*Index, error) {
	ctx := context.Background() // nothing blocks here: the cache has not started
	pod := kube.MetadataOf("Pod")
	if err := mgr.GetFieldIndexer().IndexField(ctx, pod, indexProfile, liveProfiles); err != nil {
		return nil, fmt.Errorf("index pods by profile: %w", err)
	}
	index := &Index{names: claimNames{manager: mgr}}
	for _, watched := range []struct {
		object  client.Object
		handler toolscache.ResourceEventHandler // nil: only the controller needs it
	}{
		{pod, index.handler()}, {&corev1.PersistentVolumeClaim{}, &index.lost}, {kube.MetadataOf("Namespace"), nil},
	} {
		informer, err := mgr.GetCache().GetInformer(ctx, watched.object, cache.BlockUntilSynced(false))
		if err != nil {
			return nil, fmt.Errorf("watch %T: %w", watched.object, err)
		}
		if watched.handler == nil {
			continue
		}
		registration, err := informer.AddEventHandler(watched.handler)
		if err != nil {
			return nil, fmt.Errorf("watch %T: %w", watched.object, err)
		}
		if watched.object == client.Object(pod) {
			index.synced = registration.HasSynced
		}
	}
	return index, nil
}

// watch makes the controller with the sources of its work. A source is where changes come from; its
// work is a profile in a namespace, not the object that has changed. So a Job with hundreds of pods
// is one item in the queue.
//
// A failed item waits for [firstRetry], doubled up to [lastRetry]. controller-runtime adds no limit
// for all items together, because the rate limiter is replaced.
// Source: client-go, util/workqueue DefaultTypedControllerRateLimiter.
func watch(mgr manager.Manager, o Options, r *reconciler, index *Index) error {
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[storage.ProfileRef](firstRetry, lastRetry)
	c, err := controller.NewTyped(controllerName, mgr, controller.TypedOptions[storage.ProfileRef]{
		Reconciler: r, MaxConcurrentReconciles: o.Workers, RateLimiter: limiter,
	})
	if err != nil {
		return fmt.Errorf("make the claims controller: %w", err)
	}
	sources := []source.TypedSource[storage.ProfileRef]{
		podSource(mgr.GetCache()), claimSource(mgr.GetCache()), namespaceSource(mgr.GetCache(), index), r.source(),
	}
	if o.Selection.Name != "" {
		for _, object := range o.Selection.Objects() {
			sources = append(sources, selectionSource(mgr.GetCache(), o.Selection, object, index))
		}
	}
	for _, s := range sources {
		if err := c.Watch(s); err != nil {
			return fmt.Errorf("watch for the claims controller: %w", err)
		}
	}
	return nil
}

// podSource enqueues the profiles of a pod when it appears or its injected annotation changes. No
// other update of a pod matters here, and its deletion frees nothing. Every pod comes as a create
// event when this replica becomes the leader, which reconciles everything once.
func podSource(c cache.Cache) source.TypedSource[storage.ProfileRef] {
	type pods = metav1.PartialObjectMetadata
	return source.TypedKind(c, kube.MetadataOf("Pod"),
		handler.TypedEnqueueRequestsFromMapFunc(func(_ context.Context, pod *pods) []storage.ProfileRef {
			return refsOf(pod)
		}),
		predicate.TypedFuncs[*pods]{
			UpdateFunc: func(e event.TypedUpdateEvent[*pods]) bool {
				return e.ObjectOld.Annotations[inject.AnnotationInjected] != e.ObjectNew.Annotations[inject.AnnotationInjected]
			},
			DeleteFunc: func(event.TypedDeleteEvent[*pods]) bool { return false },
		})
}

// claimSource enqueues a claim of this installation at every change: bound, grown, deleted while
// pods need it. The cache has no other claims, see [CacheOptions].
func claimSource(c cache.Cache) source.TypedSource[storage.ProfileRef] {
	type claims = corev1.PersistentVolumeClaim
	return source.TypedKind(c, &claims{},
		handler.TypedEnqueueRequestsFromMapFunc(func(_ context.Context, claim *claims) []storage.ProfileRef {
			return []storage.ProfileRef{refOfClaim(claim)}
		}))
}

// namespaceSource enqueues the profiles of a namespace when its labels change: a profile may serve
// it now. A new namespace has no pods yet, and a deleted one needs nothing.
func namespaceSource(c cache.Cache, index *Index) source.TypedSource[storage.ProfileRef] {
	type namespaces = metav1.PartialObjectMetadata
	return source.TypedKind(c, kube.MetadataOf("Namespace"),
		handler.TypedEnqueueRequestsFromMapFunc(func(_ context.Context, namespace *namespaces) []storage.ProfileRef {
			var refs []storage.ProfileRef
			for _, ref := range index.refs() {
				if ref.Namespace == namespace.Name {
					refs = append(refs, ref)
				}
			}
			return refs
		}),
		predicate.TypedFuncs[*namespaces]{
			CreateFunc: func(event.TypedCreateEvent[*namespaces]) bool { return false },
			UpdateFunc: func(e event.TypedUpdateEvent[*namespaces]) bool {
				return !labels.Equals(e.ObjectOld.Labels, e.ObjectNew.Labels)
			},
			DeleteFunc: func(event.TypedDeleteEvent[*namespaces]) bool { return false },
		})
}

// selectionSource enqueues everything when the own installation selects other namespaces. object is
// empty, of a kind from which the selection is read. A change that leaves the selectors as they are,
// such as a new caBundle, enqueues nothing.
func selectionSource(
	c cache.Cache, own selection.Source, object client.Object, index *Index,
) source.TypedSource[storage.ProfileRef] {
	return source.TypedKind(c, object,
		handler.TypedEnqueueRequestsFromMapFunc(func(context.Context, client.Object) []storage.ProfileRef {
			return index.refs()
		}),
		predicate.TypedFuncs[client.Object]{
			CreateFunc: func(e event.TypedCreateEvent[client.Object]) bool { return own.Namespaces(e.Object) != nil },
			UpdateFunc: func(e event.TypedUpdateEvent[client.Object]) bool {
				return !reflect.DeepEqual(own.Namespaces(e.ObjectOld), own.Namespaces(e.ObjectNew))
			},
			DeleteFunc: func(event.TypedDeleteEvent[client.Object]) bool { return false },
		})
}

// configurationFollower carries a change of the configuration to everything that depends on it. It
// runs on every replica.
type configurationFollower struct {
	options Options
	index   *Index
	requeue func(ctx context.Context, refs []storage.ProfileRef) error
}

// NeedLeaderElection is false: the index is on every replica.
func (f *configurationFollower) NeedLeaderElection() bool { return false }

// Start follows until ctx ends. Errors are logged and retried: they must not end the webhook.
func (f *configurationFollower) Start(ctx context.Context) error {
	changed := f.options.Changed
	for {
		var retry <-chan time.Time
		if err := f.follow(ctx); err != nil {
			log.FromContext(ctx).Error(err, "Could not follow the configuration; it is tried again")
			retry = time.After(lastRetry)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-retry:
		case _, open := <-changed:
			if !open {
				changed = nil
			}
		}
	}
}

// follow starts or stops the watch of claim names, and enqueues every profile with pods or a claim.
// On a replica that is not the leader it enqueues nothing. In policy mode nothing reads the names,
// which are for the warnings of the webhook.
func (f *configurationFollower) follow(ctx context.Context) error {
	requeued := f.requeue(ctx, f.index.refs())
	if f.options.Selection.IsPolicy() {
		return requeued
	}
	return errors.Join(f.index.names.follow(ctx, f.options.Config()), requeued)
}
