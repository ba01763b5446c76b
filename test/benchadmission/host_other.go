//go:build !linux

package main

import (
	"errors"
	"os/exec"
	"time"
)

var errLinux = errors.New("servers are measured by Linux' CPU clocks and /proc: run benchadmission on Linux")

// host does nothing on this platform.
type host struct{ isPinned bool }

func divide() (host, error) { return host{}, errLinux }

func (h host) start(*exec.Cmd) error { return errLinux }

func (h host) clientCPUs() int { return 1 }

func cpuTime(int) (time.Duration, error) { return 0, errLinux }
