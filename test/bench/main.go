// Command bench measures what the post-renderer costs, beside the least that a program can cost and
// beside the two tools that people make the same edit with: `go run ./test/bench`.
//
// Every candidate reads the same stream from a file and writes to a file in memory; candidates take
// turns, so that a busy machine disturbs all of them alike. Compare CPU times and peak memory; wall
// times are for orientation. With --predecessor=PROGRAM, an earlier postrender takes turns with the
// others, and its wall time is compared, too.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/pflag"
)

// main ends with exit code 1 on an error. An interrupt ends the programs that are measured and
// removes the directories.
func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run is the whole of the command: read the flags, prepare, check, measure, report. The table
// goes to out, and as Markdown to the file of --markdown. With --write-streams nothing is
// measured. Help is not an error: pflag has printed it.
func run(ctx context.Context, args []string, out *os.File) error {
	options, err := parse(args)
	if errors.Is(err, pflag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	if options.streams != "" {
		return writeStreams(options.streams, options.sizes)
	}
	report, err := benchIn(ctx, options)
	if err != nil {
		return err
	}
	if options.markdown != "" {
		if err := os.WriteFile(options.markdown, []byte(report.markdown()), 0o644); err != nil {
			return fmt.Errorf("write the table for the documentation: %w", err)
		}
	}
	_, err = fmt.Fprint(out, report.table())
	return err
}

// benchIn makes the directories that bench works in, and removes them. They are removed after an
// error, too.
func benchIn(ctx context.Context, o options) (report, error) {
	programs, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return report{}, fmt.Errorf("make a directory for programs: %w", err)
	}
	defer os.RemoveAll(programs)
	data, err := os.MkdirTemp(memory(), "bench-")
	if err != nil {
		return report{}, fmt.Errorf("make a directory for streams and outputs: %w", err)
	}
	defer os.RemoveAll(data)
	return bench(ctx, o, programs, data)
}

// memory is a directory that lives in memory, if there is one: a disk must not be measured.
// Programs cannot live there, because containers mount it noexec. Without one, figures of large
// streams include the disk. Streams and outputs live there.
func memory() string {
	const shm = "/dev/shm"
	if info, err := os.Stat(shm); err == nil && info.IsDir() {
		return shm
	}
	return os.TempDir()
}
