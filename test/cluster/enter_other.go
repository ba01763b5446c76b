//go:build !linux

package cluster

import (
	"errors"
	"syscall"
)

// namespaces is empty here: only Linux has network namespaces.
func namespaces() []*syscall.SysProcAttr { return nil }

func lockThread() (unlock func()) { return func() {} }

func isolate(string) error { return errors.New("only Linux has network namespaces") }
