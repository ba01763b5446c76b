// Package process starts the programs that tests and benchmarks run beside themselves. A started
// program writes a log and ends with the program that started it. It can be killed, stopped, waited
// for and measured.
package process

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

const (
	defaultPoll = 20 * time.Millisecond
	logTailSize = 4096
	logMode     = 0o600
)

// Options are what a process is started with. Only Program is required.
type Options struct {
	// Program is a path, or a name to search for in the caller's PATH.
	Program string
	Args    []string
	// Name is what errors and logs call the process. The default is the file name of Program.
	Name string
	// Dir is the working directory. The default is that of the caller.
	Dir string
	// Env is the whole environment. The default is an empty one: nothing of the caller's is passed on.
	Env []string
	// Log is a file to which standard output and standard error are appended, so that a program that is
	// started again continues its log. The default discards both.
	Log string
	// Poll is the time between two checks of WaitReady. The default is 20 ms.
	Poll time.Duration
	// Launch starts the command, which is complete otherwise. The default is [exec.Cmd.Start]. Launch runs
	// on a thread that lives as long as the process, which inherits what Launch sets there, for instance
	// namespaces or CPUs.
	Launch func(*exec.Cmd) error
}

// Process is a started program. Its methods may be called concurrently, and after its end.
type Process struct {
	// Options are those of the start, with the defaults in them. Do not change them.
	Options
	command *exec.Cmd
	running context.Context // ends with the process
	err     error           // of the end; valid then
}

// Start starts a program and returns at once. Call Kill or Stop in the end. If this program ends before, as on
// a test's timeout, the process is killed: on Linux by the kernel, on other systems by a shell that watches.
func Start(o Options) (*Process, error) {
	o.Name, o.Poll = cmp.Or(o.Name, filepath.Base(o.Program)), cmp.Or(o.Poll, defaultPoll)
	if o.Launch == nil {
		o.Launch = (*exec.Cmd).Start
	}
	p := &Process{Options: o, command: exec.Command(o.Program, o.Args...)}
	p.command.Dir = o.Dir
	p.command.Env = append([]string{}, o.Env...) // not nil, which is the caller's environment
	p.command.SysProcAttr = dieWithParent()
	if o.Log != "" {
		log, err := os.OpenFile(o.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, logMode)
		if err != nil {
			return nil, fmt.Errorf("make a log for %s: %w", o.Name, err)
		}
		defer log.Close() // the process has its own copy
		p.command.Stdout, p.command.Stderr = log, log
	}
	running, end := context.WithCancel(context.Background())
	p.running = running
	started := make(chan error)
	go p.live(started, end)
	if err := <-started; err != nil {
		end()
		return nil, fmt.Errorf("start %s: %w", o.Name, err)
	}
	return p, nil
}

// live starts the program and waits for its end, on one thread: the kernel kills the program when the
// thread that started it ends, and Go may end a thread at any time. The thread is never unlocked, so it ends
// with this goroutine: no other one may run with what Launch has set. It is not the main thread, which Go does
// not end, and whose settings /proc/self shows.
func (p *Process) live(started chan<- error, end func()) {
	runtime.LockOSThread()
	if onMainThread() {
		defer runtime.UnlockOSThread()
		begun := make(chan struct{})
		go func() {
			runtime.LockOSThread()
			close(begun)
			p.live(started, end)
		}()
		<-begun
		return
	}
	err := p.Launch(p.command)
	started <- err
	if err != nil {
		return
	}
	release := watchParent(p.PID())
	p.err = p.command.Wait()
	release()
	end()
}

// PID is the number of the process. After the end it may be the number of another process.
func (p *Process) PID() int { return p.command.Process.Pid }

// Done returns a channel that is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.running.Done() }

// Exited reports whether the process has ended.
func (p *Process) Exited() bool { return p.running.Err() != nil }

// ExitError returns why the process has ended, with the end of its log, and nil while it runs. Exit code 0 is an
// error, too. Any other wraps an [exec.ExitError].
func (p *Process) ExitError() error {
	switch {
	case !p.Exited():
		return nil
	case p.err == nil:
		return fmt.Errorf("%s ended without an error\n%s", p.Name, p.LogTail())
	default:
		return fmt.Errorf("%s ended: %w\n%s", p.Name, p.err, p.LogTail())
	}
}

// Signal sends a signal. It returns [os.ErrProcessDone] when the process has ended.
func (p *Process) Signal(signal os.Signal) error { return p.command.Process.Signal(signal) }

// Kill ends the process at once, as a crash would, and returns when it has ended.
func (p *Process) Kill() {
	_ = p.command.Process.Kill() // fails only when the process has ended
	<-p.Done()
}

// Stop sends SIGTERM and returns when the process has ended, with whatever exit code. It kills the process
// after grace, and then returns an error with the end of the log.
func (p *Process) Stop(grace time.Duration) error {
	_ = p.Signal(syscall.SIGTERM) // the same
	select {
	case <-p.Done():
		return nil
	case <-time.After(grace):
		p.Kill()
		return fmt.Errorf("%s ran for another %s after SIGTERM, and was killed\n%s", p.Name, grace, p.LogTail())
	}
}

// WaitReady returns nil as soon as check does. It returns ExitError at once when the process has ended, even
// where check succeeds: another program may have the port. When ctx ends, the error is the last one of check
// with the end of the log. The context of check ends with ctx or with the process.
func (p *Process) WaitReady(ctx context.Context, check func(context.Context) error) error {
	either, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.running, cancel)()
	var last error
	unready := wait.PollUntilContextCancel(either, p.Poll, true, func(ctx context.Context) (bool, error) {
		last = check(ctx)
		return last == nil, nil
	})
	switch {
	case p.Exited():
		return p.ExitError()
	case unready == nil:
		return nil
	default:
		return fmt.Errorf("%s was not ready in time: %w\n%s", p.Name, errors.Join(context.Cause(ctx), last), p.LogTail())
	}
}

// LogTail returns the last 4 KiB of the log, below a line with the name of the process and the file.
func (p *Process) LogTail() string {
	if p.Log == "" {
		return p.Name + " has no log"
	}
	return tail(p.Name, p.Log)
}
