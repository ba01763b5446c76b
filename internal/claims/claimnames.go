package claims

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/pipeline-storage/pipeline-storage/internal/kube"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// claimNames holds the names of all claims of the cluster, and no other field of them. It watches
// only while a profile has claim.create: false. For other profiles the controller creates missing
// claims, so their names are not needed.
type claimNames struct {
	manager manager.Manager
	running atomic.Pointer[nameSet]
}

// nameSet is one run of the watch.
type nameSet struct {
	names  sync.Map // types.NamespacedName to struct{}
	synced func() bool
	stop   context.CancelFunc
}

// missing reports whether the claim does not exist. It is false while the watch is not synced.
func (c *claimNames) missing(namespace, name string) bool {
	set := c.running.Load()
	if set == nil || !set.synced() {
		return false
	}
	_, exists := set.names.Load(types.NamespacedName{Namespace: namespace, Name: name})
	return !exists
}

// follow starts or stops the watch as the configuration needs it. One goroutine calls it.
func (c *claimNames) follow(ctx context.Context, config *storage.Config) error {
	needed := slices.ContainsFunc(config.Profiles, func(p storage.Profile) bool { return !*p.Claim.Create })
	set := c.running.Load()
	switch {
	case needed && set == nil:
		return c.start(ctx)
	case !needed && set != nil:
		c.running.Store(nil)
		set.stop()
	}
	return nil
}

// start watches the names of all claims until ctx ends or the set is stopped. It returns before the
// first list has arrived. An error leaves no goroutine behind.
func (c *claimNames) start(ctx context.Context) error {
	// The manager's cache has the claims of this installation only, so this is a second one.
	all, err := cache.New(c.manager.GetConfig(), cache.Options{
		HTTPClient: c.manager.GetHTTPClient(), Scheme: c.manager.GetScheme(), Mapper: c.manager.GetRESTMapper(),
		DefaultTransform: kube.Strip(stripToName),
	})
	if err != nil {
		return fmt.Errorf("watch the names of claims: %w", err)
	}
	informer, err := all.GetInformer(ctx, kube.MetadataOf(kube.KindClaim), cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("watch the names of claims: %w", err)
	}
	ctx, stop := context.WithCancel(ctx)
	set := &nameSet{stop: stop}
	registration, err := informer.AddEventHandler(set)
	if err != nil {
		stop()
		return fmt.Errorf("watch the names of claims: %w", err)
	}
	set.synced = registration.HasSynced
	c.running.Store(set)
	go func() {
		if err := all.Start(ctx); err != nil {
			log.FromContext(ctx).Error(err, "Watching the names of claims ended")
		}
	}()
	return nil
}

// stripToName returns what the informer itself needs (it compares UID and resourceVersion) and the
// name.
func stripToName(claim *metav1.PartialObjectMetadata) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Name: claim.Name, Namespace: claim.Namespace, UID: claim.UID, ResourceVersion: claim.ResourceVersion,
	}}
}

// OnAdd stores a name.
func (s *nameSet) OnAdd(object any, _ bool) {
	if name, ok := nameOf(object); ok {
		s.names.Store(name, struct{}{})
	}
}

// OnUpdate does nothing: names do not change.
func (s *nameSet) OnUpdate(_, _ any) {}

// OnDelete removes a name.
func (s *nameSet) OnDelete(object any) {
	if name, ok := nameOf(object); ok {
		s.names.Delete(name)
	}
}

// nameOf returns the name of the claim that an informer passes to its handler.
func nameOf(object any) (types.NamespacedName, bool) {
	claim, ok := kube.HandledMetadata(object)
	if !ok {
		return types.NamespacedName{}, false
	}
	return types.NamespacedName{Namespace: claim.Namespace, Name: claim.Name}, true
}
