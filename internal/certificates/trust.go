package certificates

import (
	"crypto/x509"
	"time"
)

// trust has the roots of the live configuration, and since when this replica has seen them there.
type trust struct {
	roots   bundle
	seen    map[string]arrival
	hasRead bool
}

// arrival is how a root appeared. The key of a map of them is the certificate itself.
type arrival struct {
	at time.Time
	// received is when every API server has received it.
	received time.Time
}

// observe returns the trust after another reading of the live configuration.
func (t trust) observe(live bundle, now time.Time, propagation time.Duration) trust {
	after := trust{roots: live, seen: map[string]arrival{}, hasRead: true}
	for _, c := range live {
		key := string(c.Raw)
		s, known := t.seen[key]
		if !known {
			s = arrival{at: now, received: t.whenReceived(c, live, now, propagation)}
		}
		after.seen[key] = s
	}
	return after
}

// whenReceived returns when API servers will have received a root that was just seen first.
func (t trust) whenReceived(c *x509.Certificate, live bundle, now time.Time, propagation time.Duration) time.Time {
	switch others := len(live.unexpired(now)) > 1; {
	case t.hasRead && len(t.roots.unexpired(now)) > 0:
		return now.Add(propagation) // it came in addition to others
	case t.hasRead || !others:
		return now // it came where no root was, so no API server could be late
	default:
		// It was there at the start, with others: perhaps it is the successor of a Secret that was
		// deleted a moment ago.
		return latest(now, earliest(signedAt(c).Add(propagation), now.Add(propagation)))
	}
}

// propagated returns the roots that this replica has seen there for at least that long. A root that
// it found at its start may have come a moment before, so no root is propagated at first.
func (t trust) propagated(now time.Time, propagation time.Duration) bundle {
	return t.roots.only(func(c *x509.Certificate) bool { return !now.Before(t.seen[string(c.Raw)].at.Add(propagation)) })
}

// receivedAt returns when every API server has received a root of the live configuration.
func (t trust) receivedAt(root *x509.Certificate) time.Time {
	return t.seen[string(root.Raw)].received
}

// pending returns the time until the next root is propagated, and 0 when all are.
func (t trust) pending(now time.Time, propagation time.Duration) time.Duration {
	var next time.Duration
	for _, s := range t.seen {
		if left := s.at.Add(propagation).Sub(now); left > 0 && (next == 0 || left < next) {
			next = left
		}
	}
	return next
}

// verified is the chain by which an API server trusts a certificate.
type verified struct {
	root *x509.Certificate
	// until is when the first certificate of the chain expires.
	until time.Time
}

// verify does what an API server does with a served certificate (crypto/tls, a client's
// verifyServerCertificate), for every host of the live configuration.
func (l *leaf) verify(roots bundle, hosts []string, now time.Time) (verified, error) {
	options := x509.VerifyOptions{
		Roots:         roots.pool(),
		Intermediates: l.intermediates(),
		CurrentTime:   now,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	chains, err := l.Leaf.Verify(options)
	if err != nil {
		return verified{}, err
	}
	for _, host := range hosts {
		if err := l.Leaf.VerifyHostname(host); err != nil {
			return verified{}, err
		}
	}
	var best verified
	for _, chain := range chains {
		if v := chainEnd(chain); v.until.After(best.until) {
			best = v
		}
	}
	return best, nil
}

// chainEnd returns the root of a chain, its last certificate, and when the first member expires.
func chainEnd(chain []*x509.Certificate) verified {
	end := verified{root: chain[len(chain)-1], until: chain[0].NotAfter}
	for _, c := range chain {
		end.until = earliest(end.until, c.NotAfter)
	}
	return end
}

// intermediates returns what the server sends behind its own certificate. One that cannot be parsed
// is left out.
func (l *leaf) intermediates() *x509.CertPool {
	pool := x509.NewCertPool()
	for _, raw := range l.Certificate.Certificate[1:] {
		if c, err := x509.ParseCertificate(raw); err == nil {
			pool.AddCert(c)
		}
	}
	return pool
}

// choose returns the certificate to serve: the candidate as soon as the propagated roots trust it,
// and the one served already for as long as it is trusted. When neither is trusted, the candidate:
// its CA is on its way into the caBundle.
func choose(served, candidate *leaf, t trust, hosts []string, now time.Time, propagation time.Duration) *leaf {
	if served == nil || candidate == nil || served == candidate {
		return either(candidate, served)
	}
	if _, err := candidate.verify(t.propagated(now, propagation), hosts, now); err == nil {
		return candidate
	}
	if _, err := served.verify(t.roots, hosts, now); err == nil {
		return served
	}
	return candidate
}

// either returns the first that is not nil, or nil.
func either(a, b *leaf) *leaf {
	if a != nil {
		return a
	}
	return b
}
