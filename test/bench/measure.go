package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// cost is what one run of a program took. The kernel counts CPU time and memory; the launcher
// measures the wall time.
type cost struct {
	// cpu is user and system time.
	cpu time.Duration
	// wall is the time from the start to the end of the program.
	wall time.Duration
	// rss is the peak of the resident memory, in bytes.
	rss int64
}

// candidate is a program that is measured. Its name is that of a row in the table.
type candidate struct {
	name string
	path string
	args []string
	// dir is the directory that it runs in.
	dir string
}

// launcher starts programs so that their peak memory is their own: see command launch. Without it
// the peak would include the memory of the harness.
type launcher struct{ path string }

// run starts the candidate with a file as stdin and another as stdout, and waits. Both are paths.
// The output file is emptied first. A program that fails is an error, with its standard error as
// the reason.
func (l launcher) run(ctx context.Context, c candidate, stdin, stdout string) (cost, error) {
	in, err := os.Open(stdin)
	if err != nil {
		return cost{}, fmt.Errorf("open the stream: %w", err)
	}
	defer in.Close()
	out, err := os.Create(stdout)
	if err != nil {
		return cost{}, fmt.Errorf("open a file for the output: %w", err)
	}
	defer out.Close()
	return l.start(ctx, c, in, out)
}

// start runs the candidate under the launcher. Its environment is empty but for what kustomize
// and Go's runtime look for, so that no GOGC or GOMAXPROCS of the caller is measured. The
// launcher writes the cost to a pipe that only it inherits, so that the program cannot disturb
// the line.
func (l launcher) start(ctx context.Context, c candidate, in, out *os.File) (cost, error) {
	read, written, err := os.Pipe()
	if err != nil {
		return cost{}, fmt.Errorf("make a pipe for the launcher: %w", err)
	}
	defer read.Close()
	var stderr bytes.Buffer
	command := exec.CommandContext(ctx, l.path, append([]string{c.path}, c.args...)...)
	command.Dir = c.dir
	command.Env = []string{"HOME=" + filepath.Dir(l.path), "PATH=" + os.Getenv("PATH")}
	command.Stdin, command.Stdout, command.Stderr = in, out, &stderr
	command.ExtraFiles = []*os.File{written} // file descriptor 3
	err = command.Run()
	_ = written.Close() // the program has its own copy
	if err != nil {
		return cost{}, fmt.Errorf("%s: %w: %s", c.name, err, strings.TrimSpace(stderr.String()))
	}
	line, err := io.ReadAll(read)
	if err != nil {
		return cost{}, fmt.Errorf("read the launcher's line: %w", err)
	}
	code, measured, err := parseCost(string(line))
	if err != nil {
		return cost{}, err
	}
	if code != 0 {
		return cost{}, fmt.Errorf("%s ended with exit code %d: %s", c.name, code, strings.TrimSpace(stderr.String()))
	}
	return measured, nil
}

// parseCost reads the launcher's line. Its numbers are the exit code, CPU and wall time in
// microseconds, and the peak memory in KiB: see command launch.
func parseCost(line string) (code int, c cost, err error) {
	var cpu, wall, rss int64
	if _, err := fmt.Sscanf(line, "%d %d %d %d\n", &code, &cpu, &wall, &rss); err != nil {
		return 0, cost{}, fmt.Errorf("the launcher wrote %q, not four numbers: %w", line, err)
	}
	c = cost{cpu: time.Duration(cpu) * time.Microsecond, wall: time.Duration(wall) * time.Microsecond, rss: rss << 10}
	return code, c, nil
}
