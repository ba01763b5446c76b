package admission

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// repeated is a JSON list of so many items.
func repeated(item string, count int) string {
	return "[" + strings.TrimSuffix(strings.Repeat(item+",", count), ",") + "]"
}

// overLimit are pods that have one thing more than the limit, as the rest of their labels, their
// metadata and their spec.
var overLimit = map[counted]struct{ labels, metadata, spec string }{
	containers: {spec: `"containers":` + repeated("{}", limits[containers].max+1)},
	volumes:    {spec: `"volumes":` + repeated("null", limits[volumes].max+1)},
	mounts: {spec: `"containers":[{"volumeMounts":` + repeated("{}", limits[mounts].max/2) +
		`},{"volumeMounts":` + repeated("{}", limits[mounts].max/2+1) + `}]`},
	devices:         {spec: `"initContainers":[{"volumeDevices":` + repeated("{}", limits[devices].max+1) + `}]`},
	variables:       {spec: `"containers":[{"env":` + repeated("{}", limits[variables].max+1) + `}]`},
	labelBytes:      {labels: `,"a":"` + strings.Repeat("a", limits[labelBytes].max) + `"`},
	annotationBytes: {metadata: `,"annotations":{"a":"` + strings.Repeat("a", limits[annotationBytes].max) + `"}`},
	schedulingBytes: {spec: `"affinity":{"a":"` + strings.Repeat("a", limits[schedulingBytes].max) + `"}`},
}

func TestRefusesPodsOverLimits(t *testing.T) {
	c, _, err := storage.LoadForAdmission([]byte("apiVersion: pipeline-storage.io/v1alpha1\nkind: StorageConfig\n" +
		"profiles: [{name: default, env: DATA, colocate: true}]\n"))
	require.NoError(t, err)
	h := &Handler{Config: func() *storage.Config { return c }, Log: logr.Discard()}
	for what := range lastCounted {
		tt, ok := overLimit[what]
		require.True(t, ok, "no case for the limit of %s", limits[what].what)
		t.Run(limits[what].what, func(t *testing.T) {
			review := func(label string) string {
				return `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u-1",` +
					`"kind":{"kind":"Pod"},"operation":"CREATE",` +
					`"object":{"metadata":{"name":"train","labels":{"pipeline-storage":"` + label + `"` + tt.labels + `}` +
					tt.metadata + `},"spec":{` + tt.spec + `}}}}`
			}
			answer := answerTo(t, h, review("enabled"))
			assert.Contains(t, answer, `"uid":"u-1","allowed":false`)
			assert.Contains(t, answer, `"code":403`)
			assert.Contains(t, answer, "Pod/train: "+limitError{what}.Error())

			answer = answerTo(t, h, review("disabled"))
			assert.Contains(t, answer, `"uid":"u-1","allowed":true`)
			assert.NotContains(t, answer, "patch", "a pod without the label passes untouched, whatever its size")
		})
	}
}

// TestCountsAnnotationsWithoutEscapes sends as large annotations as the API server takes, in text
// of which JSON escapes every byte.
func TestCountsAnnotationsWithoutEscapes(t *testing.T) {
	c, _, err := storage.LoadForAdmission(
		[]byte("apiVersion: pipeline-storage.io/v1alpha1\nkind: StorageConfig\nprofiles: [{name: default}]\n"),
	)
	require.NoError(t, err)
	h := &Handler{Config: func() *storage.Config { return c }, Log: logr.Discard()}
	for bytes, allowed := range map[int]string{
		limits[annotationBytes].max:     `"allowed":true`,
		limits[annotationBytes].max + 1: `"allowed":false`,
	} {
		answer := answerTo(t, h,
			`{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u-1","kind":{"version":"v1",`+
				`"kind":"Pod"},`+
				`"operation":"CREATE","object":{"metadata":{"labels":{"pipeline-storage":"enabled"},"annotations":{"\u0061":"`+
				strings.Repeat(`\"`, bytes-len("a"))+`"}},"spec":{"containers":[{"name":"main"}]}}}}`)
		assert.Contains(t, answer, allowed, "%d bytes", bytes)
	}
}

