// Package latency compares how long two kinds of requests take, on a machine that is never quite
// idle.
//
// Both kinds are measured in the same rounds, taking turns. What disturbs a round disturbs both. So
// [Compare] resamples the rounds, not the single requests, which depend on each other, to find out
// how far the difference can be trusted.
package latency

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

const (
	// resamples is how often the rounds are drawn.
	resamples = 1000
	// tail is the share of the resamples on each side that the interval excludes.
	tail = 0.025
)

// Series is how long requests of one kind took, by round.
type Series [][]time.Duration

// Count is the number of requests.
func (s Series) Count() int {
	count := 0
	for _, round := range s {
		count += len(round)
	}
	return count
}

// Merge returns both, round by round. They must have the same rounds.
func (s Series) Merge(other Series) Series {
	merged := make(Series, len(s))
	for i := range s {
		merged[i] = slices.Concat(s[i], other[i])
	}
	return merged
}

// Quantile is what a share of the requests did not exceed, such as 0.99. It is 0 without requests.
func (s Series) Quantile(share float64) time.Duration {
	return quantile(slices.Sorted(slices.Values(slices.Concat(s...))), share)
}

// Difference is by how much a quantile of one series exceeds that of another.
type Difference struct {
	// Share names the quantile.
	Share float64
	// Estimate is what was measured. From Low to High is its 95 % interval.
	Estimate, Low, High time.Duration
}

// Compare returns by how much one series takes longer than another at each quantile. They must have
// the same rounds. The interval is a percentile bootstrap, the same each time for the same figures.
func Compare(one, other Series, shares ...float64) []Difference {
	differences := make([]Difference, len(shares))
	drawn := make([][]time.Duration, len(shares))
	// The figures must not depend on the run of the comparison.
	random := rand.New(rand.NewPCG(1, uint64(len(one))))
	for range resamples {
		rounds := make([]int, len(one))
		for i := range rounds {
			rounds[i] = random.IntN(len(one))
		}
		first, second := one.draw(rounds), other.draw(rounds)
		for i, share := range shares {
			drawn[i] = append(drawn[i], quantile(first, share)-quantile(second, share))
		}
	}
	for i, share := range shares {
		slices.Sort(drawn[i])
		differences[i] = Difference{
			Share: share, Estimate: one.Quantile(share) - other.Quantile(share),
			Low: quantile(drawn[i], tail), High: quantile(drawn[i], 1-tail),
		}
	}
	return differences
}

// draw returns the latencies of random rounds, the shortest first. A round may be drawn more than
// once.
func (s Series) draw(rounds []int) []time.Duration {
	all := make([]time.Duration, 0, s.Count())
	for _, i := range rounds {
		all = append(all, s[i]...)
	}
	slices.Sort(all)
	return all
}

// quantile of durations that are sorted, by the nearest rank.
func quantile(sorted []time.Duration, share float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(share * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}
