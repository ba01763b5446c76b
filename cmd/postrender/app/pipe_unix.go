//go:build unix

package app

import (
	"os/signal"
	"syscall"
)

// ignoreBrokenPipe makes a closed standard output an error that is reported, instead of a silent
// end. The Go runtime ends a program that writes to a broken standard output. Source: package
// os/signal, SIGPIPE.
func ignoreBrokenPipe() { signal.Ignore(syscall.SIGPIPE) }