// TestFindsTheLabelWhereverItStands sends a pod over a limit whose label stands behind its spec,
// where no API server writes it.
func TestFindsTheLabelWhereverItStands(t *testing.T) {
	h := &Handler{Config: storage.Default, Log: logr.Discard()}
	for label, allowed := range map[string]string{"enabled": `"allowed":false`, "disabled": `"allowed":true`} {
		answer := answerTo(t, h,
			`{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u-1","kind":{"kind":"Pod"},`+
				`"object":{"spec":{`+
				overLimit[containers].spec+`},"metadata":{"labels":{"pipeline-storage":"`+label+`"}}},"operation":"CREATE"}}`)
		assert.Contains(t, answer, `"uid":"u-1",`+allowed)
	}
}

// TestRefusesSelectedPodOverLimit sends a pod over a limit to an entry that selects pods without the label.
func TestRefusesSelectedPodOverLimit(t *testing.T) {
	h := &Handler{Config: storage.Default, Log: logr.Discard()}
	for labels, allowed := range map[string]string{
		"":                              `"allowed":false`,
		`"pipeline-storage":"enabled"`:  `"allowed":false`,
		`"pipeline-storage":"disabled"`: `"allowed":true`,
	} {
		for _, review := range []string{
			`{"metadata":{"labels":{` + labels + `}},"spec":{` + overLimit[containers].spec + `}}`,
			`{"spec":{` + overLimit[containers].spec + `},"metadata":{"labels":{` + labels + `}}}`,
		} {
			answer := answerAt(t, h, "/inject/namespace",
				`{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u-1","kind":{"kind":"Pod"},`+
					`"operation":"CREATE","object":`+review+`}}`)
			assert.Contains(t, answer, `"uid":"u-1",`+allowed, labels)
			assert.Equal(t, strings.Contains(allowed, "false"), strings.Contains(answer, "of its namespace selects the pod"))
		}
	}
}

func answerTo(t *testing.T, h *Handler, body string) string {
	t.Helper()
	return answerAt(t, h, "/inject", body)
}

func answerAt(t *testing.T, h *Handler, path, body string) string {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
	request.Header.Set("Content-Type", "application/json")
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, request)
	require.Equal(t, http.StatusOK, recorder.Code)
	return recorder.Body.String()
}

// newArrival is a body that came after so many seconds.
func newArrival(address string, bytes int64, second int64) *arrival {
	return &arrival{
		address: address, bytes: bytes, since: time.Unix(second, 0), evicted: make(chan struct{}),
		connection: http.NewResponseController(httptest.NewRecorder()),
	}
}

func TestBudgetMakesRoomForNewBodies(t *testing.T) {
	b := newBudget(100)
	slow, slower, server := newArrival("10.0.0.9", 40, 2), newArrival("10.0.0.9", 40, 1), newArrival("10.0.0.1", 10, 0)
	for _, a := range []*arrival{slow, slower, server} {
		require.True(t, b.take(a))
	}
	more := newArrival("10.0.0.1", 30, 3)
	require.True(t, b.take(more))
	assert.True(t, slower.isEvicted(), "the oldest of the address that holds the most goes")
	assert.False(t, slow.isEvicted())
	assert.False(t, server.isEvicted(), "an older body of another address stays")

	assert.False(t, b.take(newArrival("10.0.0.9", 101, 4)), "a body above the whole budget")
	assert.Equal(t, int64(100), b.free, "the budget has made all the room there is")
	for _, a := range []*arrival{slow, slower, server, more} {
		b.give(a)
	}
	assert.Equal(t, int64(100), b.free, "what made room is not freed twice")
}

func TestLanes(t *testing.T) {
	l := newLanes(2)
	small := &body{arrival: newArrival("a", 1, 0)}
	large := &body{arrival: newArrival("a", largeReview, 0), bytes: make([]byte, largeReview)}
	enter := func(b *body) *turn {
		place := l.of(b)
		require.NoError(t, place.enter(t.Context(), b))
		return place
	}
	place := enter(large)
	enter(small)
	enter(small)

	gone, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, l.of(large).enter(gone, large), context.Canceled, "nothing waits for a client that has gone")
	waiting, stop := untilEvicted(t.Context(), large)
	defer stop()
	close(large.arrival.evicted)
	require.ErrorIs(t, l.of(large).enter(t.Context(), large), errEvicted)
	<-waiting.Done()

	place.leave()
	place.leave()
	enter(&body{arrival: newArrival("a", largeReview, 0), bytes: make([]byte, largeReview)})
}

