package suite

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// One call may take this long, also when ctx has ended meanwhile: an end of the load is no
	// failure.
	callTimeout = 30 * time.Second
	// This many calls may be under way; a call that is due while all of them are busy counts as
	// missed.
	mostCalls = 256
	// This many different errors are retained.
	mostErrors = 10
)

// Stats is the outcome of a load.
type Stats struct {
	// Done counts the calls that returned nil, Failed the others.
	Done, Failed int
	// Missed counts the calls that were due and not made, because too many before them had not
	// returned.
	Missed int
	// Errors has the first ten errors.
	Errors []error
	// Latencies are the durations of the calls that returned nil, the shortest first.
	Latencies []time.Duration
	// Elapsed is from the first call to the return of the last one.
	Elapsed time.Duration
}

// Quantile returns the latency that a share of the calls did not exceed, such as 0.99. It is 0
// without calls.
func (s Stats) Quantile(share float64) time.Duration {
	if len(s.Latencies) == 0 {
		return 0
	}
	return s.Latencies[min(int(share*float64(len(s.Latencies))), len(s.Latencies)-1)]
}

// Load calls do at an even rate until ctx ends, and returns when all calls have returned. A slow
// call does not delay the next one, so calls are made while the other side is down, as users make
// them. i counts them from 0.
func Load(ctx context.Context, ratePerSecond int, do func(ctx context.Context, i int) error) Stats {
	var (
		stats Stats
		mutex sync.Mutex
		calls sync.WaitGroup
	)
	begun := time.Now()
	free := make(chan struct{}, mostCalls)
	for i := 0; sleepUntil(ctx, begun.Add(time.Duration(i)*time.Second/time.Duration(ratePerSecond))); i++ {
		select {
		case free <- struct{}{}:
		default:
			stats.miss(&mutex)
			continue
		}
		calls.Go(func() {
			defer func() { <-free }()
			calling, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
			defer cancel()
			start := time.Now()
			err := do(calling, i)
			stats.count(&mutex, err, time.Since(start))
		})
	}
	calls.Wait()
	slices.Sort(stats.Latencies)
	stats.Elapsed = time.Since(begun)
	return stats
}

func (s *Stats) miss(mutex *sync.Mutex) {
	mutex.Lock()
	defer mutex.Unlock()
	s.Missed++
}

func (s *Stats) count(mutex *sync.Mutex, err error, took time.Duration) {
	mutex.Lock()
	defer mutex.Unlock()
	if err == nil {
		s.Done++
		s.Latencies = append(s.Latencies, took)
		return
	}
	s.Failed++
	if len(s.Errors) < mostErrors {
		s.Errors = append(s.Errors, err)
	}
}

// sleepUntil returns false when ctx ends before.
func sleepUntil(ctx context.Context, due time.Time) bool {
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return ctx.Err() == nil
	}
}
