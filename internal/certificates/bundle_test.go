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
	a, b, c := caAt(t, noon), caAt(t, noon.Add(time.Hour)), caAt(t, noon)
	exp := newBundle(a.cert, b.cert, c.cert)
	assert.Equal(t, b.cert, exp[0], "the newest stands first")
	for _, order := range [][]*ca{{a, c, b}, {b, a, c}, {b, c, a}, {c, a, b}, {c, b, a}, {c, b, a, a, b}} {
		assert.True(t, exp.equal(certs(order...)))
		assert.Equal(t, exp.encode(), certs(order...).encode())
	}
}

func TestParseBundlePassesOverWhatIsNoCertificate(t *testing.T) {
	a, b := caAt(t, noon), caAt(t, noon)
	_, key, err := a.encode()
	require.NoError(t, err)
	text := slices.Concat([]byte("# comment\r\n"), certs(a).encode(), key,
		[]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), certs(b).encode(), []byte("the end"))

	assert.True(t, certs(a, b).equal(parseBundle(text)))
	assert.Empty(t, parseBundle(nil))
	assert.Empty(t, parseBundle([]byte("nothing of that kind")))
	assert.True(t, certs(a).equal(parseBundle(bytes.TrimSpace(certs(a).encode()))))
}

func TestWanted(t *testing.T) {
	const overlap = time.Hour
	own, old, expired := caAt(t, noon), caAt(t, noon.Add(-day)), caAt(t, noon.Add(-2*DefaultCALifetime))
	since := func(a *ca, ago time.Duration) firstSeen { return firstSeen{string(a.cert.Raw): noon.Add(-ago)} }

	for name, tt := range map[string]struct {
		live       bundle
		thirdParty firstSeen
		exp        bundle
		expSeen    firstSeen
	}{
		"an empty caBundle gets the own one": {nil, nil, certs(own), firstSeen{}},
		"the own one stays":                  {certs(own), nil, certs(own), firstSeen{}},
		"another stays at first":             {certs(old), nil, certs(own, old), since(old, 0)},
		"another stays during the overlap": {
			certs(own, old), since(old, overlap-1), certs(own, old),
			since(old, overlap-1),
		},
		"another goes after the overlap": {
			certs(own, old), since(old, overlap), certs(own),
			since(old, overlap),
		},
		"one that expired goes at once":                       {certs(own, expired), nil, certs(own), firstSeen{}},
		"one that went and came back gets the overlap again":  {certs(own, old), firstSeen{}, certs(own, old), since(old, 0)},
		"a certificate that is own again is no third party's": {certs(own), since(own, overlap), certs(own), firstSeen{}},
		"a removed one is forgotten":                          {certs(own), since(old, time.Minute), certs(own), firstSeen{}},
	} {
		t.Run(name, func(t *testing.T) {
			roots, seen := wanted(certs(own), tt.live, tt.thirdParty, noon, overlap)
			assert.True(t, tt.exp.equal(roots))
			assert.Equal(t, tt.expSeen, seen)
		})
	}
}