// fakeConnection has an address.
type fakeConnection struct {
	net.Conn
	address  string
	isClosed bool
}

func (c *fakeConnection) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.ParseIP(c.address), Port: 1}
}

func (c *fakeConnection) Close() error {
	c.isClosed = true
	return nil
}

// fakeListener accepts what it is given.
type fakeListener struct {
	net.Listener
	next net.Conn
}

func (l *fakeListener) Accept() (net.Conn, error) { return l.next, nil }

func TestConnectionsMakeRoom(t *testing.T) {
	listener := &fakeListener{}
	c := &connections{Listener: listener, max: 3, open: map[*connection]struct{}{}}
	accept := func(address string) (*fakeConnection, *connection) {
		fake := &fakeConnection{address: address}
		listener.next = fake
		accepted, err := c.Accept()
		require.NoError(t, err)
		return fake, accepted.(*connection)
	}
	server, _ := accept("10.0.0.1")
	busy, one := accept("10.0.0.9")
	one.isBusy = true
	idle, _ := accept("10.0.0.9")

	accept("10.0.0.1")
	assert.True(t, idle.isClosed, "a connection that waits, of the address with the most, goes first")
	assert.False(t, busy.isClosed)
	assert.False(t, server.isClosed)

	third, last := accept("10.0.0.9")
	assert.True(t, server.isClosed, "then the oldest of the address with the most")
	require.NoError(t, last.Close())
	assert.True(t, third.isClosed)
	assert.Len(t, c.open, 2)
}

func TestShortened(t *testing.T) {
	assert.Equal(t, "train", shortened("train", 5))
	assert.Equal(t, "tr…", shortened("train", 2))
	assert.Equal(t, "…", shortened("ü", 1), "not within a character")
}

// TestAnswersAndLogsAreShort sends a kind of a megabyte of bytes that are longer when they are
// quoted.
func TestAnswersAndLogsAreShort(t *testing.T) {
	var lines []string
	h := &Handler{
		Config: storage.Default,
		Log:    funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{}),
	}
	begun := time.Now()
	for range 20 {
		answer := answerTo(t, h, `{"kind":"`+strings.Repeat("\x7f", 1<<20)+`"}`)
		assert.Contains(t, answer, `"allowed":false`)
		assert.Less(t, len(answer), 2*maxMessage)
	}
	require.NotEmpty(t, lines)
	assert.LessOrEqual(t, len(lines), 1+int(time.Since(begun)/time.Second), "a line a second")
	for _, line := range lines {
		assert.Less(t, len(line), 5*maxLogged)
	}
}

// TestUnreadableRequestsAreNoErrors holds that what any client of the port can send is counted
// under a reason of its own: the alert for errors pages people.
func TestUnreadableRequestsAreNoErrors(t *testing.T) {
	h := &Handler{Config: storage.Default}
	unreadable, failed := countOf(t, reasonUnreadable), countOf(t, reasonError)
	for _, body := range []string{"{}", "null", "garbage", `{"kind":"Pod"}`, strings.Repeat(" ", MaxBody+1)} {
		assert.Contains(t, answerTo(t, h, body), `"allowed":false`)
	}
	assert.InDelta(t, unreadable+5, countOf(t, reasonUnreadable), 0)
	assert.InDelta(t, failed, countOf(t, reasonError), 0)
}

// countOf is how many answers a reason has been counted for.
func countOf(t *testing.T, reason string) float64 {
	t.Helper()
	families, err := metrics.Registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if labels := m.GetLabel(); family.GetName() == "pipeline_storage_admissions_total" &&
				labels[0].GetValue() == reason {
				return m.GetCounter().GetValue()
			}
		}
	}
	require.Fail(t, "no counter", reason)
	return 0
}
