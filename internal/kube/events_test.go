package kube

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/flowcontrol"
	clocktesting "k8s.io/utils/clock/testing"
)

// recorded is Events with a clock that stands, and the notes that were sent.
func recorded() (*Events, *events.FakeRecorder, *clocktesting.FakeClock) {
	recorder := events.NewFakeRecorder(5 * maxSent)
	clock := clocktesting.NewFakeClock(time.Now())
	return &Events{Recorder: recorder, Clock: clock}, recorder, clock
}

func warning(about types.UID, note string) Event {
	return Event{
		Type: corev1.EventTypeWarning, About: &corev1.ObjectReference{Kind: "Pod", UID: about},
		Reason: "Reason", Action: "Act", Note: note,
	}
}

// sent returns how many Events were sent since it was called last.
func sent(r *events.FakeRecorder) int {
	n := len(r.Events)
	for range n {
		<-r.Events
	}
	return n
}

func TestSendsNoteOnceInTenMinutes(t *testing.T) {
	t.Parallel()
	e, recorder, clock := recorded()

	for _, row := range []struct {
		sentence string
		event    Event
		after    time.Duration
		want     int
	}{
		{"a new note", warning("u", "a"), 0, 1},
		{"the same note, a little earlier than ten minutes", warning("u", "a"), repeatAfter - time.Second, 0},
		{"another note about the object", warning("u", "b"), 0, 1},
		{"the same note about another object", warning("v", "b"), 0, 1},
		{"the first note again, between others", warning("u", "a"), 0, 0},
		{"the first note after ten minutes", warning("u", "a"), time.Second, 1},
		{"the second note, which is younger", warning("u", "b"), 0, 0},
	} {
		clock.Step(row.after)
		e.SendOnce(row.event)
		assert.Equal(t, row.want, sent(recorder), row.sentence)
	}

	e.Forget("u")
	e.SendOnce(warning("u", "a"))
	e.SendOnce(warning("v", "b"))
	assert.Equal(t, 1, sent(recorder), "only the notes about the object are forgotten")
}

func TestRemembersBoundedNumberOfNotes(t *testing.T) {
	t.Parallel()
	e, recorder, _ := recorded()
	for i := range 3 * maxSent {
		e.SendOnce(warning("u", string(rune(i+'0'))))
	}
	assert.LessOrEqual(t, len(e.sent), maxSent)
	assert.Greater(t, sent(recorder), 2*maxSent)
}

// The first reconciliation of a pod finds no claim, the second does.
func TestSendsNoteOnceWhenItsClaimIsCreated(t *testing.T) {
	t.Parallel()
	e, recorder, _ := recorded()
	event := warning("u", "PersistentVolume v is writable")
	e.SendOnce(event)
	event.Related = &corev1.ObjectReference{Kind: KindClaim, Name: "data", UID: "c"}
	e.SendOnce(event)
	assert.Equal(t, 1, sent(recorder))
}

func TestSendsEachEventWithoutOnce(t *testing.T) {
	t.Parallel()
	e, recorder, _ := recorded()
	e.Send(warning("u", "a"))
	e.Send(warning("u", "a"))
	assert.Equal(t, 2, sent(recorder))
}

func TestLimitCountsNewNotesOnly(t *testing.T) {
	t.Parallel()
	e, recorder, clock := recorded()
	e.Limit = flowcontrol.NewTokenBucketPassiveRateLimiterWithClock(1, 2, clock)
	for range 5 {
		e.SendOnce(warning("u", "a"))
	}
	e.SendOnce(warning("u", "b"))
	e.SendOnce(warning("u", "over the limit"))
	assert.Equal(t, 2, sent(recorder))

	clock.Step(time.Second)
	e.SendOnce(warning("u", "over the limit"))
	assert.Equal(t, 1, sent(recorder), "a note that the limit held back is new")
}

func TestShortensNotes(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "short", shorten("short"))
	cut := shorten(strings.Repeat("é", MaxNote))
	assert.LessOrEqual(t, len(cut), MaxNote)
	assert.True(t, utf8.ValidString(cut))
	assert.True(t, strings.HasSuffix(cut, "é…"))
}
