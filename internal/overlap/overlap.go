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
	"github.com/pipeline-storage/pipeline-storage/internal/selection"
)

const (
	// actionSelect is the action of the Event: what the webhook did when the problem was found.
	actionSelect = "SelectPods"
	// interval is the time between two comparisons when nothing that is watched changes. The labels
	// of namespaces change as well, and no watch of them wakes the loop: an overlap by a label is
	// reported up to this late. So is one with policies, for an installation with a webhook.
	interval = 10 * time.Minute
	// maxNamed is how many namespaces a note names. An Event has room for 1024 bytes.
	maxNamed = 3
)

// Watcher compares the own selection with those of other installations. Make one with [Add]. All its
// methods but [Watcher.Note] belong to the goroutine of the loop.
type Watcher struct {
	own    selection.Source
	cached client.Reader
	live   client.Reader
	events kube.Events
	loop   kube.WatchLoop
	note   kube.ReadyNote
}

// Add adds the comparison to a manager whose cache has namespaces and what own selects by
// ([kube.CacheNamespaces], [selection.Source.Cache]). It needs get, list and watch of both, and of
// the MutatingWebhookConfigurations. It returns nil, which is of use as it is, when own has no name.
// Call it before the manager starts. An error means that the manager cannot watch.
func Add(mgr manager.Manager, own selection.Source) (*Watcher, error) {
	if own.Name == "" {
		return nil, nil
	}
	w := &Watcher{own: own, cached: mgr.GetCache(), live: mgr.GetAPIReader()}
	w.events.Recorder = mgr.GetEventRecorder(kube.Reporter)
	w.loop.Reconcile = w.reconcile
	ctx := context.Background() // nothing blocks here: the cache has not started
	if _, err := mgr.GetCache().GetInformer(ctx, kube.MetadataOf("Namespace"), cache.BlockUntilSynced(false)); err != nil {
		return nil, fmt.Errorf("watch namespaces: %w", err)
	}
	watched := own.Objects()
	if own.IsPolicy() {
		watched = append(watched, &admissionregistrationv1.MutatingWebhookConfiguration{})
	}
	if err := w.loop.Watch(mgr.GetCache(), mgr.Elected(), watched...); err != nil {
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

// compare reads the caches and reports what they show. Only the own object is read from the API
// server when the cache has none. Without it there is nothing to compare, and an earlier note about
// another installation is removed. When a list fails, the note stays.
func (w *Watcher) compare(ctx context.Context) error {
	own, err := w.own.Read(ctx, w.cached, w.live)
	if err != nil {
		w.report(ctx, nil, "")
		return err
	}
	if note := w.unserved(own); own == nil || note != "" {
		w.report(ctx, nil, "")
		w.note.Set(note)
		return nil
	}
	all, err := selection.Installed(ctx, w.cached, w.policies())
	if err != nil {
		return err
	}
	namespaces := kube.MetadataListOf("Namespace")
	if err := w.cached.List(ctx, namespaces, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("list namespaces: %w", err)
	}
	w.report(ctx, own, overlapNote(own, all, namespaces.Items))
	return nil
}

// policies returns where policies are read. An installation with a webhook must not watch them: the
// API server of its cluster may not serve them. It lists them at each comparison, and has no note
// about them where it cannot.
func (w *Watcher) policies() client.Reader {
	if w.own.IsPolicy() {
		return w.cached
	}
	return w.live
}

// unserved returns why the claims controller of an installation in policy mode serves no namespace.
// Empty: it serves some. Of a webhook the certificates report it.
func (w *Watcher) unserved(own *selection.Selection) string {
	const format = "%s %s: the installation serves no namespace, and creates no claim"
	switch {
	case !w.own.IsPolicy():
		return ""
	case own == nil:
		return fmt.Sprintf(format, w.own.Kind+" "+w.own.Name, "does not exist")
	case len(own.Rules) == 0:
		return fmt.Sprintf(format, own, "has no "+kube.KindPolicyBinding)
	}
	return ""
}

// report sets note and gauge. The leader also logs a new note, and sends an Event. own may be nil
// when the note is empty. The Event is about the own object, because the other one belongs to a
// third party.
func (w *Watcher) report(ctx context.Context, own *selection.Selection, note string) {
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
		Type: corev1.EventTypeWarning, About: own.Reference(),
		Reason: diagnose.ReasonOverlap, Action: actionSelect, Note: note,
	})
}

// overlapFormat takes the other object, the namespaces and the name of the own object.
const overlapFormat = "another installation (%s) also selects pods of %s, " +
	"which %s selects: " +
	"give the two namespaceSelectors that no namespace matches both of"

// overlapNote names the other object that selects pods of the same namespaces as the own one.
// Empty: no other does. Of several it names the first in the order of all. Objects of the own name
// are of the own installation: while it moves from one mode to the other, it has both. An object that
// is being deleted selects nothing for long, and is left out.
func overlapNote(
	own *selection.Selection, all []*selection.Selection, namespaces []metav1.PartialObjectMetadata,
) string {
	for _, other := range all {
		if other.Object.GetName() == own.Object.GetName() || other.Object.GetDeletionTimestamp() != nil {
			continue
		}
		if both := selectedByBoth(own, other, namespaces); len(both) > 0 {
			return fmt.Sprintf(overlapFormat, other, listed("the namespace", both), own.Object.GetName())
		}
	}
	return ""
}

// selectedByBoth returns the names of the namespaces of which a rule of each selects pods, sorted. It
// compares each pair of rules: first the selectors of pods, which is cheap, then the labels of each
// namespace. A rule selects a pod when both of its selectors match.
// Source: Kubernetes, Dynamic Admission Control, "Matching requests".
func selectedByBoth(one, other *selection.Selection, namespaces []metav1.PartialObjectMetadata) []string {
	var both []string
	for i := range one.Rules {
		for j := range other.Rules {
			if disjoint(one.Rules[i].Pods, other.Rules[j].Pods) {
				continue
			}
			for k := range namespaces {
				set := namespaces[k].Labels
				if one.Rules[i].MatchesNamespace(set) && other.Rules[j].MatchesNamespace(set) {
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
