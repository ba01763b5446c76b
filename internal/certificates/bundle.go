package certificates

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"time"
)

// bundle is a set of certificates in an order that only its members decide, so that all replicas
// write the same bytes.
type bundle []*x509.Certificate

// newBundle sorts the newest certificates to the front and drops repeated ones.
func newBundle(certs ...*x509.Certificate) bundle {
	sorted := slices.SortedFunc(slices.Values(certs), func(a, b *x509.Certificate) int {
		if c := b.NotBefore.Compare(a.NotBefore); c != 0 {
			return c
		}
		return bytes.Compare(a.Raw, b.Raw)
	})
	return slices.CompactFunc(sorted, (*x509.Certificate).Equal)
}

// parseBundle reads PEM as API servers do: other blocks are skipped.
// Source: crypto/x509, AppendCertsFromPEM.
func parseBundle(text []byte) bundle {
	var certs []*x509.Certificate
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return newBundle(certs...)
		}
		if block.Type != "CERTIFICATE" || len(block.Headers) > 0 {
			continue
		}
		if c, err := x509.ParseCertificate(block.Bytes); err == nil {
			certs = append(certs, c)
		}
	}
}

// encode returns PEM, one block a certificate, without headers. It is what a caBundle has.
func (b bundle) encode() []byte {
	var text bytes.Buffer
	for _, c := range b {
		text.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	return text.Bytes()
}

// has compares whole certificates: two with the same name and key but other dates differ.
func (b bundle) has(c *x509.Certificate) bool {
	return slices.ContainsFunc(b, c.Equal)
}

// equal needs no sorting: [newBundle] has put both into the same order.
func (b bundle) equal(other bundle) bool {
	return slices.EqualFunc(b, other, (*x509.Certificate).Equal)
}

// only returns the members for which keep is true.
func (b bundle) only(keep func(*x509.Certificate) bool) bundle {
	var some bundle
	for _, c := range b {
		if keep(c) {
			some = append(some, c)
		}
	}
	return some
}

// unexpired returns the members that a client may still trust.
func (b bundle) unexpired(now time.Time) bundle {
	return b.only(func(c *x509.Certificate) bool { return now.Before(c.NotAfter) })
}

// pool returns the members as the roots of a verification.
func (b bundle) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	for _, c := range b {
		pool.AddCert(c)
	}
	return pool
}

// firstSeen has the time at which each of some certificates was first seen. The key is the
// certificate itself.
type firstSeen map[string]time.Time

// wanted returns the certificates for the caBundle: own, and for an overlap every other certificate
// that it has now. Another replica, or a third party that signed before this installation, may
// still serve by those. thirdParty has the time since when each of them was not own. Pass the
// returned firstSeen to the next call.
func wanted(own, live bundle, thirdParty firstSeen, now time.Time, overlap time.Duration) (bundle, firstSeen) {
	seen := firstSeen{}
	remaining := live.unexpired(now).only(func(c *x509.Certificate) bool {
		if own.has(c) {
			return false
		}
		since, known := thirdParty[string(c.Raw)]
		if !known {
			since = now
		}
		seen[string(c.Raw)] = since
		return now.Sub(since) < overlap
	})
	return newBundle(append(remaining, own...)...), seen
}
