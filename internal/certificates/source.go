package certificates

import (
	"context"
	"time"
)

// source is where certificates come from: made here or read from files.
type source interface {
	// current returns the CAs that the caBundle must hold, and the certificate to serve as soon as
	// it is trusted. propagated are the roots of the live configuration that API servers have
	// received by now.
	current(ctx context.Context, propagated bundle, now time.Time) (own bundle, candidate *leaf, err error)
}
