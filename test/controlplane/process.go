package controlplane

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"
)

const (
	logTailSize = 4096
	// All parts print the operating system's message.
	portTakenMessage = "address already in use"
)

var errPortTaken = errors.New("another process has the port")

// process is a started program. Its done is closed when it has ended; then err is the reason.
type process struct {
	row  part
	log  string
	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

func startProcess(program string, args []string, dir string, row part) (*process, error) {
	p := &process{row: row, log: filepath.Join(dir, row.name+".log"), done: make(chan struct{})}

	// A part that is started again continues the same log.
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, privateFile)
	if err != nil {
		return nil, fmt.Errorf("make a log for %s: %w", row.name, err)
	}
	defer log.Close()

	p.cmd = exec.Command(program, args...)
	p.cmd.Dir = dir
	p.cmd.Env = []string{"HOME=" + dir, "TMPDIR=" + dir} // no ETCD_* and no proxy from outside
	p.cmd.Stdout = log
	p.cmd.Stderr = log
	p.cmd.SysProcAttr = dieWithParent()

	started := make(chan error)
	go p.live(started)

	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", row.name, err)
	}

	return p, nil
}

// live starts the program and stays on one thread until it ends: Linux sends the signal of
// dieWithParent when the thread that started the program ends, and Go may end a thread at any time.
func (p *process) live(started chan<- error) {
	runtime.LockOSThread()

	defer runtime.UnlockOSThread()

	err := p.cmd.Start()
	started <- err

	if err != nil {
		return
	}

	p.err = p.cmd.Wait()
	close(p.done)
}

// waitReady returns when url answers 200, or fails at once when the process has ended.
func (p *process) waitReady(ctx context.Context, client *http.Client, url string) error {
	ending, cancel := context.WithCancel(ctx)
	defer cancel()

	// Do not wait for an answer from another program that has the port.
	go func() {
		select {
		case <-p.done:
			cancel()
		case <-ending.Done():
		}
	}()

	tick := time.NewTicker(readyPoll)
	defer tick.Stop()

	for {
		err := get(ending, client, url)
		if err == nil {
			return nil
		}

		select {
		case <-p.done:
			return p.ended()
		case <-ctx.Done():
			return fmt.Errorf("%s was not ready in time, it last answered: %w\n%s", p.row.name, err, p.logTail())
		case <-tick.C:
		}
	}
}

// ended returns why a process ended that should still run.
func (p *process) ended() error {
	err := fmt.Errorf("%s ended: %w\n%s", p.row.name, p.err, p.logTail())
	if p.err == nil {
		err = fmt.Errorf("%s ended without an error\n%s", p.row.name, p.logTail())
	}

	if text, _ := os.ReadFile(p.log); bytes.Contains(text, []byte(portTakenMessage)) {
		return errors.Join(errPortTaken, err)
	}

	return err
}

// exitError returns why the process has ended, and nil while it runs.
func (p *process) exitError() error {
	select {
	case <-p.done:
		return p.ended()
	default:
		return nil
	}
}

// kill ends the process at once and returns when it has ended. No part needs more time, because no
// state is retained.
func (p *process) kill() {
	// A failure to signal means that the process has ended, and then done is closed.
	_ = p.cmd.Process.Kill()
	<-p.done
}

// logTail returns the end of the log, with a heading.
func (p *process) logTail() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return fmt.Sprintf("there is no log of %s: %v", p.row.name, err)
	}

	return fmt.Sprintf("end of the log of %s:\n%s", p.row.name, text[max(0, len(text)-logTailSize):])
}

func get(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return fmt.Errorf("make a request: %w", err)
	}

	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("request readiness: %w", err)
	}
	defer response.Body.Close()

	body, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("request readiness: %w", err)
	}

	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s: %s", url, response.Status, body)
	}

	return nil
}
