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
	"time"

	"github.com/pipeline-storage/pipeline-storage/test/bench/figures"
	"github.com/pipeline-storage/pipeline-storage/test/benchadmission/reviews"
	"github.com/pipeline-storage/pipeline-storage/test/benchadmission/servers/listen"
)

func main() { os.Exit(figures.Main("benchadmission", run)) }

// run is the whole command: read the flags, prepare, measure, report.
func run(ctx context.Context, args []string, out io.Writer) (err error) {
	o, err := parse(args)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "benchadmission-")
	if err != nil {
		return fmt.Errorf("make a directory for programs and logs: %w", err)
	}
	defer os.RemoveAll(dir)
	b, err := prepare(ctx, o, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if o.profile != "" {
		return b.runProfile(ctx, out)
	}
	r, err := b.run(ctx)
	if err != nil {
		return err
	}
	return r.figures().Write(out, o.Markdown)
}

// Names of servers in the report.
const (
	allow       = "allow" // what the others are compared with
	webhookName = "webhook"
)

// candidate is a server that is measured.
type candidate struct {
	name, what string
	// pkg is its package, below the module.
	pkg  string
	args []string
	// constant is the answer of a server that repeats no uid; empty for every other server.
	constant string
	// mutates is true when the server's answers must mount the claim.
	mutates bool
}

// candidates, in the order of the tables.
var candidates = []candidate{
	{
		name: "constant", what: "a constant answer from net/http", pkg: "test/benchadmission/servers/constant",
		constant: listen.Constant,
	},
	{
		name: allow, what: "controller-runtime, allows without decoding the pod",
		pkg: "test/benchadmission/servers/standard",
	},
	{
		name: "usual", what: "controller-runtime, decodes, copies, encodes, diffs",
		pkg: "test/benchadmission/servers/standard", args: []string{"--mount"}, mutates: true,
	},
	{name: webhookName, what: "cmd/webhook with everything on", pkg: "cmd/webhook", mutates: true},
}

// options are the flags.
type options struct {
	figures.Options
	http2Rounds, starts    int
	duration, warmUp, idle time.Duration
	webhook, profile       string
}

// parse reads the flags.
func parse(args []string) (options, error) {
	o := options{Options: figures.Options{
		Rounds: 5, LeastRounds: 3,
		Candidates: figures.Choice{Flag: "servers"}, Sizes: figures.Choice{Flag: "sizes"},
	}}
	for _, c := range candidates {
		o.Candidates.All = append(o.Candidates.All, c.name)
	}
	for _, size := range reviews.Sizes() {
		o.Sizes.All = append(o.Sizes.All, size.Name)
	}
	flags := o.Flags("benchadmission")
	flags.IntVar(&o.http2Rounds, "http2-rounds", 2, "rounds over HTTP/2; 0 for none")
	flags.IntVar(&o.starts, "starts", 7, "how often each server is started to see how soon it is ready")
	flags.DurationVar(&o.duration, "duration", 2500*time.Millisecond, "how long a server is under load for one figure")
	flags.DurationVar(&o.warmUp, "warm-up", 300*time.Millisecond, "how long it is under load before")
	flags.DurationVar(&o.idle, "idle", 10*time.Second, "how long a server stays idle before its idle memory is read")
	flags.StringVar(&o.webhook, "webhook", "", "measure this program instead of building ./cmd/webhook")
	flags.StringVar(&o.profile, "profile", "",
		"write CPU profiles of the webhook into this directory, print their tops, and measure nothing")
	if err := o.Parse(flags, args); err != nil {
		return o, err
	}
	switch {
	case o.http2Rounds < 0:
		return o, fmt.Errorf("--http2-rounds=%d: set 0 for no rounds over HTTP/2", o.http2Rounds)
	case o.starts < 1:
		return o, fmt.Errorf("--starts=%d: a server must be started at least once", o.starts)
	case o.duration <= 0:
		return o, fmt.Errorf("--duration=%s: must be longer than nothing", o.duration)
	case o.profile != "" && !o.Candidates.Has(webhookName):
		return o, fmt.Errorf("--profile: it profiles the %s, which --servers does not name", webhookName)
	}
	return o, nil
}

// candidates are the chosen servers, in the order of the table.
func (o options) candidates() []candidate {
	var chosen []candidate
	for _, c := range candidates {
		if o.Candidates.Has(c.name) {
			chosen = append(chosen, c)
		}
	}
	return chosen
}
