package certificates

import (
	"context"
	"crypto/tls"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/util/flowcontrol"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/pipeline-storage/pipeline-storage/internal/kube"
)

const (
	// roundTimeout ends a round that an API server does not answer.
	roundTimeout = 10 * time.Second
	// conflictRetries is how often a round is repeated at once after another replica was faster.
	conflictRetries = 10
	// firstPause is the time after a round that failed. It doubles up to Poll.
	firstPause = 100 * time.Millisecond
	// rate and burst limit the rounds that watches cause: a third party may rewrite the caBundle
	// again and again.
	rate  = 1
	burst = 20
)

var (
	_ manager.Runnable               = (*Certificates)(nil)
	_ manager.LeaderElectionRunnable = (*Certificates)(nil)
)

// Certificates serves a certificate that the live MutatingWebhookConfiguration trusts. Make one
// with [New].
type Certificates struct {
	options Options
	api     client.WithWatch
	source  source
	log     logr.Logger
	limit   flowcontrol.PassiveRateLimiter

	view atomic.Pointer[view]

	// round guards the fields below: Load and Start may run at the same time.
	round      sync.Mutex
	trust      trust
	thirdParty firstSeen
	served     *leaf
	live       configuration
	// judged is when the last round judged which roots are propagated.
	judged time.Time
	// proven is true once this replica was ready. From then on it serves only certificates of
	// propagated CAs, unless its certificate is no longer trusted: then it has nothing to wait for.
	proven bool
}

// New returns an instance without a certificate: [Certificates.Load] or [Certificates.Start] gets
// one. It makes no request. The error has a sentence for each option that is missing. api may be
// [NewClient]'s, or any client that reads without a cache.
func New(api client.WithWatch, options Options) (*Certificates, error) {
	o, err := options.complete()
	if err != nil {
		return nil, err
	}
	logger := log.Log.WithName("certificates")
	return &Certificates{
		options: o,
		api:     api,
		source:  o.source(api, logger),
		log:     logger,
		limit:   flowcontrol.NewTokenBucketPassiveRateLimiterWithClock(rate, burst, o.Clock),
	}, nil
}

// source returns where certificates come from: the CA in the Secret, or a directory.
func (o Options) source(api client.Client, logger logr.Logger) source {
	if !o.Self {
		return &files{dir: o.Dir, needsCA: o.InjectCA}
	}
	return &selfMade{api: api, name: o.Secret, names: o.DNSNames, ca: o.CALifetime, life: o.Lifetime, log: logger}
}

// GetCertificate is for tls.Config. It takes no lock and does no I/O. It fails until the first
// round has ended.
func (c *Certificates) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if v := c.view.Load(); v != nil && v.certificate != nil {
		return v.certificate, nil
	}
	return nil, errors.New("there is no certificate to serve yet")
}

// Ready returns nil when API servers trust the served certificate, and the reason otherwise. The
// certificate must be valid and verify against the caBundle of the live configuration, under the
// host name of that configuration. API servers must have had the time to receive that caBundle.
//
// It is cheap: a round has verified, and this compares times. It is safe for concurrent use.
func (c *Certificates) Ready() error {
	return c.view.Load().ready(c.options.Clock.Now(), c.stale())
}

// NeedLeaderElection is false: every replica signs and serves its own certificate.
func (c *Certificates) NeedLeaderElection() bool {
	return false
}

// Load does one round, so that a certificate is served before a manager has synced its caches and
// calls Start. Its error need not end the program: Start retries.
func (c *Certificates) Load(ctx context.Context) error {
	var err error
	for range conflictRetries {
		if err = c.runRound(ctx); !lostRace(err) {
			break
		}
	}
	return err
}

// Start does rounds until the context ends, and then returns nil. No failure ends it, see
// [Certificates.Ready].
func (c *Certificates) Start(ctx context.Context) error {
	changed := kube.NewSignal()
	var watches sync.WaitGroup
	for _, object := range c.options.watched() {
		watches.Go(func() { object.follow(ctx, c.api, changed, c.log) })
	}
	defer watches.Wait()

	for pause := firstPause; ctx.Err() == nil; {
		err := c.Load(ctx)
		if err == nil {
			pause = firstPause
			c.sleep(ctx, changed, c.untilDue())
			continue
		}
		if ctx.Err() == nil {
			c.log.Error(err, "could not bring certificate and caBundle in sync", "again", pause.String())
		}
		c.sleep(ctx, changed, pause)
		pause = min(2*pause, c.options.Poll)
	}
	return nil
}

