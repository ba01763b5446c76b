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
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/pipeline-storage/pipeline-storage/test/bench/figures"
	"github.com/pipeline-storage/pipeline-storage/test/bench/stream"
)

func main() { os.Exit(figures.Main("bench", run)) }

// run is the whole of the command: read the flags, prepare, check, measure, report.
func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	programs, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return fmt.Errorf("make a directory for programs: %w", err)
	}
	defer os.RemoveAll(programs)
	data, err := os.MkdirTemp(memory(), "bench-")
	if err != nil {
		return fmt.Errorf("make a directory for streams and outputs: %w", err)
	}
	defer os.RemoveAll(data)
	r, err := bench(ctx, o, programs, data)
	if err != nil {
		return err
	}
	return r.figures().Write(out, o.Markdown)
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

// options are the flags.
type options struct {
	figures.Options
	// paths are the programs that flags name, by candidate.
	paths map[string]*string
}

// parse reads the flags. The predecessor joins the others when its program is named.
func parse(args []string) (options, error) {
	o := options{paths: map[string]*string{}, Options: figures.Options{
		Rounds: 21, LeastRounds: 15, // an odd number has a median that was measured
		Candidates: figures.Choice{Flag: "only", All: defaultNames()}, Sizes: figures.Choice{Flag: "sizes", All: sizeNames()},
	}}
	flags := o.Flags("bench")
	o.paths[postrender] = flags.String(postrender, "", "measure this program instead of building ./cmd/postrender")
	o.paths[predecessor] = flags.String(predecessor, "", "measure this earlier postrender as well, and print its ratios")
	err := o.Parse(flags, args)
	if err == nil && *o.paths[predecessor] != "" {
		o.Candidates.Names = append(slices.Clip(o.Candidates.Names), predecessor)
	}
	return o, err
}

// sizeNames are the names of the streams, smallest first.
func sizeNames() []string {
	var names []string
	for _, size := range stream.Sizes() {
		names = append(names, size.Name)
	}
	return names
}
