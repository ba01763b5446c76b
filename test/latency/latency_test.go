package latency

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

const rounds, each = 40, 15

// series has latencies that differ by chance, and rounds that do: as on a machine with other work
// now and then.
func series(seed uint64, base time.Duration) Series {
	random := rand.New(rand.NewPCG(seed, seed))
	disturbance := rand.New(rand.NewPCG(7, 7)) // the same for all series
	made := make(Series, rounds)

	for i := range made {
		slow := time.Duration(disturbance.Float64() * float64(5*time.Millisecond))
		for range each {
			chance := time.Duration(random.ExpFloat64() * float64(time.Millisecond))
			made[i] = append(made[i], base+slow+chance)
		}
	}

	return made
}

func TestQuantileIsNearestRank(t *testing.T) {
	hundred := make(Series, 1)
	for i := range 100 {
		hundred[0] = append(hundred[0], time.Duration(100-i))
	}

	for share, expected := range map[float64]time.Duration{0: 1, .005: 1, .5: 50, .99: 99, .995: 100, 1: 100} {
		assert.Equal(t, expected, hundred.Quantile(share), share)
	}

	assert.EqualValues(t, 100, hundred[0][0], "the series is not modified")
	assert.Zero(t, Series{}.Quantile(.5))
	assert.EqualValues(t, 7, Series{{7}, {}}.Quantile(.99))
}

func TestMergeRetainsRounds(t *testing.T) {
	merged := Series{{1}, {2, 3}}.Merge(Series{{4}, {}})
	assert.Equal(t, Series{{1, 4}, {2, 3}}, merged)
	assert.Equal(t, 4, merged.Count())
}

func TestCompareFindsSmallDifference(t *testing.T) {
	const extra = time.Millisecond
	found := Compare(series(1, 3*time.Millisecond+extra), series(2, 3*time.Millisecond), .5, .99)
	for _, difference := range found {
		assert.LessOrEqual(t, difference.Low, difference.Estimate)
		assert.GreaterOrEqual(t, difference.High, difference.Estimate)
	}

	assert.Positive(t, found[0].Low, "the rounds differ by 5 ms, which does not hide a difference of 1 ms")
	assert.True(t, found[0].Low <= extra && extra <= found[0].High, "%+v", found[0])
	assert.Greater(t, found[1].High-found[1].Low, found[0].High-found[0].Low, "rare values are less certain")
}

func TestCompareOfEqualSeries(t *testing.T) {
	doubted := 0

	for seed := range uint64(20) {
		if found := Compare(series(2*seed+10, 0), series(2*seed+11, 0), .5)[0]; found.Low > 0 || found.High < 0 {
			doubted++
		}
	}

	assert.LessOrEqual(t, doubted, 3, "of 20 intervals one is wrong on average")
}

func TestCompareIsDeterministic(t *testing.T) {
	one, other := series(1, time.Millisecond), series(2, 0)
	first := Compare(one, other, .5, .99)
	assert.Equal(t, first, Compare(one, other, .5, .99))
}

func TestCompareOfASeriesWithItselfIsZero(t *testing.T) {
	same := series(1, time.Millisecond)
	assert.Equal(t, []Difference{{Share: .99}}, Compare(same, same, .99))
}
