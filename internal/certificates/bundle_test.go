package certificates

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestBundleHasOneOrderForAllReplicas(t *testing.T) {
	a, b, c := authorityAt(t, noon), authorityAt(t, noon.Add(time.Hour)), authorityAt(t, noon)
	exp := newBundle(a.cert, b.cert, c.cert)
	assert.Equal(t, b.cert, exp[0], "the newest stands first")
	for _, order := range [][]*authority{{a, c, b}, {b, a, c}, {b, c, a}, {c, a, b}, {c, b, a}, {c, b, a, a, b}} {
		assert.True(t, exp.equal(certs(order...)))
		assert.Equal(t, exp.encode(), certs(order...).encode())
	}
}

func TestParseBundlePassesOverWhatIsNoCertificate(t *testing.T) {
	a, b := authorityAt(t, noon), authorityAt(t, noon)
	_, key, err := a.encode()
	require.NoError(t, err)
	text := slices.Concat([]byte("# ours\r\n"), certs(a).encode(), key,
		[]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), certs(b).encode(), []byte("the end"))

	assert.True(t, certs(a, b).equal(parseBundle(text)))
	assert.Empty(t, parseBundle(nil))
	assert.Empty(t, parseBundle([]byte("nothing of that kind")))
	assert.True(t, certs(a).equal(parseBundle(bytes.TrimSpace(certs(a).encode()))))
}

func TestWanted(t *testing.T) {
	const overlap = time.Hour
	ours, old, expired := authorityAt(t, noon), authorityAt(t, noon.Add(-day)), authorityAt(t, noon.Add(-2*DefaultCALifetime))
	since := func(a *authority, ago time.Duration) sightings { return sightings{string(a.cert.Raw): noon.Add(-ago)} }

	for name, tt := range map[string]struct {
		live    bundle
		foreign sightings
		exp     bundle
		expSeen sightings
	}{
		"an empty caBundle gets ours":                        {nil, nil, certs(ours), sightings{}},
		"ours stays":                                         {certs(ours), nil, certs(ours), sightings{}},
		"another stays at first":                             {certs(old), nil, certs(ours, old), since(old, 0)},
		"another stays during the overlap":                   {certs(ours, old), since(old, overlap-1), certs(ours, old), since(old, overlap-1)},
		"another goes after the overlap":                     {certs(ours, old), since(old, overlap), certs(ours), since(old, overlap)},
		"one that expired goes at once":                      {certs(ours, expired), nil, certs(ours), sightings{}},
		"one that went and came back gets the overlap again": {certs(ours, old), sightings{}, certs(ours, old), since(old, 0)},
		"what is ours again is not foreign":                  {certs(ours), since(ours, overlap), certs(ours), sightings{}},
		"what is gone is forgotten":                          {certs(ours), since(old, time.Minute), certs(ours), sightings{}},
	} {
		t.Run(name, func(t *testing.T) {
			roots, seen := wanted(certs(ours), tt.live, tt.foreign, noon, overlap)
			assert.True(t, tt.exp.equal(roots))
			assert.Equal(t, tt.expSeen, seen)
		})
	}
}
