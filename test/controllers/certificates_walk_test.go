package controllers

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/util/cert"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/pipeline-storage/pipeline-storage/internal/certificates"
)

// noon is when a walk begins.
var noon = time.Date(2026, time.June, 1, 12, 0, 0, 0, time.UTC)

const (
	day         = 24 * time.Hour
	propagation = 10 * time.Second
)

// walk is a cluster in which anything may happen at any moment, but for writing a wrong caBundle.
type walk struct {
	*site
	random   *rand.Rand
	clock    *clocktesting.FakeClock
	replicas []*certificates.Certificates
	// past are the caBundles that a slow API server may still have.
	past []past
}

type past struct {
	until time.Time // zero: it is the live one
	roots string    // PEM
}

// Whatever happens, and in whatever order: a replica that is ready serves a certificate that each
// API server trusts, even one that receives a change as late as Propagation allows.
func TestRandomWalks(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			s := newSite(t)
			s.install()
			w := &walk{site: s, random: rand.New(rand.NewPCG(seed, seed)), clock: clocktesting.NewFakeClock(noon)}
			for range 3 {
				w.replicas = append(w.replicas, w.newReplica())
			}
			steps := map[string]int{}
			for range 300 {
				steps[w.step()]++
				w.check()
			}
			t.Log(steps)
			w.finish()
		})
	}
}

func (w *walk) newReplica() *certificates.Certificates {
	options := w.options()
	options.Clock = w.clock
	options.Propagation, options.Overlap, options.CALifetime = propagation, time.Hour, 60*day
	options.Poll = certificates.DefaultPoll
	c, err := certificates.New(w.account(), options)
	require.NoError(w.t, err)
	return c
}

// step lets one thing happen and returns its name.
func (w *walk) step() string {
	i := w.random.IntN(len(w.replicas))
	switch n := w.random.IntN(100); {
	case n < 40:
		w.round(i)
		return "a replica runs a round"
	case n < 75:
		w.clock.Step(time.Duration(w.random.Int64N(int64(propagation))))
		return "some seconds pass"
	case n < 83:
		w.clock.Step(time.Duration(w.random.Int64N(int64(20 * time.Minute))))
		w.allRounds()
		return "some minutes pass"
	case n < 86: // fewer than certificates that are due have left
		w.clock.Step(time.Duration(w.random.Int64N(int64(9 * day))))
		w.allRounds()
		return "some days pass"
	case n < 92:
		w.replicas[i] = w.newReplica()
		return "a replica is replaced"
	case n < 96 && w.secret() != nil:
		w.rotate(w.clock.Now().String())
		return "an operator rotates"
	case n < 98 && w.secret() != nil:
		require.NoError(w.t, w.admin.Delete(w.t.Context(), w.secret()))
		return "an operator deletes the Secret"
	default:
		return "nothing"
	}
}

func (w *walk) round(i int) {
	require.NoError(w.t, w.replicas[i].Load(w.t.Context()))
	w.remember()
}

func (w *walk) allRounds() {
	for i := range w.replicas {
		w.round(i)
	}
}

// remember stores the caBundles of the last moments.
func (w *walk) remember() {
	roots := w.bundle()
	last := len(w.past) - 1
	if last >= 0 && w.past[last].roots == roots {
		return
	}
	if last >= 0 {
		w.past[last].until = w.clock.Now()
	}
	w.past = append(w.past, past{roots: roots})
}

func (w *walk) check() {
	now := w.clock.Now()
	for i, c := range w.replicas {
		if c.Ready() != nil {
			continue
		}
		for _, p := range w.past {
			late := !p.until.IsZero() && !now.Before(p.until.Add(propagation))
			if late || !p.trustsAny(now) {
				continue
			}
			require.NoError(w.t, w.verify(c, p.roots, now),
				"replica %d at %s, for an API server that has what was live until %s", i, now, p.until)
		}
	}
}

// trustsAny reports whether a certificate of the caBundle has not expired.
func (p past) trustsAny(now time.Time) bool {
	roots, err := cert.ParseCertsPEM([]byte(p.roots))
	return err == nil && slices.ContainsFunc(roots, func(c *x509.Certificate) bool { return now.Before(c.NotAfter) })
}

// verify does what an API server with that caBundle does.
func (w *walk) verify(c *certificates.Certificates, caBundle string, now time.Time) error {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(caBundle))
	_, err := w.served(c).Leaf.Verify(x509.VerifyOptions{
		DNSName: certificates.ServiceNames(service, w.namespace)[0], Roots: roots, CurrentTime: now,
	})
	return err
}

func (w *walk) served(c *certificates.Certificates) *tls.Certificate {
	served, err := c.GetCertificate(nil)
	require.NoError(w.t, err)
	return served
}

// finish lets every replica come to rest: one CA, and every replica is ready.
func (w *walk) finish() {
	for range 3 {
		w.allRounds()
		w.clock.Step(propagation)
	}
	w.allRounds()
	w.clock.Step(time.Hour)
	w.allRounds()
	for _, c := range w.replicas {
		require.NoError(w.t, c.Ready())
	}
	assert.Equal(w.t, 1, countCertificates(w.bundle()))
	assert.Equal(w.t, string(w.secret().Data[certificates.KeyCACertificate]), w.bundle())
}

func TestClusterThatWasOffForYears(t *testing.T) {
	s := newSite(t)
	s.install()
	w := &walk{site: s, clock: clocktesting.NewFakeClock(noon)}
	w.replicas = []*certificates.Certificates{w.newReplica(), w.newReplica()}
	w.allRounds()
	before := s.bundle()

	w.clock.Step(600 * day)
	w.replicas = []*certificates.Certificates{w.newReplica(), w.newReplica()}
	w.allRounds()
	for _, c := range w.replicas {
		require.NoError(t, c.Ready(), "at once")
	}
	assert.NotEqual(t, before, s.bundle())
	assert.Equal(t, 1, countCertificates(s.bundle()))
}

func TestCertificateIsRenewedWithoutTheCA(t *testing.T) {
	s := newSite(t)
	s.install()
	w := &walk{site: s, clock: clocktesting.NewFakeClock(noon)}
	w.replicas = []*certificates.Certificates{w.newReplica()}
	w.allRounds()
	before, bundle := w.served(w.replicas[0]), s.bundle()

	w.clock.Step(certificates.DefaultLifetime/3*2 - time.Minute)
	w.allRounds()
	assert.Same(t, before, w.served(w.replicas[0]))
	w.clock.Step(time.Minute)
	w.allRounds()
	assert.NotSame(t, before, w.served(w.replicas[0]))
	assert.Equal(t, w.clock.Now().Add(certificates.DefaultLifetime).UTC(), w.served(w.replicas[0]).Leaf.NotAfter)
	assert.Equal(t, bundle, s.bundle())
	require.NoError(t, w.replicas[0].Ready())
}
