package suite

import (
	"context"
	"testing"
	"time"
)

const (
	eventualTimeout = 60 * time.Second
	eventualPoll    = 50 * time.Millisecond
)

// Eventually calls check until it returns nil. After a minute it fails the test with the last
// error; what describes the expected state. ctx ends at that time.
func Eventually(tb testing.TB, what string, check func(ctx context.Context) error) {
	tb.Helper()
	EventuallyWithin(tb, eventualTimeout, what, check)
}

// EventuallyWithin is Eventually with another limit.
func EventuallyWithin(tb testing.TB, limit time.Duration, what string, check func(ctx context.Context) error) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), limit)
	defer cancel()
	for poll := eventualPoll; ; poll = min(poll*21/20, time.Second) { // a long wait checks less often
		err := check(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			tb.Fatalf("%s, but not within %s: %v", what, limit, err)
		case <-time.After(poll):
		}
	}
}
