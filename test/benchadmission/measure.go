package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/pipeline-storage/pipeline-storage/test/bench/figures"
	"github.com/pipeline-storage/pipeline-storage/test/benchadmission/reviews"
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

// sample is one period of load.
type sample struct {
	done
	cpu    time.Duration // of the server
	allocs float64       // of the server, for reviews only
}

// cost is the server's CPU time for a review, in microseconds.
func (s sample) cost() float64 { return float64(s.cpu.Nanoseconds()) / 1000 / float64(s.requests) }

// rate is how many reviews were answered in a second.
func (s sample) rate() float64 { return float64(s.requests) / s.elapsed.Seconds() }

// busy is the share of its CPU that the server used, in percent. If it is well below 100, the
// client was slow.
func (s sample) busy() float64 { return 100 * s.cpu.Seconds() / s.elapsed.Seconds() }

func (s sample) allocsPerReview() float64 { return s.allocs / float64(s.requests) }

// idleness is what a server allocates without reviews.
type idleness struct {
	scrape float64 // for one request for metrics
	second float64
}

// during returns what a server allocates in a period with one metrics request.
func (i idleness) during(elapsed time.Duration) float64 { return i.scrape + i.second*elapsed.Seconds() }

// measureIdle leaves servers idle and reads their memory and allocations.
func measureIdle(ctx context.Context, servers []*server, wait time.Duration) (map[string]float64, error) {
	before := map[string]float64{}
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
	memory := map[string]float64{}
	for _, s := range servers {
		size, err := rss(s.pid())
		if err != nil {
			return nil, err
		}
		count, err := metric(ctx, s.metricsURL(), mallocs)
		if err != nil {
			return nil, err
		}
		memory[s.name] = size
		s.idle.second = max(0, count-before[s.name]-s.idle.scrape) / time.Since(begun).Seconds()
	}
	return memory, nil
}

// measureScrape measures the cost of a metrics request, and returns the count of allocations after
// it.
func (s *server) measureScrape(ctx context.Context) (count float64, err error) {
	var costs []float64
	for number := range metricsScrapes + 1 {
		before := count
		if count, err = metric(ctx, s.metricsURL(), mallocs); err != nil {
			return 0, fmt.Errorf("%s: %w", s.name, err)
		}
		if number > 0 {
			costs = append(costs, count-before)
		}
	}
	s.idle.scrape = figures.Median(costs)
	return count, nil
}

// loaded is a warm server with open connections.
func (s *server) loaded(ctx context.Context, check *checker, work func(load) error) error {
	clients, err := dial(ctx, s, check.reviews)
	if err != nil {
		return err
	}
	defer closeAll(clients)
	l := load{clients: clients, check: check.check, reviews: len(check.reviews)}
	if _, err := l.closed(ctx, s.warmUp); err != nil {
		return err
	}
	return work(l)
}

// sample measures the cost of one period of load.
func (s *server) sample(ctx context.Context, check *checker, duration time.Duration) (taken sample, err error) {
	err = s.loaded(ctx, check, func(l load) error {
		count, err := metric(ctx, s.metricsURL(), mallocs)
		if err != nil {
			return err
		}
		used, err := cpuTime(s.pid())
		if err != nil {
			return err
		}
		if taken.done, err = l.closed(ctx, duration); err != nil {
			return err
		}
		total, err := cpuTime(s.pid())
		if err != nil {
			return err
		}
		taken.cpu = total - used
		after, err := metric(ctx, s.metricsURL(), mallocs)
		if err != nil {
			return err
		}
		taken.allocs = max(0, after-count-s.idle.during(taken.elapsed))
		return nil
	})
	return taken, s.explain(err)
}

// latency measures latencies at a rate of requests per second.
func (s *server) latency(ctx context.Context, check *checker, duration time.Duration,
	rate float64,
) (taken latency, err error) {
	err = s.loaded(ctx, check, func(l load) error {
		sorted, err := l.paced(ctx, duration, rate)
		taken = latency{rate: rate, middle: percentile(sorted, 0.5), slow: percentile(sorted, 0.99)}
		return err
	})
	return taken, s.explain(err)
}

// latency at one offered rate.
type latency struct {
	rate         float64
	middle, slow time.Duration // p50 and p99
}

// explain adds to an error why the server has ended, if it has.
func (s *server) explain(err error) error {
	if err == nil {
		return nil
	}
	if ended := s.exitError(); ended != nil {
		return fmt.Errorf("%w; %w", err, ended)
	}
	return fmt.Errorf("%w\n%s", err, s.tail())
}

// table is what the servers cost over one version of HTTP.
type table struct {
	protocol string
	rounds   int
	sizes    []sized
}

// sized is what they cost for reviews of one size, by the candidate's name.
type sized struct {
	name      string
	bytes     int
	samples   map[string][]sample
	answers   map[string]int
	latencies map[string]latency
}

// subject are the reviews of one size, with a checker for each server.
type subject struct {
	sized
	reviews  []reviews.Review
	checkers map[string]*checker
}

func newSubjects(o options) ([]*subject, error) {
	var all []*subject
	for _, size := range reviews.Sizes() {
		if !slices.Contains(o.sizes, size.Name) {
			continue
		}
		made, err := size.Make(variants)
		if err != nil {
			return nil, err
		}
		s := &subject{reviews: made, checkers: map[string]*checker{}, sized: sized{
			name: size.Name, bytes: len(made[0].Body),
			samples: map[string][]sample{}, answers: map[string]int{}, latencies: map[string]latency{},
		}}
		for _, c := range o.candidates() {
			s.checkers[c.name] = newChecker(c, made)
		}
		all = append(all, s)
	}
	return all, nil
}

// measureRounds lets the servers take turns. Every round begins with another server, so that none
// always follows the same one.
func measureRounds(ctx context.Context, servers []*server, subjects []*subject, rounds int,
	duration time.Duration,
) error {
	for round := range rounds {
		for _, subject := range subjects {
			for i := range servers {
				s := servers[(round+i)%len(servers)]
				check := subject.checkers[s.name]
				taken, err := s.sample(ctx, check, duration)
				if err != nil {
					return fmt.Errorf("%s reviews: %w", subject.name, err)
				}
				subject.samples[s.name] = append(subject.samples[s.name], taken)
				subject.answers[s.name] = check.answerBytes()
			}
		}
	}
	return nil
}

// measureLatencies sends the same rate to all servers, except those that it would overload. Without
// allow there is no rate to derive it from.
func measureLatencies(ctx context.Context, servers []*server, subjects []*subject, duration time.Duration) error {
	for _, subject := range subjects {
		if len(subject.samples[allow]) == 0 {
			continue
		}
		rate := offered * float64(time.Second.Microseconds()) / subject.spread(allow, sample.cost).Median
		for _, s := range servers {
			if subject.capacity(s.name) < bearable*offered {
				continue
			}
			taken, err := s.latency(ctx, subject.checkers[s.name], duration, rate)
			if err != nil {
				return fmt.Errorf("%s reviews: %w", subject.name, err)
			}
			subject.latencies[s.name] = taken
		}
	}
	return nil
}

// spread returns the spread of one figure of a server.
func (s *sized) spread(name string, figure func(sample) float64) figures.Spread {
	var all []float64
	for _, taken := range s.samples[name] {
		all = append(all, figure(taken))
	}
	return figures.SpreadOf(all)
}
