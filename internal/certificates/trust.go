package certificates

import (
	"crypto/x509"
	"time"
)

// trust is what the live configuration trusts, and since when this replica has seen it there.
type trust struct {
	roots  bundle
	seen   map[string]sighting
	looked bool
}

// sighting is how a root appeared. The key of a map of them is the certificate itself.
type sighting struct {
	at time.Time
	// known is when every API server has learnt of it.
	known time.Time
}

// observe returns the trust after another look at the live configuration.
func (t trust) observe(live bundle, now time.Time, settle time.Duration) trust {
	after := trust{roots: live, seen: map[string]sighting{}, looked: true}
	for _, c := range live {
		key := string(c.Raw)
		s, known := t.seen[key]
		if !known {
			s = sighting{at: now, known: t.learnt(c, live, now, settle)}
		}
		after.seen[key] = s
	}
	return after
}

// learnt returns when API servers will have learnt of a root that was just seen first.
func (t trust) learnt(c *x509.Certificate, live bundle, now time.Time, settle time.Duration) time.Time {
	switch others := len(live.unexpired(now)) > 1; {
	case t.looked && len(t.roots.unexpired(now)) > 0:
		return now.Add(settle) // it came beside others
	case t.looked || !others:
		return now // it came where nothing was, so there is nobody who could be late
	default:
		// It was there at the start, beside others: perhaps it is the successor of a Secret that was deleted a moment ago.
		return later(now, earlier(signedAt(c).Add(settle), now.Add(settle)))
	}
}

// settled returns the roots that this replica has seen there for at least that long. What it found at its start may have
// come a moment before, so nothing is settled at first.
func (t trust) settled(now time.Time, settle time.Duration) bundle {
	return t.roots.only(func(c *x509.Certificate) bool { return !now.Before(t.seen[string(c.Raw)].at.Add(settle)) })
}

// known is when every API server has learnt of a root of the live configuration.
func (t trust) known(root *x509.Certificate) time.Time {
	return t.seen[string(root.Raw)].known
}

// pending returns the time until the next root settles, and 0 when all have.
func (t trust) pending(now time.Time, settle time.Duration) time.Duration {
	var next time.Duration
	for _, s := range t.seen {
		if left := s.at.Add(settle).Sub(now); left > 0 && (next == 0 || left < next) {
			next = left
		}
	}
	return next
}

// verified is how a certificate convinces an API server.
type verified struct {
	root *x509.Certificate
	// until is when the first certificate of the chain expires.
	until time.Time
}

// verify does what an API server does with a served certificate (crypto/tls, a client's verifyServerCertificate), for
// every host under which the live configuration reaches us.
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

func chainEnd(chain []*x509.Certificate) verified {
	end := verified{root: chain[len(chain)-1], until: chain[0].NotAfter}
	for _, c := range chain {
		end.until = earlier(end.until, c.NotAfter)
	}
	return end
}

func (l *leaf) intermediates() *x509.CertPool {
	pool := x509.NewCertPool()
	for _, raw := range l.Certificate.Certificate[1:] {
		if c, err := x509.ParseCertificate(raw); err == nil {
			pool.AddCert(c)
		}
	}
	return pool
}

// choose returns what to serve: the candidate as soon as the settled roots trust it, and what is served already for as long
// as it is trusted. When neither is, the candidate: its authority is on its way into the caBundle.
func choose(served, candidate *leaf, t trust, hosts []string, now time.Time, settle time.Duration) *leaf {
	if served == nil || candidate == nil || served == candidate {
		return either(candidate, served)
	}
	if _, err := candidate.verify(t.settled(now, settle), hosts, now); err == nil {
		return candidate
	}
	if _, err := served.verify(t.roots, hosts, now); err == nil {
		return served
	}
	return candidate
}

func either(a, b *leaf) *leaf {
	if a != nil {
		return a
	}
	return b
}
