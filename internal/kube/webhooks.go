package kube

import (
	"context"
	"fmt"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// watchWebhooks returns a channel that has a value when a MutatingWebhookConfiguration of the cache
// has changed since the last one was taken. It makes no request: the cache may not have started.
func watchWebhooks(c cache.Cache) (<-chan struct{}, error) {
	object := &admissionregistrationv1.MutatingWebhookConfiguration{}
	informer, err := c.GetInformer(context.Background(), object, cache.BlockUntilSynced(false))
	if err != nil {
		return nil, fmt.Errorf("watch MutatingWebhookConfigurations: %w", err)
	}
	changed := NewSignal()
	if _, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { changed.Notify() },
		UpdateFunc: func(_, _ any) { changed.Notify() },
		DeleteFunc: func(any) { changed.Notify() },
	}); err != nil {
		return nil, fmt.Errorf("watch MutatingWebhookConfigurations: %w", err)
	}
	return changed, nil
}

// WebhookReference refers to a MutatingWebhookConfiguration, for Events.
func WebhookReference(c *admissionregistrationv1.MutatingWebhookConfiguration) *corev1.ObjectReference {
	return &corev1.ObjectReference{
		APIVersion: admissionregistrationv1.SchemeGroupVersion.String(), Kind: KindWebhookConfiguration,
		Name: c.Name, UID: c.UID,
	}
}

// ReadWebhookConfiguration reads a MutatingWebhookConfiguration from the first reader that has it,
// and returns nil when none has. A cache has only those with the product's label, which a third
// party may have removed: give the API server's reader behind it.
func ReadWebhookConfiguration(
	ctx context.Context, name string, from ...client.Reader,
) (*admissionregistrationv1.MutatingWebhookConfiguration, error) {
	for _, reader := range from {
		found := &admissionregistrationv1.MutatingWebhookConfiguration{}
		err := reader.Get(ctx, client.ObjectKey{Name: name}, found)
		switch {
		case err == nil:
			return found, nil
		case !apierrors.IsNotFound(err):
			return nil, fmt.Errorf("read MutatingWebhookConfiguration %s: %w", name, err)
		}
	}
	return nil, nil
}
