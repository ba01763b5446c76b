package kube

import (
	"maps"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/utils/clock"
)

// Names under which Events are reported. The chart's guardrail policies allow these two only.
const (
	// Reporter reports about the webhook, also without the claims controller.
	Reporter = "pipeline-storage"
	// ClaimsReporter is the claims controller. It reports about claims and the pods that need them.
	ClaimsReporter = "pipeline-storage-claims"
)

// MaxNote is the length of a note in bytes. Source: Kubernetes, events/v1 Event.note.
const MaxNote = 1024

const (
	// repeatAfter is when [Events.SendOnce] sends a note again, because Events expire.
	repeatAfter = 10 * time.Minute
	// maxSent is how many notes [Events] remembers.
	maxSent = 10_000
)

// Event is what happened to an object.
type Event struct {
	// Type is [corev1.EventTypeNormal] or [corev1.EventTypeWarning].
	Type string
	// About is the object. Related is one that has to do with it, or nil.
	About, Related *corev1.ObjectReference
	// Reason and Action are for machines, in CamelCase.
	Reason, Action string
	// Note is a sentence for people. Events shorten it to the length that the API accepts.
	Note string
}

// Events sends Events. It is safe for concurrent use, and must not be copied.
type Events struct {
	Recorder events.EventRecorder
	// Clock is the real one by default.
	Clock clock.PassiveClock
	// Limit bounds how many Events [Events.SendOnce] sends. Nil: there is no bound.
	Limit flowcontrol.PassiveRateLimiter

	mu   sync.Mutex
	sent map[sentNote]time.Time // when it was last sent
}

// sentNote is a note about an object. The related object does not count: a pod's claim may have
// been created since the problem was first reported.
type sentNote struct {
	about types.UID
	note  string
}

// Send sends an Event.
func (e *Events) Send(event Event) {
	note := shorten(event.Note)
	if event.Related == nil { // a nil pointer in an interface is not nil
		e.Recorder.Eventf(event.About, nil, event.Type, event.Reason, event.Action, "%s", note)
		return
	}
	e.Recorder.Eventf(event.About, event.Related, event.Type, event.Reason, event.Action, "%s", note)
}

// SendOnce sends an Event unless the same note about the same object was sent in the last ten
// minutes, or the limit is reached.
func (e *Events) SendOnce(event Event) {
	if e.isNew(sentNote{about: event.About.UID, note: shorten(event.Note)}) {
		e.Send(event)
	}
}

// Forget makes the next note about an object a new one.
func (e *Events) Forget(about types.UID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	maps.DeleteFunc(e.sent, func(s sentNote, _ time.Time) bool { return s.about == about })
}

// isNew reports whether a note is to be sent, and remembers that it was.
func (e *Events) isNew(note sentNote) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	if last, ok := e.sent[note]; ok && now.Sub(last) < repeatAfter {
		return false
	}
	if e.Limit != nil && !e.Limit.TryAccept() {
		return false
	}
	if len(e.sent) >= maxSent {
		maps.DeleteFunc(e.sent, func(_ sentNote, at time.Time) bool { return now.Sub(at) >= repeatAfter })
	}
	if e.sent == nil || len(e.sent) >= maxSent {
		e.sent = map[sentNote]time.Time{} // better sent twice than remembered forever
	}
	e.sent[note] = now
	return true
}

func (e *Events) now() time.Time {
	if e.Clock == nil {
		return time.Now()
	}
	return e.Clock.Now()
}

// shorten returns at most [MaxNote] bytes of a note, and whole characters only.
func shorten(note string) string {
	if len(note) <= MaxNote {
		return note
	}
	return strings.ToValidUTF8(note[:MaxNote-len("…")], "") + "…"
}
