package main

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// done is the outcome of a period of load.
type done struct {
	requests int
	elapsed  time.Duration
}

// load is how requests are sent to one server.
type load struct {
	clients []client
	check   func(index, status int, body []byte) error
	reviews int
}

// closed keeps every client busy for a period: each sends its next request when it has its answer.
func (l load) closed(ctx context.Context, duration time.Duration) (done, error) {
	var requests atomic.Int64
	begun := time.Now()
	err := l.each(func(number int, c client) error {
		own := 0
		defer func() { requests.Add(int64(own)) }()
		for index := number; time.Since(begun) < duration; index++ {
			if err := l.send(ctx, c, index); err != nil {
				return err
			}
			own++
		}
		return nil
	})
	return done{requests: int(requests.Load()), elapsed: time.Since(begun)}, err
}

// paced sends requests at a rate per second, however long the answers take, and returns the
// latencies, the shortest first. The latency of a request that had to wait for a free client begins
// when the request was due.
func (l load) paced(ctx context.Context, duration time.Duration, rate float64) ([]time.Duration, error) {
	var next atomic.Int64
	var mu sync.Mutex
	var all []time.Duration
	begun := time.Now()
	err := l.each(func(_ int, c client) error {
		var own []time.Duration
		defer func() {
			mu.Lock()
			defer mu.Unlock()
			all = append(all, own...)
		}()
		for {
			number := next.Add(1) - 1
			due := time.Duration(float64(number) / rate * float64(time.Second))
			if due >= duration {
				return nil
			}
			from := begun.Add(due)
			if early := time.Until(from); early > 0 {
				time.Sleep(early)
				from = time.Now() // the timer's own delay is not the server's
			}
			if err := l.send(ctx, c, int(number)); err != nil {
				return err
			}
			own = append(own, time.Since(from))
		}
	})
	slices.Sort(all)
	return all, err
}

// send sends one review, of all in turns, and checks the answer.
func (l load) send(ctx context.Context, c client, index int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	index %= l.reviews
	status, body, err := c.post(ctx, index)
	if err != nil {
		return err
	}
	return l.check(index, status, body)
}

// each runs one goroutine for every client.
func (l load) each(work func(number int, c client) error) error {
	failures := make([]error, len(l.clients))
	var all sync.WaitGroup
	for number, c := range l.clients {
		all.Go(func() { failures[number] = work(number, c) })
	}
	all.Wait()
	return errors.Join(failures...)
}

// percentile returns a percentile of sorted latencies.
func percentile(sorted []time.Duration, share float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(share*float64(len(sorted))))]
}
