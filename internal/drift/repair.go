package drift

import (
	"context"
	"fmt"
	"slices"
	"strings"

	v1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/pipeline-storage/pipeline-storage/internal/kube"
)

// fieldManager writes the webhooks. It owns no field afterwards, see disown.
const fieldManager = "pipeline-storage-drift"

// repair restores the webhooks. It does nothing when the object, read without a cache, is not to be
// restored any more. After a conflict it reads and decides again.
//
// A replica that ends between the two requests leaves its field manager in the object. The next
// repair removes it.
// Source: client-go, util/retry RetryOnConflict.
func (w *Watcher) repair(ctx context.Context, expected *Expected) error {
	var restored *v1.MutatingWebhookConfiguration
	var differences []string
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		live, err := kube.ReadWebhookConfiguration(ctx, w.WebhookConfiguration, w.live)
		if err != nil || live == nil || live.DeletionTimestamp != nil || !expected.installed(live) {
			return err
		}
		if differences = expected.Differences(live.Webhooks); len(differences) > 0 {
			restored, err = w.restore(ctx, expected, live)
		}
		return err
	})
	if err != nil || restored == nil {
		return err
	}
	w.repaired(ctx, restored, strings.Join(differences, "; "))
	return retry.RetryOnConflict(retry.DefaultRetry, func() error { return w.disown(ctx) })
}

// restore writes the whole list, which removes additional webhooks. It fails with a conflict when
// the object has changed since it was read.
func (w *Watcher) restore(
	ctx context.Context, expected *Expected, live *v1.MutatingWebhookConfiguration,
) (*v1.MutatingWebhookConfiguration, error) {
	return w.patch(ctx, live.Name, kube.Fields{
		"metadata": kube.Fields{"resourceVersion": live.ResourceVersion},
		"webhooks": expected.restored(live.Webhooks),
	})
}

// disown removes the repair from managedFields, so that the next upgrade by server-side apply (Helm
// 4) changes them without a conflict.
// Source: Kubernetes, Server-Side Apply, conflicts and managedFields.
func (w *Watcher) disown(ctx context.Context) error {
	live, err := kube.ReadWebhookConfiguration(ctx, w.WebhookConfiguration, w.live)
	if err != nil || live == nil {
		return err
	}
	others := slices.DeleteFunc(slices.Clone(live.ManagedFields), func(f metav1.ManagedFieldsEntry) bool {
		return f.Manager == fieldManager
	})
	if len(others) == len(live.ManagedFields) {
		return nil
	}
	_, err = w.patch(ctx, live.Name, kube.Fields{
		"metadata": kube.Fields{"resourceVersion": live.ResourceVersion, "managedFields": others},
	})
	return err
}

// patch changes fields of the MutatingWebhookConfiguration and returns it as it is then.
func (w *Watcher) patch(
	ctx context.Context, name string, fields kube.Fields,
) (*v1.MutatingWebhookConfiguration, error) {
	object := &v1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if err := kube.MergePatch(ctx, w.writer, object, fields, client.FieldOwner(fieldManager)); err != nil {
		return nil, fmt.Errorf("restore the MutatingWebhookConfiguration %s: %w", name, err)
	}
	return object, nil
}

// repaired reports a repair.
func (w *Watcher) repaired(ctx context.Context, restored *v1.MutatingWebhookConfiguration, differences string) {
	repairs.Inc()
	log.FromContext(ctx).Info("Restored the webhooks of the MutatingWebhookConfiguration",
		"name", restored.Name, "differences", differences)
	w.events.Send(kube.Event{
		Type: corev1.EventTypeNormal, About: kube.AdmissionReference(kube.KindWebhookConfiguration, restored),
		Reason: reasonRestored, Action: actionRestore,
		Note: "Restored the webhooks as they were installed. They differed: " + differences,
	})
}
