package certificates

import (
	"crypto/x509"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// noon is when the tests of pure parts happen.
var noon = time.Date(2026, time.June, 1, 12, 0, 0, 0, time.UTC)

const (
	day         = 24 * time.Hour
	propagation = 10 * time.Second
)

func caAt(t *testing.T, now time.Time) *ca {
	t.Helper()
	a, err := newCA(now, DefaultCALifetime)
	require.NoError(t, err)
	return a
}

func leafBy(t *testing.T, a *ca, now time.Time, names ...string) *leaf {
	t.Helper()
	if len(names) == 0 {
		names = ServiceNames("storage", "team")
	}
	l, err := a.sign(names, now, DefaultLifetime)
	require.NoError(t, err)
	return l
}

func certs(cas ...*ca) bundle {
	var all []*x509.Certificate
	for _, a := range cas {
		all = append(all, a.cert)
	}
	return newBundle(all...)
}

var hosts = ServiceNames("storage", "team")[:1]
