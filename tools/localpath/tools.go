//go:build tools

// Package localpath pins the provisioner of local volumes that the tests run, and the shell of its
// helper pods.
package localpath

import (
	_ "github.com/rancher/local-path-provisioner"
	_ "mvdan.cc/sh/v3/cmd/gosh"
)
