package certificates

import (
	"crypto/tls"
	"errors"
	"fmt"
	"time"
)

// view is the result of a round, for requests and probes. It never changes.
type view struct {
	// certificate is nil before there is one to serve.
	certificate *tls.Certificate
	// seen is when the live configuration was last read.
	seen time.Time
	// problem is why API servers do not trust the certificate, nil when they do.
	problem error
	// from is when API servers have received the CA, and until is when the chain expires.
	from, until time.Time
	// trouble is why the last round is incomplete.
	trouble error
}

// newView verifies the served certificate against the live configuration.
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
		v.problem = fmt.Errorf("API servers do not trust the served certificate, by the caBundle of the "+
			"MutatingWebhookConfiguration %s: %w", live.name, err)
		return v
	}
	v.from, v.until = t.receivedAt(proof.root), proof.until
	return v
}

// lastSeen is when the live configuration was last read, if ever.
func (v *view) lastSeen() time.Time {
	if v == nil {
		return time.Time{}
	}
	return v.seen
}

// problem returns why an API server with this configuration would trust no certificate.
func (c configuration) problem() error {
	if c.resourceVersion == "" {
		return fmt.Errorf("there is no MutatingWebhookConfiguration %s: install it, or correct --webhook-configuration",
			c.name)
	}
	if len(c.hooks) == 0 {
		return fmt.Errorf("the MutatingWebhookConfiguration %s has no webhook", c.name)
	}
	for _, h := range c.hooks {
		if len(h.roots) == 0 && !h.isOff {
			return fmt.Errorf("webhook %s of the MutatingWebhookConfiguration %s has no caBundle yet: the webhook writes it "+
				"with --inject-ca, or cert-manager's cainjector does", h.name, c.name)
		}
	}
	return nil
}

// ready judges a view at a later moment. stale is how old it may be.
func (v *view) ready(now time.Time, stale time.Duration) error {
	switch {
	case v == nil:
		return errors.New("no certificate yet: the first round is not finished")
	case v.certificate == nil && v.trouble != nil:
		return fmt.Errorf("no certificate yet: %w", v.trouble)
	case v.certificate == nil:
		return errors.New("no certificate yet")
	case v.problem != nil && v.trouble != nil:
		return fmt.Errorf("%w (the last attempt to change that: %w)", v.problem, v.trouble)
	case v.problem != nil:
		return v.problem
	case now.Before(v.from):
		left := v.from.Sub(now).Round(time.Millisecond)
		return fmt.Errorf("the CA of the served certificate is new in the caBundle: "+
			"API servers get another %s to receive it", left)
	case !now.Before(v.until):
		return fmt.Errorf("the served certificate, or its CA, expired at %s", v.until.UTC().Format(time.RFC3339))
	case now.Sub(v.seen) > stale:
		seen := v.seen.UTC().Format(time.RFC3339)
		return errors.Join(fmt.Errorf("the caBundle was last read at %s, and may have changed since", seen), v.trouble)
	}
	return nil
}
