package app

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/pipeline-storage/pipeline-storage/internal/kube"
)

// namespaces has the labels of every namespace, as the manager's cache last saw them, read without
// a lock or a request.
type namespaces struct {
	labels sync.Map // name → map[string]string, never changed
	synced toolscache.InformerSynced
	// waiting counts the reviews that wait for a namespace.
	waiting atomic.Int64
}

const (
	// namespaceWait is how long a pod waits for the labels of a namespace that was created a moment
	// ago. The API server waits five seconds for the answer.
	namespaceWait = time.Second
	// namespacePoll is the time between two reads while a pod waits.
	namespacePoll = 10 * time.Millisecond
)

// maxWaiting is how many reviews wait at once for namespaces that are not known. A further one is
// refused at once: any client that reaches the port can name a namespace that does not exist.
const maxWaiting = 64

// follow fills it from the manager's cache.
func (n *namespaces) follow(mgr manager.Manager) error {
	namespace := kube.MetadataOf("Namespace")
	informer, err := mgr.GetCache().GetInformer(context.Background(), namespace, cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("watch namespaces: %w", err)
	}
	registration, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    n.put,
		UpdateFunc: func(_, object any) { n.put(object) },
		DeleteFunc: n.remove,
	})
	if err != nil {
		return fmt.Errorf("watch namespaces: %w", err)
	}
	n.synced = registration.HasSynced
	return nil
}

// put stores the labels of a namespace. The map belongs to the cache and never changes: an update
// brings another object.
func (n *namespaces) put(object any) {
	if namespace, ok := kube.HandledMetadata(object); ok {
		n.labels.Store(namespace.Name, namespace.Labels)
	}
}

// remove forgets a namespace that was deleted.
func (n *namespaces) remove(object any) {
	if namespace, ok := kube.HandledMetadata(object); ok {
		n.labels.Delete(namespace.Name)
	}
}

// labelsOf returns the labels of a namespace, and false when the cache does not have it in time, or
// when many reviews wait already. It is called by every review of a profile with a
// namespaceSelector, concurrently.
func (n *namespaces) labelsOf(ctx context.Context, name string) (map[string]string, bool) {
	if labels, ok := n.cached(name); ok {
		return labels, true
	}
	defer n.waiting.Add(-1)
	if n.waiting.Add(1) > maxWaiting {
		return nil, false
	}
	ctx, cancel := context.WithTimeout(ctx, namespaceWait)
	defer cancel()
	tick := time.NewTicker(namespacePoll)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if labels, ok := n.cached(name); ok {
				return labels, true
			}
		case <-ctx.Done():
			return nil, false
		}
	}
}

// cached returns the labels without waiting. A namespace without labels has a nil map, and true.
func (n *namespaces) cached(name string) (map[string]string, bool) {
	value, ok := n.labels.Load(name)
	labels, _ := value.(map[string]string)
	return labels, ok
}
