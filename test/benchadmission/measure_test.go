package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSample(t *testing.T) {
	taken := sample{requests: 4000, elapsed: 2 * time.Second, cpu: time.Second, allocs: 160_000}

	assert.InDelta(t, 250, taken.cost(), 0, "microseconds a review")
	assert.InDelta(t, 2000, taken.rate(), 0)
	assert.InDelta(t, 50, taken.busy(), 0)
	assert.InDelta(t, 40, taken.allocsPerReview(), 0)
}

func TestSubjectsFollowOptions(t *testing.T) {
	o, err := parse([]string{"--sizes=large,small", "--servers=allow,webhook"})
	require.NoError(t, err)

	subjects, err := newSubjects(o)

	require.NoError(t, err)
	require.Len(t, subjects, 2)
	assert.Equal(t, "small", subjects[0].name)
	assert.Equal(t, "large", subjects[1].name)
	assert.Len(t, subjects[0].reviews, variants)
	assert.Equal(t, len(subjects[0].reviews[0].Body), subjects[0].bytes)
	assert.Len(t, subjects[0].results, 2)
}
