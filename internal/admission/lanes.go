package admission

import (
	"context"
	"runtime"
)

// lanes limit how many reviews are decided at once, so that memory does not grow with the number of clients. Small reviews have a
// lane of their own: they take less than a millisecond, and must not wait for large ones, which can take a hundred.
type lanes struct{ small, large chan struct{} }

const (
	// largeReview is the size in bytes from which a review is large. A review of three containers has 10 KB.
	largeReview = 128 << 10
	// smallAtOnce is how many small reviews are decided at once for each processor: a few may wait for a namespace.
	smallAtOnce = 8
)

var decisions = newLanes(smallAtOnce * runtime.GOMAXPROCS(0))

func newLanes(small int) *lanes {
	return &lanes{small: make(chan struct{}, small), large: make(chan struct{}, 1)}
}

// enter waits for a place, or until the client has gone or the body has to make room. The caller takes a value out of the lane when it is done.
func (l *lanes) enter(ctx context.Context, b *body) (lane chan struct{}, err error) {
	lane = l.small
	if len(b.bytes) >= largeReview {
		lane = l.large
	}
	select {
	case lane <- struct{}{}:
		return lane, nil
	case <-b.arrival.evicted:
		return nil, errEvicted
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
