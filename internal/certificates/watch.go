package certificates

import (
	"context"
	"time"

	"github.com/go-logr/logr"
	v1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pipeline-storage/pipeline-storage/internal/kube"
)

// watchAgain is the shortest time between two watches of one object: an API server ends each after
// some minutes.
const watchAgain = time.Second

// watched is one object by its name: the rights allow no more, and a cache of all of them would
// cost memory.
type watched struct {
	list    client.ObjectList
	options []client.ListOption
}

// watched returns the objects whose changes start a round. Field selectors on metadata.name are
// served for every kind.
// Source: Kubernetes, Field Selectors.
func (o Options) watched() []watched {
	objects := []watched{{
		list:    &v1.MutatingWebhookConfigurationList{},
		options: []client.ListOption{client.MatchingFields{"metadata.name": o.WebhookConfiguration}},
	}}
	if o.Self {
		objects = append(objects, watched{
			list: &corev1.SecretList{},
			options: []client.ListOption{
				client.InNamespace(o.Secret.Namespace), client.MatchingFields{"metadata.name": o.Secret.Name},
			},
		})
	}
	return objects
}

// follow notifies of every change of an object until the context ends. An error is logged and the
// watch is repeated. No change between two watches is lost: each begins with the object as it is.
// Source: Kubernetes, API Concepts, "Semantics for watch" (resourceVersion unset: "Get State and
// Start at Most Recent").
func (w watched) follow(
	ctx context.Context, api client.WithWatch, changed kube.Signal, log logr.Logger,
) {
	wait.JitterUntilWithContext(ctx, func(ctx context.Context) {
		events, err := api.Watch(ctx, w.list, w.options...)
		if err != nil {
			log.V(1).Info("cannot watch, so changes are seen later, by polling", "error", err.Error())
			return
		}
		defer events.Stop()
		for range events.ResultChan() {
			changed.Notify()
		}
	}, watchAgain, 1, true)
}
