package certificates

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// readings is the trust after some readings of the live configuration, one a second, the last one
// at noon.
func readings(bundles ...bundle) trust {
	var seen trust
	for i, b := range bundles {
		seen = seen.observe(b, noon.Add(time.Duration(i+1-len(bundles))*time.Second), propagation)
	}
	return seen
}

func TestNoRootIsPropagatedBeforeItsTime(t *testing.T) {
	a, b := caAt(t, noon.Add(-day)), caAt(t, noon)
	seen := readings(certs(a), certs(a, b))

	assert.Empty(t, seen.propagated(noon, propagation), "what was there at the start may have come a moment before")
	assert.True(t, certs(a).equal(seen.propagated(noon.Add(propagation-time.Second), propagation)))
	assert.True(t, certs(a, b).equal(seen.propagated(noon.Add(propagation), propagation)))

	removed := readings(certs(a), certs(a, b), certs(a), certs(a, b))
	assert.True(t, certs(a).equal(removed.propagated(noon.Add(propagation-time.Second), propagation)),
		"b went, and began again")
}

func TestPendingIsTheTimeToTheNextPropagation(t *testing.T) {
	a, b := caAt(t, noon.Add(-day)), caAt(t, noon)
	seen := readings(certs(a), certs(a, b))
	assert.Equal(t, propagation-time.Second, seen.pending(noon, propagation))
	assert.Equal(t, time.Second, seen.pending(noon.Add(propagation-time.Second), propagation))
	assert.Zero(t, seen.pending(noon.Add(propagation), propagation))
	assert.Zero(t, trust{}.pending(noon, propagation))
}

func TestWhenAPIServersHaveReceivedARoot(t *testing.T) {
	old, fresh := caAt(t, noon.Add(-day)), caAt(t, noon.Add(-3*time.Second))
	expired := caAt(t, noon.Add(-2*DefaultCALifetime))

	for name, tt := range map[string]struct {
		readings []bundle
		exp      time.Duration
	}{
		"it was alone at the start":                   {[]bundle{certs(fresh)}, 0},
		"it was next to an expired one":               {[]bundle{certs(fresh, expired)}, 0},
		"it was at the start with one, and was young": {[]bundle{certs(fresh, old)}, propagation - 3*time.Second},
		"it came where nothing was":                   {[]bundle{nil, certs(fresh)}, 0},
		"it came beside an expired one":               {[]bundle{certs(expired), certs(expired, fresh)}, 0},
		"it came beside a good one":                   {[]bundle{certs(old), certs(old, fresh)}, propagation},
		"it came in place of a good one":              {[]bundle{certs(old), certs(fresh)}, propagation},
		"it came a second ago": {
			[]bundle{certs(old), certs(old, fresh), certs(old, fresh)},
			propagation - time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tt.exp, readings(tt.readings...).receivedAt(fresh.cert).Sub(noon))
		})
	}
	assert.False(t, readings(certs(fresh, old)).receivedAt(old.cert).After(noon), "an old one is no successor")
}

func TestChoose(t *testing.T) {
	a, b := caAt(t, noon.Add(-day)), caAt(t, noon)
	byA, againByA, byB := leafBy(t, a, noon), leafBy(t, a, noon), leafBy(t, b, noon)
	otherName := leafBy(t, a, noon, "other.team.svc")
	propagatedTrust := func(roots bundle) trust { return trust{}.observe(roots, noon.Add(-propagation), propagation) }

	for name, tt := range map[string]struct {
		served, candidate *leaf
		trust             trust
		exp               *leaf
	}{
		"there is nothing":                   {nil, nil, trust{}, nil},
		"the first one":                      {nil, byA, trust{}, byA},
		"the source has failed":              {byA, nil, propagatedTrust(certs(a)), byA},
		"a renewed one by the same CA":       {byA, againByA, propagatedTrust(certs(a)), againByA},
		"the next CA is not in the caBundle": {byA, byB, propagatedTrust(certs(a)), byA},
		"the next CA is new in the caBundle": {
			byA, byB,
			propagatedTrust(certs(a)).observe(certs(a, b), noon, propagation), byA,
		},
		"the next CA is propagated": {byA, byB, propagatedTrust(certs(a, b)), byB},
		"the old one is trusted no more": {
			byA, byB,
			propagatedTrust(certs(a)).observe(certs(b), noon, propagation), byB,
		},
		"none is trusted: the one that the caBundle will get": {byA, byB, propagatedTrust(nil), byB},
		"the served one is for another name":                  {otherName, byB, propagatedTrust(certs(a)), byB},
		"the candidate is for another name":                   {byA, otherName, propagatedTrust(certs(a)), byA},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Same(t, tt.exp, choose(tt.served, tt.candidate, tt.trust, hosts, noon, propagation))
		})
	}
}

func TestChainsEndWithTheirFirstCertificate(t *testing.T) {
	a := caAt(t, noon)
	l := leafBy(t, a, noon)
	proof, err := l.verify(certs(a, caAt(t, noon)), hosts, noon)
	require.NoError(t, err)
	assert.Equal(t, a.cert, proof.root)
	assert.Equal(t, l.Leaf.NotAfter, proof.until)
}

// A round that a watch causes may begin just before a root is propagated, and end after it: another
// one must follow soon.
func TestRoundThatEndsAfterThePropagationIsRepeatedSoon(t *testing.T) {
	clock := fixedClock()
	c := &Certificates{options: Options{Clock: clock, Propagation: propagation, Poll: time.Hour}}
	c.trust = readings(certs(caAt(t, noon.Add(-day))), certs(caAt(t, noon.Add(-day)), caAt(t, noon)))
	c.judged = noon.Add(propagation - time.Millisecond)
	clock.SetTime(noon.Add(propagation + time.Second))
	assert.Equal(t, time.Millisecond, c.untilDue())

	c.judged = noon.Add(propagation)
	assert.Equal(t, time.Hour, c.untilDue())
}
