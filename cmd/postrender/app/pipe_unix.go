//go:build unix

package app

import (
	"os/signal"
	"syscall"
)

// ignoreBrokenPipe makes a closed standard output an error that is reported, instead of a silent end.
func ignoreBrokenPipe() { signal.Ignore(syscall.SIGPIPE) }
