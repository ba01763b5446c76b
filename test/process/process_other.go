//go:build !linux

package process

import (
	"errors"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

const maxrssUnit = 1 // as macOS has it

func dieWithParent() *syscall.SysProcAttr { return nil }

// watchParent starts a shell that kills the process when a pipe ends, which is when this program ends.
func watchParent(pid int) (release func()) {
	shell := exec.Command("/bin/sh", "-c", `read -r line; kill -KILL "$0"`, strconv.Itoa(pid))
	if _, err := shell.StdinPipe(); err != nil || shell.Start() != nil {
		return func() {}
	}
	return func() {
		_ = shell.Process.Kill() // before the pipe ends: the number may be another process's now
		_ = shell.Wait()
	}
}

func onMainThread() bool { return false }

func cpuTime(int) (time.Duration, error) { return 0, errors.New("this needs Linux") }
