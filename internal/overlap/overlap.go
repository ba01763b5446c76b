package overlap

import (
	"context"
	"fmt"
	"slices"
	"strings"
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
	// actionSelect is the action of the Event: what the webhook did when the problem was found.
	actionSelect = "SelectPods"
	// interval is the time between two comparisons when no MutatingWebhookConfiguration changes.
	// The labels of namespaces change as well, and no watch of them wakes the loop: an overlap by a
	// label is reported up to this late.
	interval = 10 * time.Minute
	// maxNamed is how many namespaces a note names. An Event has room for 1024 bytes.
	maxNamed = 3
)

type configuration = admissionregistrationv1.MutatingWebhookConfiguration

// Watcher compares the own webhook with those of other installations. Make one with [Add]. All its
// methods but [Watcher.Note] belong to the goroutine of the loop.
type Watcher struct {
	own    string // the name of the own MutatingWebhookConfiguration
	cached client.Reader
	live   client.Reader
	events kube.Events
	loop   kube.WebhookLoop
	note   kube.ReadyNote
}

// Add adds the comparison to a manager whose cache has namespaces and the
// MutatingWebhookConfigurations of every installation ([kube.CacheNamespaces],
// [kube.CacheWebhooks]). It needs get, list and watch of both. It returns nil, which is of use as
// it is, when own, the name of the own MutatingWebhookConfiguration, is empty. Call it before the
// manager starts. An error means that the manager cannot watch.
func Add(mgr manager.Manager, own string) (*Watcher, error) {
	if own == "" {
		return nil, nil
	}
	w := &Watcher{own: own, cached: mgr.GetCache(), live: mgr.GetAPIReader()}
	w.events.Recorder = mgr.GetEventRecorder(kube.Reporter)
	w.loop.Reconcile = w.reconcile
	ctx := context.Background() // nothing blocks here: the cache has not started
	if _, err := mgr.GetCache().GetInformer(ctx, kube.MetadataOf("Namespace"), cache.BlockUntilSynced(false)); err != nil {
		return nil, fmt.Errorf("watch namespaces: %w", err)
	}
	if err := w.loop.Watch(mgr.GetCache(), mgr.Elected()); err != nil {
		return nil, err
	}
	if err := mgr.Add(&w.loop); err != nil {
		return nil, fmt.Errorf("add the search for other installations: %w", err)
	}
	return w, nil
}

// Note returns a sentence about another installation that selects the pods of some namespace, too,
// or an empty string. It is safe for concurrent use and makes no request. A nil Watcher has none.
func (w *Watcher) Note() string {
	if w == nil {
		return ""
	}
	return w.note.Text()
}

// reconcile compares, and returns the time until the next comparison. It logs an
// error: the next comparison repeats the work.
func (w *Watcher) reconcile(ctx context.Context) time.Duration {
	if err := w.compare(ctx); err != nil && ctx.Err() == nil {
		log.FromContext(ctx).Error(err, "Could not look for other installations; it is tried again")
	}
	return interval
}

// compare reads the caches and reports what they show. Only the own configuration is read from the
// API server when the cache has none. Without it there is nothing to compare, and an earlier note
// is removed. When a list fails, the note stays.
func (w *Watcher) compare(ctx context.Context) error {
	own, err := kube.ReadWebhookConfiguration(ctx, w.own, w.cached, w.live)
	if err != nil || own == nil {
		w.report(ctx, nil, "")
		return err
	}
	var all admissionregistrationv1.MutatingWebhookConfigurationList
	if err := w.cached.List(ctx, &all); err != nil {
		return fmt.Errorf("list MutatingWebhookConfigurations: %w", err)
	}
	namespaces := kube.MetadataListOf("Namespace")
	if err := w.cached.List(ctx, namespaces, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("list namespaces: %w", err)
	}
	w.report(ctx, own, overlapNote(own, all.Items, namespaces.Items))
	return nil
}

// report sets note and gauge. The leader also logs a new note, and sends an Event. own may be nil
// when the note is empty. The Event is about the own configuration, because the other one belongs
// to a third party.
func (w *Watcher) report(ctx context.Context, own *configuration, note string) {
	before := w.Note()
	w.note.Set(note)
	if note == "" {
		overlapping.Set(0)
		return
	}
	overlapping.Set(1)
	if !w.loop.IsLeader() {
		return
	}
	if note != before {
		log.FromContext(ctx).Info("Two installations select the same pods", "overlap", note)
	}
	w.events.SendOnce(kube.Event{
		Type: corev1.EventTypeWarning, About: kube.WebhookReference(own),
		Reason: diagnose.ReasonOverlap, Action: actionSelect, Note: note,
	})
}

// overlapFormat takes the other configuration, the namespaces and the own configuration.
const overlapFormat = "another installation (MutatingWebhookConfiguration %s) also selects pods of %s, " +
	"which %s selects: " +
	"give the two namespaceSelectors that no namespace matches both of"

// overlapNote names the other configuration that selects pods of the same namespaces as the own
// one. Empty: no other does. Of several it names the first in the order of all. A configuration
// that is being deleted selects nothing for long, and is left out.
func overlapNote(own *configuration, all []configuration, namespaces []metav1.PartialObjectMetadata) string {
	for i := range all {
		if all[i].Name == own.Name || all[i].DeletionTimestamp != nil {
			continue
		}
		if both := selectedByBoth(own, &all[i], namespaces); len(both) > 0 {
			return fmt.Sprintf(overlapFormat, all[i].Name, listed("the namespace", both), own.Name)
		}
	}
	return ""
}

// selectedByBoth returns the names of the namespaces of which a webhook of each selects pods,
// sorted. It compares each pair of webhooks: first the object selectors, which is cheap, then the
// labels of each namespace. A webhook selects a pod when both of its selectors match.
// Source: Kubernetes, Dynamic Admission Control, "Matching requests".
func selectedByBoth(one, other *configuration, namespaces []metav1.PartialObjectMetadata) []string {
	var both []string
	for i := range one.Webhooks {
		for j := range other.Webhooks {
			if disjoint(one.Webhooks[i].ObjectSelector, other.Webhooks[j].ObjectSelector) {
				continue
			}
			for k := range namespaces {
				if diagnose.Selects(one.Webhooks[i].NamespaceSelector, namespaces[k].Labels) &&
					diagnose.Selects(other.Webhooks[j].NamespaceSelector, namespaces[k].Labels) {
					both = append(both, namespaces[k].Name)
				}
			}
		}
	}
	slices.Sort(both)
	return slices.Compact(both)
}

// listed returns the noun and the first names, with the number of those left out. what is the noun
// in the singular. names must not be empty.
func listed(what string, names []string) string {
	if len(names) > 1 {
		what += "s"
	}
	if more := len(names) - maxNamed; more > 0 {
		return fmt.Sprintf("%s %s and %d more", what, strings.Join(names[:maxNamed], ", "), more)
	}
	return what + " " + strings.Join(names, ", ")
}
