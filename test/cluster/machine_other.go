//go:build !linux

package cluster

import "errors"

var errNotLinux = errors.New("only Linux has network namespaces")

type machine struct{}

func inspectMachine() machine { return machine{} }

func (machine) changes(machine) error { return nil }

func addService(string) error { return errNotLinux }

type namespacesOfRun struct{}

func holdNamespaces(int) namespacesOfRun { return namespacesOfRun{} }

func (namespacesOfRun) close() {}

func remains(string, namespacesOfRun) error { return nil }
