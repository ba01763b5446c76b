package main

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// stub answers without a server.
type stub struct {
	takes time.Duration
	err   error
	sent  []int
}

func (s *stub) post(_ context.Context, index int) (int, []byte, error) {
	time.Sleep(s.takes)
	s.sent = append(s.sent, index)
	return http.StatusOK, nil, s.err
}

func (s *stub) close() {}

func good(int, int, []byte) error { return nil }

func TestClosedLoadSendsReviewsInTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := &stub{takes: time.Millisecond}, &stub{takes: time.Millisecond}

		result, err := load{clients: []client{first, second}, check: good, reviews: 3}.closed(t.Context(), 5*time.Millisecond)

		require.NoError(t, err)
		assert.Equal(t, done{requests: 10, elapsed: 5 * time.Millisecond}, result)
		assert.Equal(t, []int{0, 1, 2, 0, 1}, first.sent)
		assert.Equal(t, []int{1, 2, 0, 1, 2}, second.sent)
	})
}

func TestLoadEndsWithFirstError(t *testing.T) {
	for name, test := range map[string]struct {
		client *stub
		check  func(int, int, []byte) error
	}{
		"when a request fails":  {&stub{err: errors.New("torn")}, good},
		"when an answer is bad": {&stub{}, func(int, int, []byte) error { return errors.New("torn") }},
	} {
		t.Run(name, func(t *testing.T) {
			l := load{clients: []client{test.client}, check: test.check, reviews: 1}

			_, err := l.closed(t.Context(), time.Minute)
			require.EqualError(t, err, "torn")

			_, err = l.paced(t.Context(), time.Minute, 1000)
			require.EqualError(t, err, "torn")
			assert.Len(t, test.client.sent, 2)
		})
	}
}

func TestPacedLoadKeepsItsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun, sent := time.Now(), &stub{takes: time.Millisecond}

		latencies, err := load{clients: []client{sent}, check: good, reviews: 1}.paced(t.Context(), 100*time.Millisecond, 500)

		require.NoError(t, err)
		assert.Equal(t, slices.Repeat([]time.Duration{time.Millisecond}, 50), latencies)
		assert.Equal(t, 99*time.Millisecond, time.Since(begun))
	})
}

// One client that needs 10 ms a request cannot send one each 5 ms: each request waits 5 ms longer
// than the one before.
func TestPacedLoadCountsTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &stub{takes: 10 * time.Millisecond}

		latencies, err := load{clients: []client{slow}, check: good, reviews: 1}.paced(t.Context(), 20*time.Millisecond, 200)

		require.NoError(t, err)
		assert.Equal(t,
			[]time.Duration{10 * time.Millisecond, 15 * time.Millisecond, 20 * time.Millisecond, 25 * time.Millisecond},
			latencies)
	})
}

func TestLoadStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	_, err := load{clients: []client{&stub{}}, check: good, reviews: 1}.closed(ctx, time.Minute)

	assert.ErrorIs(t, err, context.Canceled)
}

func TestEachClientHasItsOwnNumber(t *testing.T) {
	var mu sync.Mutex
	seen := map[int]client{}
	clients := []client{&stub{takes: 1}, &stub{takes: 2}}

	err := load{clients: clients}.each(func(number int, c client) error {
		mu.Lock()
		defer mu.Unlock()
		seen[number] = c
		return nil
	})

	require.NoError(t, err)
	assert.Equal(t, map[int]client{0: clients[0], 1: clients[1]}, seen)
}

func TestPercentile(t *testing.T) {
	var sorted []time.Duration
	for i := range 100 {
		sorted = append(sorted, time.Duration(i))
	}
	assert.Equal(t, time.Duration(50), percentile(sorted, 0.5))
	assert.Equal(t, time.Duration(99), percentile(sorted, 0.99))
	assert.Equal(t, time.Duration(99), percentile(sorted, 1))
	assert.Zero(t, percentile(nil, 0.5))
}
