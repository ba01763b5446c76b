package cluster

import (
	"errors"
	"os"
	"os/exec"
	"sync"
	"syscall"
)

// errNoNamespaces is why a pod with a program does not run where Isolated is false.
var errNoNamespaces = errors.New("this machine allows no network namespace, so the programs of pods cannot run")

// launch is everything that a container's process needs.
type launch struct {
	sandbox *sandbox // nil for a pod in the node's network
	// root is an empty directory on which the container's root file system is mounted, visible in
	// the container only.
	root         string
	readOnlyRoot bool
	program      string // on this machine
	entrypoint   string // where it is in the container
	mounts       []mount
	argv         []string
	env          []string
	dir          string
	hostname     string
	address      string
	user         identity
	log          string
}

// mount makes the file or directory source appear at target.
type mount struct {
	source, target string
	readOnly       bool
}

// identity is who the process is. Where only root exists, every process is root.
type identity struct {
	user, group uint32
	groups      []uint32
}

// started is a container's process. Its done is closed when it has ended.
type started struct {
	cmd  *exec.Cmd
	done chan struct{}

	mutex sync.Mutex
	state *os.ProcessState
}

func (s *started) pid() int { return s.cmd.Process.Pid }

// signal reaches the process and its children: they are a group.
func (s *started) signal(number syscall.Signal) {
	select {
	case <-s.done: // its number may be another process's by now
	default:
		_ = syscall.Kill(-s.pid(), number)
	}
}

// exit returns the exit code as a container runtime reports it: 128 and the signal when one ended
// the process.
func (s *started) exit() (code, signal int32) {
	<-s.done

	s.mutex.Lock()
	defer s.mutex.Unlock()

	if s.state == nil {
		return exitUnknown, 0
	}

	if status, ok := s.state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return exitSignaled + int32(status.Signal()), int32(status.Signal())
	}

	return int32(s.state.ExitCode()), 0
}

const (
	exitSignaled = 128
	exitUnknown  = 255
)