// sleep returns when it is time for another round.
func (c *Certificates) sleep(ctx context.Context, changed kube.Signal, next time.Duration) {
	select {
	case <-ctx.Done():
	case <-c.options.Clock.After(next):
	case <-changed:
		if !c.limit.TryAccept() {
			select {
			case <-ctx.Done():
			case <-c.options.Clock.After(time.Second / rate):
			}
		}
	}
}

// untilDue returns the time until a round has something to do, or Poll. It counts from the moment
// at which the last round judged which roots are propagated: a root that became so during that
// round is due now, and would else wait for Poll.
func (c *Certificates) untilDue() time.Duration {
	c.round.Lock()
	defer c.round.Unlock()
	if left := c.trust.pending(c.judged, c.options.Propagation); left > 0 {
		return min(left, c.options.Poll)
	}
	return c.options.Poll
}

// lostRace reports whether another client changed an object between the read and the write.
func lostRace(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err)
}

// runRound does a round. The order of its steps matters, see the package's comment.
func (c *Certificates) runRound(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, roundTimeout)
	defer cancel()
	c.round.Lock()
	defer c.round.Unlock()

	readErr := c.readLive(ctx)
	var propagated bundle // unknown when the configuration could not be read: then no CA is promoted
	if readErr == nil {
		c.judged = c.options.Clock.Now()
		propagated = c.trust.propagated(c.judged, c.options.Propagation)
	}
	own, candidate, err := c.source.current(ctx, propagated, c.options.Clock.Now())
	if err == nil && readErr == nil && c.options.InjectCA {
		err = c.inject(ctx, own)
	}
	err = errors.Join(readErr, err)
	c.serve(candidate, readErr == nil, err)
	return err
}

// readLive reads the live configuration.
func (c *Certificates) readLive(ctx context.Context) error {
	live, err := readConfiguration(ctx, c.api, c.options.WebhookConfiguration)
	if err != nil {
		return err
	}
	c.seen(live)
	return nil
}

// seen stores a configuration that was just read or written, and the time at which its roots
// appeared. The caller holds c.round.
func (c *Certificates) seen(live configuration) {
	c.live = live
	c.trust = c.trust.observe(live.roots(), c.options.Clock.Now(), c.options.Propagation)
}

// inject writes the caBundle if it differs from the wanted one. It fails with a conflict when
// another replica has written since the read: then the whole round is repeated, see
// [Certificates.Load].
func (c *Certificates) inject(ctx context.Context, own bundle) error {
	roots, thirdParty := wanted(own, c.live.held(), c.thirdParty, c.options.Clock.Now(), c.options.Overlap)
	c.thirdParty = thirdParty
	if c.live.carries(roots) {
		return nil
	}
	live, err := c.live.writeBundle(ctx, c.api, roots)
	if err != nil {
		return err
	}
	c.log.Info("wrote the caBundle", "webhookConfiguration", live.name, "certificates", len(roots))
	c.seen(live)
	return nil
}

// serve chooses a certificate and stores a view of it.
func (c *Certificates) serve(candidate *leaf, hasRead bool, trouble error) {
	now := c.options.Clock.Now()
	chosen := choose(c.served, candidate, c.trust, c.live.hosts(), now, c.options.Propagation)
	if chosen != nil && chosen != c.served {
		expiry.Set(float64(chosen.Leaf.NotAfter.Unix()))
		c.log.Info("serving another certificate", "expires", chosen.Leaf.NotAfter)
	}
	c.served = chosen
	c.view.Store(c.newView(chosen, hasRead, now, trouble))
}

// newView judges what is served now. A round that could not read the configuration retains the time
// of the last one that could: [Certificates.Ready] fails when that is too long ago.
func (c *Certificates) newView(served *leaf, hasRead bool, now time.Time, trouble error) *view {
	v := newView(served, c.live, c.trust, now)
	v.trouble = trouble
	if c.proven {
		v.from = time.Time{}
	}
	if !hasRead {
		v.seen = c.view.Load().lastSeen()
	}
	c.proven = c.proven || v.ready(now, c.stale()) == nil
	return v
}

// stale returns how old the last reading may be. Other replicas remove a CA after the overlap, and
// this one would miss that.
func (c *Certificates) stale() time.Duration {
	return c.options.Overlap / 2
}
