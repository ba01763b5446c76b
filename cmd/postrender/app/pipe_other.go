//go:build !unix

package app

// ignoreBrokenPipe does nothing where no signal reports a closed pipe: there the write returns an
// error.
func ignoreBrokenPipe() {}
