package suite

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLoad(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	errOdd := errors.New("odd")
	var most atomic.Int64
	stats := Load(ctx, 100, func(ctx context.Context, i int) error {
		most.Store(max(most.Load(), int64(i)))
		time.Sleep(50 * time.Millisecond) // so that calls are under way when the load ends
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if i%2 == 1 {
			return errOdd
		}
		return nil
	})
	assert.InDelta(t, 100, stats.Done+stats.Failed, 20)
	assert.InDelta(t, stats.Done, stats.Failed, 1)
	assert.Zero(t, stats.Missed)
	assert.Len(t, stats.Latencies, stats.Done)
	assert.Len(t, stats.Errors, mostErrors)
	assert.Equal(t, int64(stats.Done+stats.Failed-1), most.Load())
	for _, err := range stats.Errors {
		require.ErrorIs(t, err, errOdd, "the end of the load should end no call")
	}
	assert.GreaterOrEqual(t, stats.Quantile(0), 50*time.Millisecond)
	assert.GreaterOrEqual(t, stats.Quantile(1), stats.Quantile(0.5))
	assert.GreaterOrEqual(t, stats.Elapsed, time.Second)
	assert.Zero(t, Stats{}.Quantile(0.5))
}

func TestLoadIsBounded(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	release := make(chan struct{})
	var under atomic.Int64
	go func() {
		assert.Eventually(t, func() bool { return under.Load() == mostCalls }, time.Minute, time.Millisecond)
		time.AfterFunc(100*time.Millisecond, func() { cancel(); close(release) })
	}()
	stats := Load(ctx, 10000, func(context.Context, int) error {
		under.Add(1)
		<-release
		return nil
	})
	assert.Equal(t, mostCalls, stats.Done)
	assert.Positive(t, stats.Missed)
}
