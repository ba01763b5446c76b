package cluster

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/pipeline-storage/pipeline-storage/test/process"
)

const (
	// insideEnv names the directory of the run, for the process inside of the namespaces.
	insideEnv = "PIPELINE_STORAGE_CLUSTER_INSIDE"
	// refusedFile has the reason why the process could not use its namespaces.
	refusedFile = "refused"
)

// enter runs this program again in namespaces of its own, with the same arguments, and returns why that was refused,
// if it was. begun receives the number of its process.
func enter(dir string, begun func(pid int)) (code int, refused error) {
	program, err := os.Executable()
	if err != nil {
		return exitFailure, fmt.Errorf("find the test program: %w", err)
	}
	signals := make(chan os.Signal, 1) // before the start: the tests must not be left alone
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGHUP)
	defer signal.Stop(signals)
	p, err := process.Start(process.Options{
		Program: program, Args: os.Args[1:],
		// Temporary files in there are removed with the directory, also when the tests are killed.
		Env:    append(os.Environ(), insideEnv+"="+dir, "TMPDIR="+filepath.Join(dir, tempDir)),
		Launch: launch,
	})
	if err != nil {
		return exitFailure, fmt.Errorf("enter a network namespace: %w", err)
	}
	begun(p.PID())
	for !p.Exited() {
		select {
		case s := <-signals:
			_ = p.Signal(s) // fails only when it has ended
		case <-p.Done():
		}
	}
	if reason, unread := os.ReadFile(filepath.Join(dir, refusedFile)); unread == nil {
		return exitFailure, errors.New(string(reason))
	}
	var exit *exec.ExitError
	switch err := p.ExitError(); {
	case !errors.As(err, &exit):
		return 0, nil
	case exit.ExitCode() > 0:
		return exit.ExitCode(), nil
	default:
		fmt.Fprintln(os.Stderr, err)
		return exitFailure, nil
	}
}

func launch(command *exec.Cmd) error {
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := separate(command.SysProcAttr); err != nil {
		return err
	}
	return command.Start()
}
