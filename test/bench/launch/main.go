// Command launch starts one program on its own stdin, stdout and stderr, waits for it, and writes
// what the kernel charged it to file descriptor 3, as one line: exit code, CPU time in microseconds
// (user + system, with the children it waited for), wall time in microseconds, peak RSS in KiB.
//
//	launch PROGRAM [ARGUMENT...] 3>cost
//
// It exists for the last figure. A Go program starts a child with vfork: until the child's exec the
// two share one address space, and at the exec the kernel notes the peak of the space that is left
// behind in the child's ru_maxrss. A child of a harness of 100 MiB thus never reports less than 100
// MiB. This launcher is about as small as a Go program gets, so what it leaves in the figure (2
// MiB) is no more than any Go program needs for itself.
//
// Without arguments it ends at once: started by itself, it shows that lowest figure.
package main

import (
	"os"
	"strconv"
	"syscall"
	"time"
)

// costs is the file descriptor that the line is written to.
const costs = 3

func main() {
	args := os.Args[1:]
	if len(args) == 0 {
		return
	}
	started := time.Now()
	status, usage, err := run(args)
	if err != nil {
		fail("launch: " + args[0] + ": " + err.Error() + "\n")
	}
	wall := time.Since(started)
	cpu := usage.Utime.Nano() + usage.Stime.Nano()
	line := join(int64(exitCode(status)), cpu/1000, wall.Microseconds(), usage.Maxrss)
	if _, err := syscall.Write(costs, []byte(line)); err != nil {
		fail("launch: write to file descriptor 3: " + err.Error() + "\n")
	}
}

// run starts the program with the environment and the first three file descriptors of the launcher,
// and waits for it.
func run(args []string) (status syscall.WaitStatus, usage syscall.Rusage, err error) {
	syscall.CloseOnExec(costs)
	pid, err := syscall.ForkExec(args[0], args, &syscall.ProcAttr{Env: syscall.Environ(), Files: []uintptr{0, 1, 2}})
	if err != nil {
		return 0, usage, err
	}
	for {
		if _, err = syscall.Wait4(pid, &status, 0, &usage); err != syscall.EINTR {
			return status, usage, err
		}
	}
}

// exitCode is the program's exit code, or as in a shell 128 and the signal that ended it.
func exitCode(status syscall.WaitStatus) int {
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

func join(figures ...int64) string {
	var line []byte
	for _, figure := range figures {
		line = append(strconv.AppendInt(line, figure, 10), ' ')
	}
	return string(line) + "\n"
}

func fail(message string) {
	_, _ = syscall.Write(2, []byte(message))
	syscall.Exit(1)
}
