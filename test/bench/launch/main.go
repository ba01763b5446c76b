// Command launch starts one program on its own stdin, stdout and stderr, waits for it, and writes what the
// kernel charged it to file descriptor 3, as one line: CPU time in microseconds (user + system, with the children
// it waited for), wall time in microseconds, peak RSS in KiB. It ends with the exit code of the program.
//
//	launch PROGRAM [ARGUMENT...] 3>cost
//
// It exists for the last figure. A Go program starts a child with vfork: until the child's exec the two share one
// address space, and at the exec the kernel notes the peak of the space that is left behind in the child's
// ru_maxrss. A child of a harness of 100 MiB thus never reports less than 100 MiB. This launcher is about as small
// as a Go program gets, so what it leaves in the figure (2 MiB) is no more than any Go program needs for itself.
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
	wall := time.Since(started)
	if err != nil {
		fail(args[0], err)
	}
	var line []byte
	for _, figure := range []int64{(usage.Utime.Nano() + usage.Stime.Nano()) / 1000, wall.Microseconds(), usage.Maxrss} {
		line = append(strconv.AppendInt(line, figure, 10), ' ')
	}
	if _, err := syscall.Write(costs, append(line, '\n')); err != nil {
		fail("write to file descriptor 3", err)
	}
	if status.Signaled() {
		syscall.Exit(128 + int(status.Signal())) // as in a shell
	}
	syscall.Exit(status.ExitStatus())
}

// run starts the program with the environment and the first three file descriptors of the launcher, and waits
// for it.
func run(args []string) (status syscall.WaitStatus, usage syscall.Rusage, err error) {
	syscall.CloseOnExec(costs)
	pid, err := syscall.ForkExec(args[0], args, &syscall.ProcAttr{Env: syscall.Environ(), Files: []uintptr{0, 1, 2}})
	for err == nil {
		if _, err = syscall.Wait4(pid, &status, 0, &usage); err == nil {
			break
		}
		if err == syscall.EINTR {
			err = nil
		}
	}
	return status, usage, err
}

func fail(what string, err error) {
	_, _ = syscall.Write(2, []byte("launch: "+what+": "+err.Error()+"\n"))
	syscall.Exit(1)
}
