package claims

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
	"github.com/pipeline-storage/pipeline-storage/internal/kube"
)

const (
	overlapEvery = 10 * time.Minute // labels of namespaces change, too
	namedFew     = 3                // namespaces in a sentence
)

// overlap looks for other installations whose webhook takes pods that this one takes: both would mount storage in them,
// each by its own configuration. Every replica looks, the leader says it.
type overlap struct {
	own     string // the own MutatingWebhookConfiguration
	cached  client.Reader
	live    client.Reader
	notices *notices
	elected <-chan struct{}
	changed <-chan struct{}
	note    atomic.Pointer[string] // nil: it has not looked yet
}

// AddOverlap adds only the search for other installations to a manager that was made with [CacheOptions] of the same
// options, for a program that runs without the claims controller; [Add] does so itself. Of the options it uses
// WebhookConfiguration; where that is empty nobody looks. What it returns tells at any time, without a request, what
// [Index.Overlap] tells. It needs get, list and watch of MutatingWebhookConfigurations and namespaces.
func AddOverlap(mgr manager.Manager, o Options) (func() string, error) {
	w, err := addOverlap(mgr, o)
	return w.text, err
}

// addOverlap returns nil where nobody looks.
func addOverlap(mgr manager.Manager, o Options) (*overlap, error) {
	if o.WebhookConfiguration == "" {
		return nil, nil
	}
	ctx := context.Background() // nothing blocks here: the cache has not started
	w := &overlap{
		own: o.WebhookConfiguration, cached: mgr.GetCache(), live: mgr.GetAPIReader(), notices: newNotices(mgr.GetEventRecorder(recorderName)),
		elected: mgr.Elected(),
	}
	if _, err := mgr.GetCache().GetInformer(ctx, metadataOf("Namespace"), cache.BlockUntilSynced(false)); err != nil {
		return nil, fmt.Errorf("watch namespaces: %w", err)
	}
	var err error
	if w.changed, err = kube.WatchWebhooks(mgr.GetCache()); err != nil {
		return nil, err
	}
	if err := mgr.Add(w); err != nil {
		return nil, fmt.Errorf("add the search for other installations: %w", err)
	}
	return w, nil
}

// text is what was found last. A nil overlap finds nothing.
func (w *overlap) text() string {
	if w == nil {
		return ""
	}
	if note := w.note.Load(); note != nil {
		return *note
	}
	return ""
}

// NeedLeaderElection says that it does not: readiness tells of an overlap on every replica.
func (w *overlap) NeedLeaderElection() bool { return false }

// Start looks at once, at every change, when this replica becomes the leader, and from time to time, until ctx ends.
func (w *overlap) Start(ctx context.Context) error {
	tick := time.NewTicker(overlapEvery)
	defer tick.Stop()
	elected := w.elected
	for {
		if err := w.look(ctx); err != nil && ctx.Err() == nil {
			log.FromContext(ctx).Error(err, "Could not look for other installations; it is tried again")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-w.changed:
		case <-elected:
			elected = nil
		case <-tick.C:
		}
	}
}

func (w *overlap) look(ctx context.Context) error {
	own, err := kube.ReadWebhooks(ctx, w.own, w.cached, w.live)
	if err != nil || own == nil {
		w.found(ctx, nil, "")
		return err
	}
	var all admissionregistrationv1.MutatingWebhookConfigurationList
	if err := w.cached.List(ctx, &all); err != nil {
		return fmt.Errorf("list MutatingWebhookConfigurations: %w", err)
	}
	namespaces := metadataListOf("Namespace")
	if err := w.cached.List(ctx, namespaces, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("list namespaces: %w", err)
	}
	w.found(ctx, own, overlapNote(own, all.Items, namespaces.Items))
	return nil
}

func (w *overlap) found(ctx context.Context, own *admissionregistrationv1.MutatingWebhookConfiguration, note string) {
	before := w.text()
	w.note.Store(&note)
	if note == "" {
		overlapping.Set(0)
		return
	}
	overlapping.Set(1)
	select {
	case <-w.elected:
	default:
		return
	}
	if note != before {
		log.FromContext(ctx).Info("Two installations select the same pods", "overlap", note)
	}
	w.notices.warn(&corev1.ObjectReference{
		APIVersion: admissionregistrationv1.SchemeGroupVersion.String(), Kind: "MutatingWebhookConfiguration", Name: own.Name, UID: own.UID,
	}, nil, actionSelect, diagnose.Finding{Reason: diagnose.ReasonOverlap, Note: note})
}

// overlapNote says which other configuration takes pods of which namespaces that the own one takes. Empty: none.
func overlapNote(own *admissionregistrationv1.MutatingWebhookConfiguration, all []admissionregistrationv1.MutatingWebhookConfiguration, namespaces []metav1.PartialObjectMetadata) string {
	for i := range all {
		if all[i].Name == own.Name || all[i].DeletionTimestamp != nil {
			continue
		}
		both := takenByBoth(own, &all[i], namespaces)
		if len(both) == 0 {
			continue
		}
		return fmt.Sprintf("another installation (MutatingWebhookConfiguration %s) also takes pods of %s, which %s takes: give the two namespaceSelectors that no namespace matches both of",
			all[i].Name, few("the namespace", both), own.Name)
	}
	return ""
}

// takenByBoth returns the names of the namespaces that a webhook of each takes pods of, sorted.
func takenByBoth(one, other *admissionregistrationv1.MutatingWebhookConfiguration, namespaces []metav1.PartialObjectMetadata) []string {
	var both []string
	for i := range one.Webhooks {
		for j := range other.Webhooks {
			if disjoint(one.Webhooks[i].ObjectSelector, other.Webhooks[j].ObjectSelector) {
				continue
			}
			for k := range namespaces {
				if diagnose.Selects(one.Webhooks[i].NamespaceSelector, namespaces[k].Labels) && diagnose.Selects(other.Webhooks[j].NamespaceSelector, namespaces[k].Labels) {
					both = append(both, namespaces[k].Name)
				}
			}
		}
	}
	slices.Sort(both)
	return slices.Compact(both)
}

func few(what string, names []string) string {
	if len(names) > 1 {
		what += "s"
	}
	if more := len(names) - namedFew; more > 0 {
		return fmt.Sprintf("%s %s and %d more", what, strings.Join(names[:namedFew], ", "), more)
	}
	return what + " " + strings.Join(names, ", ")
}
