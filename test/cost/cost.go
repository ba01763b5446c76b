//go:build unix

// Package cost measures in tests what work costs in relation to the size of its input, and makes
// input of a size.
package cost

import (
	"runtime"
	"strconv"
	"strings"
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

// Fill joins items until the text has at least so many bytes.
func Fill(bytes int, separator string, item func(i int) string) string {
	var b strings.Builder
	for i := 0; b.Len() < bytes; i++ {
		if i > 0 {
			b.WriteString(separator)
		}
		b.WriteString(item(i))
	}
	return b.String()
}

// Numbered is an item with its position for every %d.
func Numbered(format string) func(i int) string {
	return func(i int) string { return strings.ReplaceAll(format, "%d", strconv.Itoa(i)) }
}

// Same is an item that does not depend on its position.
func Same(item string) func(i int) string { return func(int) string { return item } }
