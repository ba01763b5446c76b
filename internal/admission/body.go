package admission

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// How a body must arrive: whole within bodyTimeout, and every next chunk of it within chunkTimeout, so that a client cannot hold
// memory by sending a byte from time to time. An API server sends the largest review within milliseconds.
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
}

// release gives the body's place in the budget back.
func (b *body) release() {
	if b.arrival != nil {
		b.budget.give(b.arrival)
	}
}

// check refuses a request that cannot have a body to read.
func check(r *http.Request) (int, error) {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return http.StatusBadRequest, errors.New("the request has no body")
	}
	if contentType := r.Header.Get("Content-Type"); contentType != "application/json" {
		return http.StatusBadRequest, fmt.Errorf("the content type is %q, not application/json", shortened(contentType, maxName))
	}
	if r.ContentLength > MaxBody {
		return http.StatusRequestEntityTooLarge, errTooLarge
	}
	return http.StatusOK, nil
}

// read reads the body, for which it takes a place in the budget. Its errors come with the code that says so.
func (b *body) read(w http.ResponseWriter, r *http.Request, timeout time.Duration) (int, error) {
	if code, err := check(r); err != nil {
		return code, err
	}
	a := &arrival{
		address: addressOf(r), bytes: r.ContentLength, since: time.Now(),
		connection: http.NewResponseController(w), evicted: make(chan struct{}),
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
		// Only now: net/http reads what is left of a body that failed, and must not wait for it either.
		_ = a.connection.SetReadDeadline(time.Time{})
		return http.StatusOK, nil
	case errors.Is(err, errTooLarge):
		return http.StatusRequestEntityTooLarge, err
	}
	return http.StatusBadRequest, fmt.Errorf("the body did not arrive as a whole within %s, or stopped for %s", timeout, min(timeout, chunkTimeout))
}

// addressOf is the host that the request comes from.
func addressOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// grow doubles the buffer, to no more than the body is to have.
func (b *body) grow() {
	larger := make([]byte, len(b.bytes), min(2*cap(b.bytes), int(b.arrival.bytes)+1))
	copy(larger, b.bytes)
	b.bytes = larger
}

// readAll reads to the end. Memory is taken as the bytes arrive.
func (b *body) readAll(from io.Reader, end time.Time) error {
	if want := min(b.arrival.bytes+1, firstBuffer); int64(cap(b.bytes)) < want {
		b.bytes = make([]byte, 0, want)
	}
	b.bytes = b.bytes[:0]
	for next := 0; ; {
		if len(b.bytes) >= next {
			next = len(b.bytes) + chunk
			b.awaitUntil(end)
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

// awaitUntil sets until when the next chunk must arrive.
func (b *body) awaitUntil(end time.Time) {
	until := time.Now().Add(chunkTimeout)
	if end.Before(until) {
		until = end
	}
	_ = b.arrival.connection.SetReadDeadline(until) // not every test's writer has a connection
}
