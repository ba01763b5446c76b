//go:build !linux

package node

import (
	"errors"
	"os/exec"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

var errNotHere = errors.New("only Linux can run a node")

// Process is a process of a pod.
type Process struct {
	PID  int
	Name string
}

// Usage is what a process or a pod has used.
type Usage struct {
	Memory int64
	CPU    time.Duration
}

type space struct{}

func newSpace(*Node) (*space, error) { return nil, errNotHere }

func (s *space) start(*exec.Cmd) error     { return errNotHere }
func (s *space) within(func() error) error { return errNotHere }
func (s *space) close()                    {}

func makeGroups(string) error  { return errNotHere }
func cleanGroups(string) error { return nil }

// Sweep removes the control groups of a node that no longer runs.
func Sweep(string) error { return nil }

// Groups returns the control groups whose names begin with prefix.
func Groups(string) []string { return nil }

// Supported returns an error: a node needs Linux.
func Supported(_, _ string) error { return errNotHere }

// Processes returns the processes of a pod.
func (n *Node) Processes(types.UID) ([]Process, error) { return nil, errNotHere }

// Usage returns what a pod has used so far.
func (n *Node) Usage(types.UID) (Usage, error) { return Usage{}, errNotHere }

// Stat returns what a process has used so far.
func Stat(int) (Usage, error) { return Usage{}, errNotHere }
