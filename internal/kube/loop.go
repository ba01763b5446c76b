package kube

import (
	"context"
	"time"

	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// WatchLoop reconciles when objects change. It runs on every replica.
type WatchLoop struct {
	// Reconcile is called at the start, at every change, when this replica becomes the leader, and
	// after the time that it returned last. It must log its own errors.
	Reconcile func(context.Context) (next time.Duration)
	// LeastPause is the least time between two calls, by default none: a third party may change the
	// objects again and again.
	LeastPause time.Duration
	// Clock is the real one by default.
	Clock clock.Clock

	elected, changed <-chan struct{}
}

// Watch connects the loop with the cache and the election of a manager, before the manager starts.
// Objects are empty ones of the kinds to watch. Add the loop to the manager afterwards.
func (l *WatchLoop) Watch(c cache.Cache, elected <-chan struct{}, objects ...client.Object) (err error) {
	if l.Clock == nil {
		l.Clock = clock.RealClock{}
	}
	l.elected = elected
	l.changed, err = watchObjects(c, objects...)
	return err
}

// NeedLeaderElection is false: what the loop finds is reported on every replica.
func (l *WatchLoop) NeedLeaderElection() bool { return false }

// Start reconciles until ctx ends, and then returns nil.
func (l *WatchLoop) Start(ctx context.Context) error {
	elected := l.elected
	for {
		next := l.Reconcile(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-l.changed:
		case <-elected:
			elected = nil
		case <-l.Clock.After(next):
		}
		if l.LeastPause == 0 {
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-l.Clock.After(l.LeastPause):
		}
	}
}

// IsLeader reports whether this replica is the leader, which alone sends Events and writes.
func (l *WatchLoop) IsLeader() bool {
	select {
	case <-l.elected:
		return true
	default:
		return false
	}
}
