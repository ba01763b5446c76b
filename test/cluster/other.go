//go:build !linux

package cluster

import (
	"errors"
	"syscall"
)

var errNotLinux = errors.New("only Linux has network namespaces")

type (
	machine         struct{}
	namespacesOfRun struct{}
)

func separate(*syscall.SysProcAttr) error   { return errNotLinux }
func isolate(string) error                  { return errNotLinux }
func inspectMachine() machine               { return machine{} }
func (machine) changes(machine) error       { return nil }
func holdNamespaces(int) namespacesOfRun    { return namespacesOfRun{} }
func (namespacesOfRun) close()              {}
func remains(string, namespacesOfRun) error { return nil }
