package certificates

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// looks is the trust after some looks at the live configuration, one a second, the last one at noon.
func looks(bundles ...bundle) trust {
	var seen trust
	for i, b := range bundles {
		seen = seen.observe(b, noon.Add(time.Duration(i+1-len(bundles))*time.Second), settle)
	}
	return seen
}

func TestNothingSettlesBeforeItsTime(t *testing.T) {
	a, b := authorityAt(t, noon.Add(-day)), authorityAt(t, noon)
	seen := looks(certs(a), certs(a, b))

	assert.Empty(t, seen.settled(noon, settle), "what was there at the start may have come a moment before")
	assert.True(t, certs(a).equal(seen.settled(noon.Add(settle-time.Second), settle)))
	assert.True(t, certs(a, b).equal(seen.settled(noon.Add(settle), settle)))

	gone := looks(certs(a), certs(a, b), certs(a), certs(a, b))
	assert.True(t, certs(a).equal(gone.settled(noon.Add(settle-time.Second), settle)), "b went, and began again")
}

func TestPendingIsTheTimeToTheNextSettling(t *testing.T) {
	a, b := authorityAt(t, noon.Add(-day)), authorityAt(t, noon)
	seen := looks(certs(a), certs(a, b))
	assert.Equal(t, settle-time.Second, seen.pending(noon, settle))
	assert.Equal(t, time.Second, seen.pending(noon.Add(settle-time.Second), settle))
	assert.Zero(t, seen.pending(noon.Add(settle), settle))
	assert.Zero(t, trust{}.pending(noon, settle))
}

func TestWhenAPIServersHaveLearntOfARoot(t *testing.T) {
	old, fresh := authorityAt(t, noon.Add(-day)), authorityAt(t, noon.Add(-3*time.Second))
	expired := authorityAt(t, noon.Add(-2*DefaultCALifetime))

	for name, tt := range map[string]struct {
		looks []bundle
		exp   time.Duration
	}{
		"it was alone at the start":                     {[]bundle{certs(fresh)}, 0},
		"it was beside an expired one":                  {[]bundle{certs(fresh, expired)}, 0},
		"it was at the start beside one, and was young": {[]bundle{certs(fresh, old)}, settle - 3*time.Second},
		"it came where nothing was":                     {[]bundle{nil, certs(fresh)}, 0},
		"it came beside an expired one":                 {[]bundle{certs(expired), certs(expired, fresh)}, 0},
		"it came beside a good one":                     {[]bundle{certs(old), certs(old, fresh)}, settle},
		"it came in place of a good one":                {[]bundle{certs(old), certs(fresh)}, settle},
		"it came a second ago":                          {[]bundle{certs(old), certs(old, fresh), certs(old, fresh)}, settle - time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tt.exp, looks(tt.looks...).known(fresh.cert).Sub(noon))
		})
	}
	assert.False(t, looks(certs(fresh, old)).known(old.cert).After(noon), "an old one is no successor")
}

func TestChoose(t *testing.T) {
	a, b := authorityAt(t, noon.Add(-day)), authorityAt(t, noon)
	byA, againByA, byB := leafBy(t, a, noon), leafBy(t, a, noon), leafBy(t, b, noon)
	elsewhere := leafBy(t, a, noon, "other.team.svc")
	settledTrust := func(roots bundle) trust { return trust{}.observe(roots, noon.Add(-settle), settle) }

	for name, tt := range map[string]struct {
		served, candidate *leaf
		trust             trust
		exp               *leaf
	}{
		"there is nothing":                              {nil, nil, trust{}, nil},
		"the first one":                                 {nil, byA, trust{}, byA},
		"the source has failed":                         {byA, nil, settledTrust(certs(a)), byA},
		"a renewed one by the same authority":           {byA, againByA, settledTrust(certs(a)), againByA},
		"the next authority is not in the caBundle":     {byA, byB, settledTrust(certs(a)), byA},
		"the next authority is new in the caBundle":     {byA, byB, settledTrust(certs(a)).observe(certs(a, b), noon, settle), byA},
		"the next authority has settled":                {byA, byB, settledTrust(certs(a, b)), byB},
		"the old one is trusted no more":                {byA, byB, settledTrust(certs(a)).observe(certs(b), noon, settle), byB},
		"nobody is trusted: what the caBundle will get": {byA, byB, settledTrust(nil), byB},
		"what is served is for another name":            {elsewhere, byB, settledTrust(certs(a)), byB},
		"the candidate is for another name":             {byA, elsewhere, settledTrust(certs(a)), byA},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Same(t, tt.exp, choose(tt.served, tt.candidate, tt.trust, hosts, noon, settle))
		})
	}
}

func TestChainsEndWithTheirFirstCertificate(t *testing.T) {
	a := authorityAt(t, noon)
	l := leafBy(t, a, noon)
	proof, err := l.verify(certs(a, authorityAt(t, noon)), hosts, noon)
	require.NoError(t, err)
	assert.Equal(t, a.cert, proof.root)
	assert.Equal(t, l.Leaf.NotAfter, proof.until)
}
