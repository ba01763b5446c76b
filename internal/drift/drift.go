package drift

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	v1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/pipeline-storage/pipeline-storage/internal/kube"
)

// Defaults of [Options].
const (
	// DefaultRepairAfter is longer than the usual time between two scrapes, so that the gauge shows
	// a difference before it is repaired.
	DefaultRepairAfter = time.Minute
	// DefaultGrace is longer than a kubelet takes to update a mounted ConfigMap.
	// Source: Kubernetes, ConfigMaps, "Mounted ConfigMaps are updated automatically" (sync period
	// plus cache delay).
	DefaultGrace = 2 * time.Minute
	// DefaultPoll is the time between two comparisons when no watch reports a change.
	DefaultPoll = 30 * time.Second
)

// Bounds.
const (
	maxRepairPause = time.Hour
	// Comparisons and reports are limited: the holder of a stolen token may change the object as
	// often as it likes.
	leastPause       = time.Second
	reportsBurst     = 10
	reportsPerSecond = 1.0 / 60
)

// Reasons and actions of Events.
const (
	// ReasonDrift is the reason of the Warning Event.
	ReasonDrift    = "WebhookConfigurationDrift"
	reasonRestored = "WebhookConfigurationRestored"
	actionCompare  = "CompareWebhooks"
	actionRestore  = "RestoreWebhooks"
)

// Options configure [Add]. Zero durations mean the defaults.
type Options struct {
	// File is the path of the expected webhooks, see [Parse]. It is read again for each comparison.
	File string
	// WebhookConfiguration is the name of the own MutatingWebhookConfiguration.
	WebhookConfiguration string
	// Repair restores the webhooks. It needs the right to patch the MutatingWebhookConfiguration.
	Repair bool
	// RepairAfter is how long a difference lasts before it is repaired.
	RepairAfter time.Duration
	// Grace is how long a difference is not reported by Event and log while the object was not
	// installed with this replica's file: during an upgrade the file comes later.
	Grace time.Duration
	// Poll is the time between two comparisons when no watch reports a change.
	Poll time.Duration
	// Clock is the real one by default.
	Clock clock.WithTicker
}

// complete returns the options with the default in place of each zero.
func (o Options) complete() Options {
	o.RepairAfter = cmp.Or(o.RepairAfter, DefaultRepairAfter)
	o.Grace = cmp.Or(o.Grace, DefaultGrace)
	o.Poll = cmp.Or(o.Poll, DefaultPoll)
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	return o
}

// Watcher compares the live MutatingWebhookConfiguration with the file on every replica; the leader
// sends Events and repairs.
type Watcher struct {
	Options
	cached client.Reader
	live   client.Reader
	writer client.Writer
	events kube.Events
	limit  flowcontrol.PassiveRateLimiter // of log messages and Events
	loop   kube.WatchLoop
	note   kube.ReadyNote

	// The fields below belong to the loop.
	since          time.Time // of the difference; zero: no difference
	sinceInstalled time.Time // of the difference while the object is installed with this file
	logged         string
	repairs        int // since the object was last in sync for long
	lastTry        time.Time
}

// Add adds the comparison to a manager whose cache keeps all fields of the own
// MutatingWebhookConfiguration. It needs get, list and watch of MutatingWebhookConfigurations, and
// patch of the own one to repair. It returns nil, which is of use as it is, when the options name
// no file or no MutatingWebhookConfiguration.
func Add(mgr manager.Manager, o Options) (*Watcher, error) {
	if o.File == "" || o.WebhookConfiguration == "" {
		return nil, nil
	}
	o = o.complete()
	w := &Watcher{
		Options: o, cached: mgr.GetCache(), live: mgr.GetAPIReader(), writer: mgr.GetClient(),
		limit: flowcontrol.NewTokenBucketPassiveRateLimiterWithClock(reportsPerSecond, reportsBurst, o.Clock),
	}
	w.events.Recorder, w.events.Clock, w.events.Limit = mgr.GetEventRecorder(kube.Reporter), o.Clock, w.limit
	w.loop = kube.WatchLoop{Reconcile: w.reconcile, LeastPause: min(leastPause, o.Poll), Clock: o.Clock}
	if err := w.loop.Watch(mgr.GetCache(), mgr.Elected(), &v1.MutatingWebhookConfiguration{}); err != nil {
		return nil, err
	}
	if err := mgr.Add(&w.loop); err != nil {
		return nil, fmt.Errorf("add the comparison of webhooks: %w", err)
	}
	return w, nil
}

// Note returns what differs, or an empty string. It is safe for concurrent use and makes no
// request. A nil Watcher has none.
func (w *Watcher) Note() string {
	if w == nil {
		return ""
	}
	return w.note.Text()
}

// reconcile compares, repairs where that is due, and returns the time until the next comparison.
func (w *Watcher) reconcile(ctx context.Context) time.Duration {
	logger := log.FromContext(ctx)
	expected, err := w.readFile()
	if err != nil {
		w.set(err.Error(), false)
		w.logOnce(ctx, err.Error())
		return w.Poll
	}
	live, err := kube.ReadWebhookConfiguration(ctx, w.WebhookConfiguration, w.cached, w.live)
	if err != nil {
		if ctx.Err() == nil {
			logger.Error(err, "Could not compare the webhooks; the comparison is repeated")
		}
		return w.Poll
	}
	w.report(ctx, expected, live)
	due, ok := w.due(expected, live)
	switch {
	case !ok:
		return w.Poll
	case due > 0:
		return min(due, w.Poll)
	}
	w.repairs++
	w.lastTry = w.Clock.Now()
	if err := w.repair(ctx, expected); err != nil && ctx.Err() == nil {
		logger.Error(err, "Could not restore the webhooks", "again", w.pause().String())
	}
	return w.Poll
}

