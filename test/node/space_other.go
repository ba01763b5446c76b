//go:build !linux

package node

import (
	"context"
	"errors"
	"os/exec"
)

var errNotHere = errors.New("only Linux can run a node")

func (n *Node) isolate(*exec.Cmd) error           { return errNotHere }
func (n *Node) mountKernel(context.Context) error { return errNotHere }
func (n *Node) enter() error                      { return errNotHere }

// TryOverlay returns an error: a node needs Linux.
func TryOverlay(string) error { return errNotHere }
