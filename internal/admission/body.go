package admission

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// How a body must arrive: whole within bodyTimeout, and every next chunk of it within chunkTimeout,
// so that a client cannot hold memory by sending a byte from time to time. An API server sends the
// largest review within milliseconds.
const (
	bodyTimeout  = 10 * time.Second
	chunkTimeout = time.Second
	chunk        = 32 << 10
	firstBuffer  = 16 << 10
)

// What ends the reading of a body. net/http then closes the connection rather than read the rest.
var (
	errTooLarge = fmt.Errorf("the body is larger than %d bytes", MaxBody)
	errBusy     = errors.New("the webhook holds as many bytes of requests as it may: try again")
)

// body is a request's body on its way through the handler.
type body struct {
	// arrival is nil until the body has its place in the budget.
	arrival *arrival
	budget  *budget
	bytes   []byte
	// connection is the one that the body arrives on.
	connection *http.ResponseController
}

// check refuses a request that cannot have a body to read.
func check(r *http.Request) (int, error) {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return http.StatusBadRequest, errors.New("the request has no body")
	}
	if contentType := r.Header.Get("Content-Type"); contentType != "application/json" {
		return http.StatusBadRequest, fmt.Errorf(
			"the content type is %q, not application/json", shortened(contentType, maxName),
		)
	}
	if r.ContentLength > MaxBody {
		return http.StatusRequestEntityTooLarge, errTooLarge
	}
	return http.StatusOK, nil
}

// read reads the body, for which it takes a place in the budget. Its errors come with their HTTP
// status code.
func (b *body) read(r *http.Request, timeout time.Duration) (int, error) {
	if code, err := check(r); err != nil {
		return code, err
	}
	a := &arrival{
		address: hostOf(r.RemoteAddr), bytes: r.ContentLength, since: time.Now(),
		connection: b.connection, evicted: make(chan struct{}),
	}
	if a.bytes < 0 { // a body of unknown length
		a.bytes = MaxBody
	}
	if !b.budget.take(a) {
		return http.StatusServiceUnavailable, errBusy
	}
	b.arrival = a
	switch err := b.readAll(r.Body, a.since.Add(timeout)); {
	case a.isEvicted():
		return http.StatusServiceUnavailable, errEvicted
	case err == nil:
		// Only now: net/http reads what is left of a body that failed, and must not wait for it
		// either.
		_ = a.connection.SetReadDeadline(time.Time{})
		return http.StatusOK, nil
	case errors.Is(err, errTooLarge):
		return http.StatusRequestEntityTooLarge, err
	}
	return http.StatusBadRequest, fmt.Errorf(
		"the body did not arrive as a whole within %s, or stopped for %s", timeout, min(timeout, chunkTimeout),
	)
}

// hostOf returns the host of an address with a port, or the whole of any other address. Limits
// count by host: a client can open as many ports as it likes.
func hostOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return host
}

// grow doubles the buffer, to no more than the body is to have.
func (b *body) grow() {
	larger := make([]byte, len(b.bytes), min(2*cap(b.bytes), int(b.arrival.bytes)+1))
	copy(larger, b.bytes)
	b.bytes = larger
}

