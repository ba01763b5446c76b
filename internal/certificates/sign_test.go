package certificates

import (
	"crypto/x509"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSignedCertificateIsForItsNamesOnly(t *testing.T) {
	a := caAt(t, noon)
	l := leafBy(t, a, noon, append(ServiceNames("storage", "team"), "127.0.0.1")...)

	for host, exp := range map[string]bool{
		"storage.team.svc":               true,
		"storage.team.svc.cluster.local": true,
		"127.0.0.1":                      true,
		"storage.other.svc":              false,
		"other.team.svc":                 false,
	} {
		_, err := l.verify(certs(a), []string{host}, noon)
		assert.Equal(t, exp, err == nil, "%s: %v", host, err)
	}
	assert.Equal(t, []string{"storage.team.svc", "storage.team.svc.cluster.local"}, l.Leaf.DNSNames)
	assert.True(t, l.Leaf.IPAddresses[0].Equal(net.IPv4(127, 0, 0, 1)))
	assert.Equal(t, x509.ECDSA, l.Leaf.PublicKeyAlgorithm)
	assert.Equal(t, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, l.Leaf.ExtKeyUsage)
	assert.False(t, l.Leaf.IsCA)
}

func TestSignedCertificateDoesNotOutliveItsCA(t *testing.T) {
	a := caAt(t, noon)
	l := leafBy(t, a, a.cert.NotAfter.Add(-time.Minute))
	assert.Equal(t, a.cert.NotAfter, l.Leaf.NotAfter)
}

func TestCertificatesBeginEarlyForSlowClocks(t *testing.T) {
	a := caAt(t, noon)
	_, err := leafBy(t, a, noon).verify(certs(a), hosts, noon.Add(-clockSkew+time.Second))
	assert.NoError(t, err)
}

func TestDueAfterTwoThirdsOfALife(t *testing.T) {
	a, err := newCA(noon, 3*time.Hour)
	require.NoError(t, err)
	assert.False(t, due(a.cert, noon))
	assert.False(t, due(a.cert, noon.Add(2*time.Hour-time.Second)))
	assert.True(t, due(a.cert, noon.Add(2*time.Hour)))
	assert.True(t, due(a.cert, noon.Add(day)))
}

func TestCASurvivesItsEncoding(t *testing.T) {
	a := caAt(t, noon)
	certificate, key, err := a.encode()
	require.NoError(t, err)
	back, err := parseCA(certificate, key)
	require.NoError(t, err)
	assert.True(t, a.same(back))

	_, err = leafBy(t, back, noon).verify(certs(a), hosts, noon)
	assert.NoError(t, err)
}

func TestParseCARefusesPairsThatCannotSign(t *testing.T) {
	a, other := caAt(t, noon), caAt(t, noon)
	certificate, key, err := a.encode()
	require.NoError(t, err)
	_, otherKey, err := other.encode()
	require.NoError(t, err)
	leafCA := &ca{cert: leafBy(t, a, noon).Leaf, key: a.key}
	leafCertificate, _, err := leafCA.encode()
	require.NoError(t, err)

	for name, tt := range map[string]struct{ certificate, key []byte }{
		"nothing":                     {nil, nil},
		"no key":                      {certificate, nil},
		"no certificate":              {nil, key},
		"the key of another":          {certificate, otherKey},
		"text":                        {[]byte("certificate"), []byte("key")},
		"the two exchanged":           {key, certificate},
		"a certificate that is no CA": {leafCertificate, key},
		"half a certificate":          {certificate[:len(certificate)/2], key},
		"half a key":                  {certificate, key[:len(key)/2]},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseCA(tt.certificate, tt.key)
			require.Error(t, err)
			if len(tt.key) > 0 {
				assert.NotContains(t, err.Error(), string(tt.key), "a key must not be in a log")
			}
		})
	}
}

func TestUsableUntilItExpires(t *testing.T) {
	a := caAt(t, noon)
	assert.False(t, (*ca)(nil).usable(noon))
	assert.True(t, a.usable(noon))
	assert.True(t, a.usable(noon.Add(-day)), "it comes from a node whose clock is ahead")
	assert.True(t, a.usable(noon.Add(DefaultCALifetime-time.Second)))
	assert.False(t, a.usable(noon.Add(DefaultCALifetime)))
}
