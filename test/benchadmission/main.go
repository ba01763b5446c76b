// Command benchadmission measures what the webhook costs: `go run ./test/benchadmission`.
//
// It is measured beside a constant answer from net/http, beside controller-runtime's own handler
// doing nothing, and beside the way in which most webhooks patch pods. Every server is a process of
// its own with one CPU; the client has the others. The servers take turns, so that a busy machine
// disturbs all of them alike: compare CPU times. The webhook is the program that is shipped, with
// everything on, and runs beside a real API server.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/pflag"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchadmission:", err)
		os.Exit(1)
	}
}

// run is the whole command: read the flags, prepare, measure, report.
func run(ctx context.Context, args []string, out io.Writer) (err error) {
	options, err := parse(args)
	if errors.Is(err, pflag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "benchadmission-")
	if err != nil {
		return fmt.Errorf("make a directory for programs, logs and certificates: %w", err)
	}
	defer os.RemoveAll(dir)
	b, err := prepare(ctx, options, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if options.profile != "" {
		return b.runProfile(ctx, out)
	}
	return b.report(ctx, out)
}

// report measures and writes the tables.
func (b *bench) report(ctx context.Context, out io.Writer) error {
	r, err := b.run(ctx)
	if err != nil {
		return err
	}
	if b.options.markdown != "" {
		if err := os.WriteFile(b.options.markdown, []byte(r.markdown()), 0o644); err != nil {
			return fmt.Errorf("write the tables for the documentation: %w", err)
		}
	}
	_, err = fmt.Fprint(out, r.terminal())
	return err
}
