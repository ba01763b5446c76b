package kube

import (
	"context"
	"fmt"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// watchObjects returns a channel that has a value when an object of these kinds has changed in the
// cache since the last one was taken. It makes no request: the cache may not have started.
func watchObjects(c cache.Cache, objects ...client.Object) (<-chan struct{}, error) {
	changed := NewSignal()
	for _, object := range objects {
		informer, err := c.GetInformer(context.Background(), object, cache.BlockUntilSynced(false))
		if err != nil {
			return nil, fmt.Errorf("watch %T: %w", object, err)
		}
		if _, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc:    func(any) { changed.Notify() },
			UpdateFunc: func(_, _ any) { changed.Notify() },
			DeleteFunc: func(any) { changed.Notify() },
		}); err != nil {
			return nil, fmt.Errorf("watch %T: %w", object, err)
		}
	}
	return changed, nil
}

// AdmissionReference refers to an object of admissionregistration.k8s.io, for Events.
func AdmissionReference(kind string, o metav1.Object) *corev1.ObjectReference {
	return &corev1.ObjectReference{
		APIVersion: admissionregistrationv1.SchemeGroupVersion.String(), Kind: kind, Name: o.GetName(), UID: o.GetUID(),
	}
}

// ReadWebhookConfiguration reads a MutatingWebhookConfiguration as [ReadFirst] does, and returns nil
// when no reader has it.
func ReadWebhookConfiguration(
	ctx context.Context, name string, from ...client.Reader,
) (*admissionregistrationv1.MutatingWebhookConfiguration, error) {
	into := &admissionregistrationv1.MutatingWebhookConfiguration{}
	if found, err := ReadFirst(ctx, KindWebhookConfiguration, name, into, from...); err != nil || !found {
		return nil, err
	}
	return into, nil
}

// ReadFirst reads an object of the cluster from the first reader that has it, and returns false when
// none has. A cache has only those with the product's label, which a third party may have removed:
// give the API server's reader behind it. kind is for the error.
func ReadFirst(
	ctx context.Context, kind, name string, into client.Object, from ...client.Reader,
) (found bool, err error) {
	for _, reader := range from {
		err := reader.Get(ctx, client.ObjectKey{Name: name}, into)
		switch {
		case err == nil:
			return true, nil
		case !apierrors.IsNotFound(err):
			return false, fmt.Errorf("read %s %s: %w", kind, name, err)
		}
	}
	return false, nil
}