// readAll reads to the end, or until the time end. Each chunk has chunkTimeout of its own. Memory
// is taken as the bytes arrive: a length in a header is only a promise.
func (b *body) readAll(from io.Reader, end time.Time) error {
	if want := min(b.arrival.bytes+1, firstBuffer); int64(cap(b.bytes)) < want {
		b.bytes = make([]byte, 0, want)
	}
	b.bytes = b.bytes[:0]
	for next := 0; ; {
		if len(b.bytes) >= next {
			next = len(b.bytes) + chunk
			until := time.Now().Add(chunkTimeout)
			if end.Before(until) {
				until = end
			}
			_ = b.arrival.connection.SetReadDeadline(until) // not every test's writer has a connection
		}
		if b.arrival.isEvicted() { // the deadline may have replaced the one that ends it
			return errEvicted
		}
		if len(b.bytes) == cap(b.bytes) {
			b.grow()
		}
		n, err := from.Read(b.bytes[len(b.bytes):cap(b.bytes)])
		b.bytes = b.bytes[:len(b.bytes)+n]
		switch {
		case len(b.bytes) > MaxBody:
			return errTooLarge
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// budget limits the bytes of bodies that a replica holds at once. When it is spent, a new body
// takes the place of another one: of the oldest body of the address that holds the most. An API
// server sends a body within milliseconds, so whoever sends slowly, or much, makes room for it, and
// cannot keep it out.
type budget struct {
	mu     sync.Mutex
	free   int64
	bodies map[*arrival]struct{}
}

// arrival is one body, from the first byte that is read of it until its answer is decided.
type arrival struct {
	address    string
	bytes      int64
	since      time.Time
	connection *http.ResponseController
	// evicted is closed when the body has to make room.
	evicted chan struct{}
}

// evict ends the work on the body, and a read that blocks. The budget does so while the body is in
// it, so that no deadline can be left to a later request of the connection.
func (a *arrival) evict() {
	close(a.evicted)
	_ = a.connection.SetReadDeadline(time.Unix(1, 0))
}

// isEvicted reports whether the body had to make room. Then its bytes count no longer.
func (a *arrival) isEvicted() bool {
	select {
	case <-a.evicted:
		return true
	default:
		return false
	}
}

// maxBytesInFlight is how many bytes of bodies a replica holds at once. With the memory that
// decisions take, it is a fourth of the chart's limit of 256 MiB.
const maxBytesInFlight = 32 << 20

// inFlight is the budget of the process.
var inFlight = newBudget(maxBytesInFlight)

// errEvicted is why the work on a body ended early.
var errEvicted = errors.New("other requests needed the memory: try again")

// newBudget returns a budget of so many bytes, all of them free.
func newBudget(bytes int64) *budget {
	return &budget{free: bytes, bodies: map[*arrival]struct{}{}}
}

// take makes room for a body and reports whether there is some.
func (b *budget) take(a *arrival) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.free < a.bytes {
		victim := b.victim()
		if victim == nil {
			return false
		}
		b.remove(victim)
		victim.evict()
	}
	b.free -= a.bytes
	b.bodies[a] = struct{}{}
	return true
}

// give frees the room of a body. It does nothing for a body that has none: one that was evicted, or
// nil for one that was never let in.
func (b *budget) give(a *arrival) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.bodies[a]; ok {
		b.remove(a)
	}
}

// remove drops a body and frees its bytes. The caller holds the lock.
func (b *budget) remove(a *arrival) {
	delete(b.bodies, a)
	b.free += a.bytes
}

// victim is the oldest body of the address that holds the most bytes.
func (b *budget) victim() *arrival {
	held := map[string]int64{}
	for a := range b.bodies {
		held[a.address] += a.bytes
	}
	var victim *arrival
	for a := range b.bodies {
		switch {
		case victim == nil, held[a.address] > held[victim.address],
			held[a.address] == held[victim.address] && a.since.Before(victim.since):
			victim = a
		}
	}
	return victim
}

// largestReused is the largest buffer in bytes that is used again for the next request: one large
// body must not cost memory forever.
const largestReused = 1 << 20

// pool lends what a request needs and the next one can use: a review of 70 KB would otherwise be
// garbage each time.
type pool[T any] struct {
	idle sync.Pool
	size func(*T) int
}

var (
	buffers      = pool[[]byte]{size: func(b *[]byte) int { return cap(*b) }}
	patchWriters = pool[patchWriter]{size: func(w *patchWriter) int { return w.text.Cap() }}
	readers      = pool[reader]{size: func(*reader) int { return 0 }} // it has no buffer of its own: it reads the body's
)

// get returns an idle item, with the content that it had, or a new one.
func (p *pool[T]) get() *T {
	if idle, ok := p.idle.Get().(*T); ok {
		return idle
	}
	return new(T)
}

// put takes something back, unless it is too large to keep.
func (p *pool[T]) put(item *T) {
	if p.size(item) <= largestReused {
		p.idle.Put(item)
	}
}
