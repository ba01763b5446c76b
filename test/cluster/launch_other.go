//go:build !linux

package cluster

func (l launch) start() (*started, error) { return nil, errNoNamespaces }

func hasUsers() bool { return false }
