package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

const (
	logTail   = 4096
	stopGrace = 15 * time.Second
)

// process is a started server. Its done is closed when the server has ended; then err is the
// reason.
type process struct {
	name string
	log  string
	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

// startProcess starts a program with one CPU to use. The environment holds nothing else, so that no
// GOGC of the caller is measured.
func startProcess(h host, name, path, log string, args []string) (*process, error) {
	file, err := os.Create(log)
	if err != nil {
		return nil, fmt.Errorf("make a log for %s: %w", name, err)
	}
	defer file.Close()
	p := &process{name: name, log: log, cmd: exec.Command(path, args...), done: make(chan struct{})}
	p.cmd.Env = []string{"GOMAXPROCS=1", "HOME=" + os.TempDir()}
	p.cmd.Stdout, p.cmd.Stderr = file, file
	started := make(chan error)
	go p.live(h, started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

// live starts the program and stays on one thread until it ends, see host.start.
func (p *process) live(h host, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := h.start(p.cmd)
	started <- err
	if err != nil {
		return
	}
	p.err = p.cmd.Wait()
	close(p.done)
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// exitError returns why the process has ended, and nil while it runs.
func (p *process) exitError() error {
	select {
	case <-p.done:
		if p.err == nil {
			return fmt.Errorf("%s ended without an error\n%s", p.name, p.tail())
		}
		return fmt.Errorf("%s ended: %w\n%s", p.name, p.err, p.tail())
	default:
		return nil
	}
}

// stop signals the process to end, kills it if it does not, and returns when it has ended.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // fails only when it has ended
	select {
	case <-p.done:
		return
	case <-time.After(stopGrace):
	}
	_ = p.cmd.Process.Kill()
	<-p.done
}

// tail is the end of the log, with a heading.
func (p *process) tail() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return fmt.Sprintf("there is no log of %s: %v", p.name, err)
	}
	return fmt.Sprintf("end of the log of %s:\n%s", p.name, text[max(0, len(text)-logTail):])
}
