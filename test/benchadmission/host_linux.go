package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"

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

// start starts a server on its CPU. The calling goroutine must be locked to its thread, which the
// kernel watches: when the thread ends, the server is killed.
func (h host) start(command *exec.Cmd) (err error) {
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if !h.isPinned {
		return command.Start()
	}
	if err := unix.SchedSetaffinity(0, &h.server); err != nil {
		return fmt.Errorf("pin the server: %w", err)
	}
	if err := command.Start(); err != nil {
		return err
	}
	if err := unix.SchedSetaffinity(0, &h.client); err != nil {
		return fmt.Errorf("pin a thread: %w", err)
	}
	return nil
}

func (h host) clientCPUs() int { return h.client.Count() }

// cpuTime returns the CPU time that a process has used, in user and system mode, in nanoseconds.
// The kernel derives the clock's number from the process's.
// Source: clock_getcpuclockid(3).
func cpuTime(pid int) (time.Duration, error) {
	const scheduled = 2 // CPUCLOCK_SCHED
	var used unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|scheduled), &used); err != nil {
		return 0, fmt.Errorf("read the CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(used.Nano()), nil
}
