package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// mostCPUs is the size of the set, see CPU_SET(3).
const mostCPUs = 1024

// host records which CPUs each of the two sides runs on.
type host struct {
	server, client unix.CPUSet
	isPinned       bool
}

// allowed are the CPUs that this process could use when it was started.
var allowed = sync.OnceValues(func() (cpus unix.CPUSet, err error) {
	if err := unix.SchedGetaffinity(0, &cpus); err != nil {
		return cpus, fmt.Errorf("read which CPUs may be used: %w", err)
	}
	return cpus, nil
})

// divide gives the last CPU that this process may use to the servers, one after the other, and the
// rest to the client and to the control plane. With a single CPU they share it.
func divide() (host, error) {
	cpus, err := allowed()
	h := host{client: cpus}
	if err != nil || h.client.Count() < 2 {
		return h, err
	}
	last := 0
	for cpu := range mostCPUs {
		if h.client.IsSet(cpu) {
			last = cpu
		}
	}
	h.client.Clear(last)
	h.server.Set(last)
	h.isPinned = true
	return h, h.pinSelf()
}

// pinSelf moves all threads of this process to the client's CPUs; those that they start inherit it.
func (h host) pinSelf() error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return fmt.Errorf("list the threads: %w", err)
	}
	for _, thread := range threads {
		id, err := strconv.Atoi(thread.Name())
		if err != nil {
			return fmt.Errorf("list the threads: %w", err)
		}
		if err := unix.SchedSetaffinity(id, &h.client); err != nil {
			return fmt.Errorf("pin a thread: %w", err)
		}
	}
	return nil
}

// launch starts a server on its CPU, see process.Options.
func (h host) launch(command *exec.Cmd) error {
	if h.isPinned {
		if err := unix.SchedSetaffinity(0, &h.server); err != nil {
			return fmt.Errorf("pin the server: %w", err)
		}
	}
	return command.Start()
}

func (h host) clientCPUs() int { return h.client.Count() }
