//go:build unix

package app

import (
	"os/signal"
	"syscall"
)

// ignoreBrokenPipe makes a closed standard output an error that is told, instead of a silent death.
func ignoreBrokenPipe() { signal.Ignore(syscall.SIGPIPE) }