// readFile reads and parses the file. Its size is bounded by that of a ConfigMap, 1 MiB.
// Source: Kubernetes, ConfigMaps.
func (w *Watcher) readFile() (*Expected, error) {
	text, err := os.ReadFile(w.File)
	if err != nil {
		return nil, fmt.Errorf("read the expected webhooks: %w", err)
	}
	return Parse(text)
}

// report sets note and gauge, and from the first difference on the times that due reads.
func (w *Watcher) report(ctx context.Context, expected *Expected, live *v1.MutatingWebhookConfiguration) {
	var differences []string
	if live != nil && live.DeletionTimestamp == nil {
		differences = expected.Differences(live.Webhooks)
	}
	if len(differences) == 0 {
		w.since, w.sinceInstalled = time.Time{}, time.Time{}
		w.set(exclusionNote(expected, live), false)
		w.logEnd(ctx)
		if live != nil {
			w.events.Forget(live.UID)
		}
		return
	}
	now := w.Clock.Now()
	if w.since.IsZero() {
		w.since = now
	}
	if !expected.installed(live) {
		w.sinceInstalled = time.Time{}
	} else if w.sinceInstalled.IsZero() {
		w.sinceInstalled = now
	}
	note := w.driftNote(expected, live, differences)
	w.set(note, true)
	if !expected.installed(live) && now.Sub(w.since) < w.Grace {
		return
	}
	w.warn(ctx, live, note)
}

// set stores the note and the gauge. A note without a difference, such as an exclusion of a cloud
// or a file that cannot be read, leaves the gauge at 0.
func (w *Watcher) set(note string, differs bool) {
	w.note.Set(note)
	drifted.Set(0)
	if differs {
		drifted.Set(1)
	}
}

// exclusionNote returns the exclusions that a cloud has added, which are no drift.
func exclusionNote(expected *Expected, live *v1.MutatingWebhookConfiguration) string {
	if live == nil {
		return ""
	}
	keys := expected.excluded(live.Webhooks)
	if len(keys) == 0 {
		return ""
	}
	return "the cluster also excludes namespaces by the labels " + strings.Join(keys, ", ")
}

// The next step at the end of a note, by how the object was installed.
const (
	adviceRestored = "the leader restores it; find out who changed it"
	adviceOther    = "it was installed with another version of this replica's file: wait for an upgrade to end, or " +
		"find out who changed its annotation " + AnnotationInstalled
	adviceByHand = "find out who changed it, and install it again"
)

// driftNote returns the sentence of note, log and Event: the differences and the next step. live is
// not nil. An empty annotation means that the object was not installed by the chart.
func (w *Watcher) driftNote(expected *Expected, live *v1.MutatingWebhookConfiguration, differences []string) string {
	advice := adviceByHand
	switch hash := live.Annotations[AnnotationInstalled]; {
	case hash == expected.Hash && w.Repair:
		advice = adviceRestored
	case hash != expected.Hash && hash != "":
		advice = adviceOther
	}
	return fmt.Sprintf("MutatingWebhookConfiguration %s differs from the installed one (%s): %s", live.Name,
		strings.Join(differences, "; "), advice)
}

// warn logs on every replica and sends the Event on the leader, each once for a note.
func (w *Watcher) warn(ctx context.Context, live *v1.MutatingWebhookConfiguration, note string) {
	if note != w.logged && w.limit.TryAccept() {
		w.logged = note
		log.FromContext(ctx).Info("The webhooks are not as installed", "drift", note)
	}
	if w.loop.IsLeader() {
		w.events.SendOnce(kube.Event{
			Type: corev1.EventTypeWarning, About: kube.AdmissionReference(kube.KindWebhookConfiguration, live),
			Reason: ReasonDrift, Action: actionCompare, Note: note,
		})
	}
}

// logOnce logs why nothing can be compared, once for each reason.
func (w *Watcher) logOnce(ctx context.Context, problem string) {
	if problem != w.logged {
		w.logged = problem
		log.FromContext(ctx).Info("The webhooks cannot be compared", "reason", problem)
	}
}

// logEnd logs the end of a difference, or of a problem, that was logged.
func (w *Watcher) logEnd(ctx context.Context) {
	if w.logged != "" {
		w.logged = ""
		log.FromContext(ctx).Info("The webhooks are as installed again")
	}
}

// due returns the time until the repair, and whether a repair is due at all.
func (w *Watcher) due(expected *Expected, live *v1.MutatingWebhookConfiguration) (time.Duration, bool) {
	if !w.Repair || w.sinceInstalled.IsZero() || !w.loop.IsLeader() || live == nil || !expected.installed(live) {
		return 0, false
	}
	now := w.Clock.Now()
	if now.Sub(w.lastTry) > 2*maxRepairPause {
		w.repairs = 0
	}
	return w.sinceInstalled.Add(w.pause()).Sub(now), true
}

// pause is how long a difference must last before the next repair: it doubles with each repair.
func (w *Watcher) pause() time.Duration {
	pause := w.RepairAfter
	for range w.repairs {
		if pause *= 2; pause >= maxRepairPause {
			return maxRepairPause
		}
	}
	return pause
}
