//go:build !linux

package main

import (
	"errors"
	"os/exec"
)

// host does nothing on this platform.
type host struct{ isPinned bool }

func divide() (host, error) {
	return host{}, errors.New("servers are measured by Linux' CPU clocks and /proc: run benchadmission on Linux")
}

func (h host) launch(command *exec.Cmd) error { return command.Start() }

func (h host) clientCPUs() int { return 1 }
