package process

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// maxrssUnit is the unit of ru_maxrss, in bytes.
// Source: getrusage(2).
const maxrssUnit = 1 << 10

// dieWithParent has the kernel kill the process when the thread that started it ends.
// Source: PR_SET_PDEATHSIG(2const).
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

func onMainThread() bool { return unix.Gettid() == unix.Getpid() }

func watchParent(int) (release func()) { return func() {} }

// cpuTime reads the clock of a process's CPU time, whose number is made of the process's: /proc/PID/stat is
// in hundredths of seconds.
// Source: clock_getcpuclockid(3).
func cpuTime(pid int) (time.Duration, error) {
	const scheduled = 2 // CPUCLOCK_SCHED
	var used unix.Timespec
	err := unix.ClockGettime(int32(^pid<<3|scheduled), &used)
	return time.Duration(used.Nano()), err
}
