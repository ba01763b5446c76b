package certificates

import (
	"context"
	"time"
)

// source is where certificates come from: made here or read from files.
type source interface {
	// current returns the authorities that the caBundle must hold, and the certificate to serve as soon as it is trusted.
	// settled are the roots of the live configuration that API servers know by now.
	current(ctx context.Context, settled bundle, now time.Time) (own bundle, candidate *leaf, err error)
}
