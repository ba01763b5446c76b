package admission

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// MaxBody is the largest body in bytes that is read: two objects of the API server's own limit of 3 MiB, and the rest of
// the review. Source: controller-runtime, pkg/webhook/admission/http.go.
const MaxBody = 7 << 20

// read reads the body into the buffer. Its errors come with the code that says so.
func read(w http.ResponseWriter, r *http.Request, body *[]byte, timeout time.Duration) (int, error) {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return http.StatusBadRequest, errors.New("the request has no body")
	}
	if contentType := r.Header.Get("Content-Type"); contentType != "application/json" {
		return http.StatusBadRequest, fmt.Errorf("the content type is %q, not application/json", contentType)
	}
	connection := http.NewResponseController(w)
	_ = connection.SetReadDeadline(time.Now().Add(timeout)) // not every test's writer has a connection
	switch err := readAll(r.Body, r.ContentLength, body); {
	case errors.Is(err, errTooLarge):
		return http.StatusRequestEntityTooLarge, err
	case errors.Is(err, errTooMany):
		return http.StatusServiceUnavailable, err
	case err != nil:
		return http.StatusBadRequest, fmt.Errorf("the body did not arrive as a whole within %s", timeout)
	}
	// Only now: net/http reads what is left of a body that failed, and must not wait for it either.
	_ = connection.SetReadDeadline(time.Time{})
	return http.StatusOK, nil
}

// What anybody who reaches the port can make a replica hold is bounded: a body must arrive in time, memory is taken as it
// arrives, and only a few large ones are read at once.
const (
	bodyTimeout = 10 * time.Second
	firstBuffer = 256 << 10
	largeBody   = 1 << 20
	maxLarge    = 8
)

// What ends the reading of a body. net/http then closes the connection rather than read the rest.
var (
	errTooLarge = fmt.Errorf("the body is larger than %d bytes", MaxBody)
	errTooMany  = fmt.Errorf("%d bodies of more than %d bytes are being read already: try again", maxLarge, largeBody)
)

// large has an item for each large body that is being read.
var large = make(chan struct{}, maxLarge)

// readAll reads to the end, into a buffer that is as large as the client says, within bounds.
func readAll(r io.Reader, length int64, into *[]byte) error {
	if length > MaxBody {
		return errTooLarge
	}
	buffer := (*into)[:0]
	if want := min(length+1, firstBuffer); int64(cap(buffer)) < want {
		buffer = make([]byte, 0, want)
	}
	isLarge := false
	defer func() {
		*into = buffer
		if isLarge {
			<-large
		}
	}()
	for {
		if !isLarge && len(buffer) > largeBody {
			select {
			case large <- struct{}{}:
				isLarge = true
			default:
				return errTooMany
			}
		}
		if len(buffer) == cap(buffer) {
			buffer = append(buffer, 0)[:len(buffer)]
		}
		n, err := r.Read(buffer[len(buffer):cap(buffer)])
		buffer = buffer[:len(buffer)+n]
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if len(buffer) > MaxBody {
			return errTooLarge
		}
	}
}
