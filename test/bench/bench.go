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

	"github.com/pipeline-storage/pipeline-storage/test/bench/figures"
	"github.com/pipeline-storage/pipeline-storage/test/bench/stream"
)

// warmups are the rounds that warm up the page cache and are not counted.
const warmups = 2

// launcherPackage is the program that the others are started by. It is built each time, too: its own cost is
// part of every figure.
const launcherPackage = "test/bench/launch"

// bench builds the candidates into one directory, and checks and measures them on every stream in the other.
// Streams are measured one after the other, in the order of their sizes. The first candidate that fails or makes
// a wrong edit ends the run. The load of the machine is read before and after.
func bench(ctx context.Context, o options, programDir, dataDir string) (report, error) {
	chosen, err := prepareAll(ctx, o, programDir)
	if err != nil {
		return report{}, err
	}
	path, err := build(ctx, launcherPackage, programDir)
	if err != nil {
		return report{}, err
	}
	l := launcher{path: path}
	r := report{rounds: o.Rounds, machine: figures.Describe(), loadBefore: figures.Load()}
	if r.floor, err = l.floor(ctx); err != nil {
		return report{}, err
	}
	for _, size := range stream.Sizes() {
		if !o.Sizes.Has(size.Name) {
			continue
		}
		measured, err := benchSize(ctx, o, l, size, filepath.Join(dataDir, size.Name), chosen)
		if err != nil {
			return report{}, fmt.Errorf("the %s stream: %w", size.Name, err)
		}
		r.sizes = append(r.sizes, measured)
	}
	r.loadAfter = figures.Load()
	return r, nil
}

// benchSize generates a stream into a directory, in which the candidates run, checks all candidates and measures
// them. Checks come first, so that a wrong candidate ends the run before minutes of measuring.
func benchSize(ctx context.Context, o options, l launcher, size stream.Size, dir string, chosen []candidate) (
	measured sized, err error,
) {
	text, err := stream.Generate(size)
	if err != nil {
		return measured, fmt.Errorf("generate: %w", err)
	}
	docs, err := documents(text)
	if err != nil {
		return measured, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return measured, fmt.Errorf("make its directory: %w", err)
	}
	if err := prepareFiles(dir, text, docs); err != nil {
		return measured, err
	}
	for i := range chosen {
		chosen[i].dir = dir
		if err := chosen[i].check(ctx, l, text, docs); err != nil {
			return measured, fmt.Errorf("check of %s: %w", chosen[i].name, err)
		}
	}
	measured = sized{name: size.Name, bytes: len(text)}
	measured.costs, err = measure(ctx, l, chosen, o.Rounds)
	return measured, err
}

// The files that every candidate reads and writes. The next candidate overwrites the output.
func (c candidate) stdin() string  { return filepath.Join(c.dir, allFile) }
func (c candidate) stdout() string { return filepath.Join(c.dir, "stdout") }

// check runs a candidate once and checks what it wrote. Two of them must change nothing; all others must make
// the same edit, by whatever means.
func (c candidate) check(ctx context.Context, l launcher, text []byte, docs []document) error {
	if _, err := l.run(ctx, c, c.stdin(), c.stdout()); err != nil {
		return err
	}
	out, err := os.ReadFile(c.stdout())
	if err != nil {
		return fmt.Errorf("read its output: %w", err)
	}
	if !c.edits {
		return checkCopy(text, out)
	}
	return checkEdit(docs, out)
}

// measure runs the candidates in turns, every round beginning with another one, so that none always follows the
// same. A cost includes the start of the program, as Helm starts a post-renderer for each command.
func measure(ctx context.Context, l launcher, chosen []candidate, rounds int) (map[string][]cost, error) {
	costs := map[string][]cost{}
	for round := range warmups + rounds {
		for i := range chosen {
			c := chosen[(round+i)%len(chosen)]
			measured, err := l.run(ctx, c, c.stdin(), c.stdout())
			if err != nil {
				return nil, err
			}
			if round >= warmups {
				costs[c.name] = append(costs[c.name], measured)
			}
		}
	}
	return costs, nil
}

// cost is what one run of a program took. The kernel counts CPU time (user and system) and memory; the launcher
// measures the wall time, from the start to the end of the program.
type cost struct {
	cpu, wall time.Duration
	// rss is the peak of the resident memory, in bytes.
	rss int64
}

// launcher starts programs so that their peak memory is their own: see command launch. Without it the peak would
// include the memory of the harness.
type launcher struct{ path string }

// floor is the peak memory that the launcher reports of a program that does nothing: itself without arguments.
// It is in bytes. Peak memory near it shows the launcher, not the program.
func (l launcher) floor(ctx context.Context) (int64, error) {
	measured, err := l.run(ctx, candidate{name: "launch", path: l.path}, os.DevNull, os.DevNull)
	return measured.rss, err
}

// run starts the candidate under the launcher with a file as stdin and another, emptied first, as stdout, and
// waits. The environment is empty but for what kustomize and Go's runtime look for, so that no GOGC or
// GOMAXPROCS of the caller is measured. The launcher writes the cost to a pipe that only it inherits, so that the
// program cannot disturb the line. A program that fails is an error, with its standard error as the reason.
func (l launcher) run(ctx context.Context, c candidate, stdin, stdout string) (measured cost, err error) {
	in, err := os.Open(stdin)
	if err != nil {
		return measured, fmt.Errorf("open the stream: %w", err)
	}
	defer in.Close()
	out, err := os.Create(stdout)
	if err != nil {
		return measured, fmt.Errorf("open a file for the output: %w", err)
	}
	defer out.Close()
	read, written, err := os.Pipe()
	if err != nil {
		return measured, fmt.Errorf("make a pipe for the launcher: %w", err)
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
		return measured, fmt.Errorf("%s: %w: %s", c.name, err, strings.TrimSpace(stderr.String()))
	}
	line, err := io.ReadAll(read)
	if err != nil {
		return measured, fmt.Errorf("read the launcher's line: %w", err)
	}
	return parseCost(string(line))
}

// parseCost reads the launcher's line. Its numbers are CPU and wall time in microseconds, and the peak memory in
// KiB: see command launch.
func parseCost(line string) (cost, error) {
	var cpu, wall time.Duration
	var rss int64
	if _, err := fmt.Sscanf(line, "%d %d %d\n", &cpu, &wall, &rss); err != nil {
		return cost{}, fmt.Errorf("the launcher wrote %q, not three numbers: %w", line, err)
	}
	return cost{cpu: cpu * time.Microsecond, wall: wall * time.Microsecond, rss: rss << 10}, nil
}
