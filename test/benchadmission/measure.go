package main

import (
	"context"
	"fmt"
	"time"

	"github.com/pipeline-storage/pipeline-storage/test/bench/figures"
	"github.com/pipeline-storage/pipeline-storage/test/benchadmission/reviews"
	"github.com/pipeline-storage/pipeline-storage/test/latency"
)

const (
	// variants are the different reviews of one size.
	variants = 8
	// offered is the share of the capacity of allow at which latencies are measured.
	offered = 0.3
	// bearable is the multiple of the offered rate that a server must sustain for its latencies to
	// mean anything.
	bearable = 1.25
	// metricsScrapes is how often the cost of a metrics request is measured.
	metricsScrapes = 5

	mallocs = "go_memstats_mallocs_total"
)

// table is what the servers cost over one version of HTTP.
type table struct {
	protocol string
	rounds   int
	subjects []*subject
}

// subject is what they cost for reviews of one size, by the candidate's name.
type subject struct {
	name    string
	bytes   int
	reviews []reviews.Review
	results map[string]*result
}

// result are the figures of one server, and the checker of its answers.
type result struct {
	*checker
	samples   []sample
	latencies latency.Series // at the offered rate
}

// sample is one period of load.
type sample struct {
	requests int
	elapsed  time.Duration
	cpu      time.Duration // of the server
	allocs   float64       // of the server, for reviews only
}

// cost is the server's CPU time for a review, in microseconds.
func (s sample) cost() float64 { return float64(s.cpu.Nanoseconds()) / 1000 / float64(s.requests) }

// rate is how many reviews were answered in a second.
func (s sample) rate() float64 { return float64(s.requests) / s.elapsed.Seconds() }

// busy is the share of its CPU that the server used, in percent. If it is well below 100, the
// client was slow.
func (s sample) busy() float64 { return 100 * s.cpu.Seconds() / s.elapsed.Seconds() }

func (s sample) allocsPerReview() float64 { return s.allocs / float64(s.requests) }

func newSubjects(o options) ([]*subject, error) {
	var all []*subject
	for _, size := range reviews.Sizes() {
		if !o.Sizes.Has(size.Name) {
			continue
		}
		made, err := size.Make(variants)
		if err != nil {
			return nil, err
		}
		s := &subject{name: size.Name, bytes: len(made[0].Body), reviews: made, results: map[string]*result{}}
		for _, c := range o.candidates() {
			s.results[c.name] = &result{checker: newChecker(c, made)}
		}
		all = append(all, s)
	}
	return all, nil
}

// measured reports whether there are samples of a server.
func (s *subject) measured(name string) bool {
	return s.results[name] != nil && len(s.results[name].samples) > 0
}

// spread returns the spread of one figure of a server.
func (s *subject) spread(name string, figure func(sample) float64) figures.Spread {
	return figures.SpreadBy(s.results[name].samples, figure)
}

// capacity is how many times the capacity of allow a server has.
func (s *subject) capacity(name string) float64 {
	return s.spread(allow, sample.cost).Median / s.spread(name, sample.cost).Median
}

// measureIdle leaves servers idle and returns their memory. It measures what they allocate meanwhile.
func measureIdle(ctx context.Context, servers []*server, wait time.Duration) (map[string]float64, error) {
	before, memory := map[string]float64{}, map[string]float64{}
	for _, s := range servers {
		count, err := s.measureScrape(ctx)
		if err != nil {
			return nil, err
		}
		before[s.name] = count
	}
	begun := time.Now()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(wait): // no work on purpose: the idle server is what is measured
	}
	for _, s := range servers {
		used, err := s.Usage()
		if err != nil {
			return nil, s.explain(err)
		}
		count, err := s.metric(ctx, mallocs)
		if err != nil {
			return nil, err
		}
		memory[s.name] = float64(used.Resident)
		s.perSecond = max(0, count-before[s.name]-s.perScrape) / time.Since(begun).Seconds()
	}
	return memory, nil
}

// measureScrape measures the cost of a metrics request, and returns the count of allocations after
// it.
func (s *server) measureScrape(ctx context.Context) (count float64, err error) {
	var costs []float64
	for number := range metricsScrapes + 1 {
		before := count
		if count, err = s.metric(ctx, mallocs); err != nil {
			return 0, err
		}
		if number > 0 {
			costs = append(costs, count-before)
		}
	}
	s.perScrape = figures.Median(costs)
	return count, nil
}

// measureRounds lets the servers take turns. Every round begins with another server, so that none
// always follows the same one.
func measureRounds(ctx context.Context, servers []*server, t *table, o options) error {
	for round := range t.rounds {
		for _, subject := range t.subjects {
			for i := range servers {
				s := servers[(round+i)%len(servers)]
				result := subject.results[s.name]
				taken, err := s.sample(ctx, result.checker, o)
				if err != nil {
					return fmt.Errorf("%s reviews: %w", subject.name, err)
				}
				result.samples = append(result.samples, taken)
			}
		}
	}
	return nil
}

// measureLatencies sends the same rate to all servers, except those that it would overload. Without
// allow there is no rate to derive it from.
func measureLatencies(ctx context.Context, servers []*server, t *table, o options) error {
	for _, subject := range t.subjects {
		if !subject.measured(allow) {
			continue
		}
		rate := offered * float64(time.Second.Microseconds()) / subject.spread(allow, sample.cost).Median
		for _, s := range servers {
			if subject.capacity(s.name) < bearable*offered {
				continue
			}
			result := subject.results[s.name]
			if err := s.loaded(ctx, result.checker, o, func(l load) (err error) {
				result.latencies, err = l.paced(ctx, o.duration, rate)
				return err
			}); err != nil {
				return fmt.Errorf("%s reviews: %w", subject.name, err)
			}
		}
	}
	return nil
}

// loaded hands over a warm server with open connections.
func (s *server) loaded(ctx context.Context, check *checker, o options, work func(load) error) error {
	posters, err := s.dialer.posters(ctx, check.reviews)
	defer func() {
		for _, p := range posters {
			p.close()
		}
	}()
	if err != nil {
		return s.explain(err)
	}
	l := load{posters: posters, check: check.check, reviews: len(check.reviews)}
	if _, _, err := l.closed(ctx, o.warmUp); err != nil {
		return s.explain(err)
	}
	return s.explain(work(l))
}

// sample measures the cost of one period of load.
func (s *server) sample(ctx context.Context, check *checker, o options) (taken sample, err error) {
	return taken, s.loaded(ctx, check, o, func(l load) error {
		count, err := s.metric(ctx, mallocs)
		if err != nil {
			return err
		}
		before, err := s.Usage()
		if err != nil {
			return err
		}
		if taken.requests, taken.elapsed, err = l.closed(ctx, o.duration); err != nil {
			return err
		}
		after, err := s.Usage()
		if err != nil {
			return err
		}
		total, err := s.metric(ctx, mallocs)
		taken.cpu = after.CPU - before.CPU
		// One request for metrics is in the count.
		taken.allocs = max(0, total-count-s.perScrape-s.perSecond*taken.elapsed.Seconds())
		return err
	})
}
