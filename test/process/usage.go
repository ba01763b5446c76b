package process

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Usage is what a process has used of the machine. Memory is in bytes.
type Usage struct {
	// CPU is the time that all threads have used in user and system mode.
	CPU time.Duration
	// Resident is the memory in RAM, and 0 after the end.
	Resident int64
	// Peak is the largest Resident so far. After the end it is at least the Resident that this program had at
	// the start of the process, because the two share it until the process executes its own program.
	Peak int64
}

// Usage returns what the process has used so far, or in all when it has ended. While it runs, that needs
// Linux. A process that is just ending is an error.
func (p *Process) Usage() (Usage, error) {
	if !p.Exited() {
		return UsageOf(p.PID())
	}
	used, state := Usage{}, p.command.ProcessState
	if usage, ok := state.SysUsage().(*syscall.Rusage); ok {
		used.Peak = usage.Maxrss * maxrssUnit
	}
	used.CPU = state.UserTime() + state.SystemTime()
	return used, nil
}

// UsageOf returns what a running process has used so far, by its number. It needs Linux.
func UsageOf(pid int) (used Usage, err error) {
	if used.CPU, err = cpuTime(pid); err != nil {
		return used, fmt.Errorf("read the CPU clock of process %d: %w", pid, err)
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return used, fmt.Errorf("read the memory of process %d: %w", pid, err)
	}
	if used.Resident, err = kibibytes(string(text), "VmRSS:"); err == nil {
		used.Peak, err = kibibytes(string(text), "VmHWM:")
	}
	return used, err
}

// kibibytes returns a field of /proc/PID/status, in bytes.
func kibibytes(status, field string) (int64, error) {
	for line := range strings.Lines(status) {
		if words := strings.Fields(line); len(words) == 3 && words[0] == field && words[2] == "kB" {
			number, err := strconv.ParseInt(words[1], 10, 53)
			return number << 10, err
		}
	}
	return 0, fmt.Errorf("/proc/PID/status has no %s in kB", field)
}
