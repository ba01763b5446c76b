package claims

import (
	"maps"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/recorder"

	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
)

// What Events are about, and bounds.
const (
	actionProvide = "ProvideStorage"
	actionSelect  = "SelectPods"
	recorderName  = "pipeline-storage-claims"
	quiet         = 10 * time.Minute
	maxNote       = 1024 // bytes. Source: Kubernetes, events/v1 Event.note
	manyNotices   = 10_000
	maxPods       = 10 // that are told of one problem
	maxPodsRead   = 50 // whose nodes are looked at
	podsAtOnce    = 4  // of these
)

// notices sends Events and keeps from saying the same thing again too soon.
type notices struct {
	recorder recorder.EventRecorder
	mu       sync.Mutex
	said     map[notice]time.Time // when it was last sent
}

// notice is a sentence about an object. What else an Event refers to does not count: the pod's claim may have been created
// since the problem was first reported.
type notice struct {
	object types.UID
	note   string
}

func newNotices(r recorder.EventRecorder) *notices {
	return &notices{recorder: r, said: map[notice]time.Time{}}
}

// warn sends a Warning about an object, with the object that it comes from or nil.
func (n *notices) warn(about, related *corev1.ObjectReference, action string, f diagnose.Finding) {
	n.send(about, related, corev1.EventTypeWarning, action, f)
}

// tell sends a Normal Event of what was provided.
func (n *notices) tell(about, related *corev1.ObjectReference, f diagnose.Finding) {
	n.send(about, related, corev1.EventTypeNormal, actionProvide, f)
}

func (n *notices) send(about, related *corev1.ObjectReference, kind, action string, f diagnose.Finding) {
	note := shorten(f.Note)
	if !n.isNews(notice{object: about.UID, note: note}, time.Now()) {
		return
	}
	if related == nil { // a nil pointer in an interface is not nil
		n.recorder.Eventf(about, nil, kind, f.Reason, action, "%s", note)
		return
	}
	n.recorder.Eventf(about, related, kind, f.Reason, action, "%s", note)
}

// isNews reports whether the notice was not sent lately, and remembers it.
func (n *notices) isNews(sent notice, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if last, ok := n.said[sent]; ok && now.Sub(last) < quiet {
		return false
	}
	if len(n.said) >= manyNotices {
		maps.DeleteFunc(n.said, func(_ notice, at time.Time) bool { return now.Sub(at) >= quiet })
	}
	if len(n.said) >= manyNotices {
		clear(n.said) // better sent twice than remembered forever
	}
	n.said[sent] = now
	return true
}

// shorten cuts a note at the length that the API accepts, and not within a character.
func shorten(note string) string {
	if len(note) <= maxNote {
		return note
	}
	return strings.ToValidUTF8(note[:maxNote-len("…")], "") + "…"
}
