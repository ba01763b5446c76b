package certificates

import (
	"crypto/tls"
	"errors"
	"fmt"
	"time"
)

// view is what one round leaves for requests and probes. It never changes.
type view struct {
	// certificate is nil when there is none to serve.
	certificate *tls.Certificate
	// seen is when the live configuration was last read.
	seen time.Time
	// problem says why the certificate convinces nobody, nil when it does.
	problem error
	// from is when API servers have learnt of the authority, and until when the chain expires.
	from, until time.Time
	// trouble is why the last round did not do all that it should have.
	trouble error
}

// newView verifies what is served against the live configuration.
func newView(served *leaf, live configuration, t trust, now time.Time) *view {
	v := &view{seen: now}
	if served == nil {
		return v
	}
	v.certificate = served.Certificate
	if v.problem = live.problem(); v.problem != nil {
		return v
	}
	proof, err := served.verify(t.roots, live.hosts(), now)
	if err != nil {
		v.problem = fmt.Errorf("the served certificate does not convince API servers, by the caBundle of the MutatingWebhookConfiguration %s: %w", live.name, err)
		return v
	}
	v.from, v.until = t.known(proof.root), proof.until
	return v
}

// lastSeen is when the live configuration was last read, if ever.
func (v *view) lastSeen() time.Time {
	if v == nil {
		return time.Time{}
	}
	return v.seen
}

// problem says why no certificate could convince an API server with this configuration.
func (c configuration) problem() error {
	if c.resourceVersion == "" {
		return fmt.Errorf("there is no MutatingWebhookConfiguration %s: install it, or correct --webhook-configuration", c.name)
	}
	if len(c.hooks) == 0 {
		return fmt.Errorf("the MutatingWebhookConfiguration %s has no webhook", c.name)
	}
	for _, h := range c.hooks {
		if len(h.roots) == 0 {
			return fmt.Errorf("webhook %s of the MutatingWebhookConfiguration %s has no caBundle yet: it is written by us with --inject-ca, or by cert-manager's cainjector", h.name, c.name)
		}
	}
	return nil
}

// ready judges a view at a later moment. stale is how old it may be.
func (v *view) ready(now time.Time, stale time.Duration) error {
	switch {
	case v == nil:
		return errors.New("no certificate yet: the first look at the cluster is not finished")
	case v.certificate == nil && v.trouble != nil:
		return fmt.Errorf("no certificate yet: %w", v.trouble)
	case v.certificate == nil:
		return errors.New("no certificate yet")
	case v.problem != nil && v.trouble != nil:
		return fmt.Errorf("%w (the last attempt to change that: %w)", v.problem, v.trouble)
	case v.problem != nil:
		return v.problem
	case now.Before(v.from):
		return fmt.Errorf("the authority of the served certificate is new in the caBundle: API servers are given another %s to learn of it", v.from.Sub(now).Round(time.Millisecond))
	case !now.Before(v.until):
		return fmt.Errorf("the served certificate, or its authority, expired at %s", v.until.UTC().Format(time.RFC3339))
	case now.Sub(v.seen) > stale:
		return errors.Join(fmt.Errorf("the caBundle was last read at %s, and may have changed since", v.seen.UTC().Format(time.RFC3339)), v.trouble)
	}
	return nil
}
