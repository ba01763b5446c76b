package admission

import (
	"context"
	"runtime"
)

// lanes limit how many reviews are decided at once, so that memory does not grow with the number of
// clients. Small reviews have a lane of their own: they take less than a millisecond, and must not
// wait for large ones, which can take a hundred.
type lanes struct{ small, large chan struct{} }

const (
	// largeReview is the size in bytes from which a review is large. A review of three containers
	// has 10 KB.
	largeReview = 128 << 10
	// smallAtOnce is how many small reviews are decided at once for each processor.
	smallAtOnce = 8
)

// decisions are the lanes of the process. The lane for large reviews has one place: the memory of a
// decision grows with its review.
var decisions = newLanes(smallAtOnce * runtime.GOMAXPROCS(0))

// newLanes returns lanes with so many places for small reviews.
func newLanes(small int) *lanes {
	return &lanes{small: make(chan struct{}, small), large: make(chan struct{}, 1)}
}

// turn is a place in a lane.
type turn struct {
	lane chan struct{}
	// isHeld is false while the place is left to another review.
	isHeld bool
}

// of returns the turn of a body, which does not hold a place yet.
func (l *lanes) of(b *body) *turn {
	if len(b.bytes) >= largeReview {
		return &turn{lane: l.large}
	}
	return &turn{lane: l.small}
}

// enter waits for a place, or until the client has gone or the body has to make room.
func (t *turn) enter(ctx context.Context, b *body) error {
	select {
	case t.lane <- struct{}{}:
		t.isHeld = true
		return nil
	case <-b.arrival.evicted:
		return errEvicted
	case <-ctx.Done():
		return ctx.Err()
	}
}

// leave gives the place back, if there is one.
func (t *turn) leave() {
	if t.isHeld {
		<-t.lane
		t.isHeld = false
	}
}

// untilEvicted returns a context that also ends when the body has to make room.
func untilEvicted(ctx context.Context, b *body) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-b.arrival.evicted:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}
