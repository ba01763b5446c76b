//go:build unix

package cost

import (
	"runtime"
	"syscall"
	"time"
)

// Of returns what the process uses while work runs: CPU time of all its threads, and bytes of heap
// that were allocated, whether they are free again or not.
func Of(work func()) (cpu time.Duration, heap uint64) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	begun := cpuTime()
	work()
	cpu = cpuTime() - begun
	runtime.ReadMemStats(&after)
	return cpu, after.TotalAlloc - before.TotalAlloc
}

func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err) // Getrusage fails only for arguments that do not exist
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
