package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/pipeline-storage/pipeline-storage/test/benchadmission/reviews"
)

const (
	defaultRounds      = 5
	defaultHTTP2Rounds = 2
	leastRounds        = 3
	defaultStarts      = 7
	defaultDuration    = 2500 * time.Millisecond
	defaultWarmUp      = 300 * time.Millisecond
	defaultIdle        = 10 * time.Second
)

// options are the flags.
type options struct {
	rounds, http2Rounds, starts int
	duration, warmUp, idle      time.Duration
	servers, sizes              []string
	webhook, markdown, profile  string
}

// parse reads the flags.
func parse(args []string) (options, error) {
	var o options
	flags := pflag.NewFlagSet("benchadmission", pflag.ContinueOnError)
	flags.SortFlags = false
	flags.IntVar(&o.rounds, "rounds", defaultRounds, "rounds over HTTP/1.1 that are measured")
	flags.IntVar(&o.http2Rounds, "http2-rounds", defaultHTTP2Rounds, "rounds over HTTP/2; 0 for none")
	flags.IntVar(&o.starts, "starts", defaultStarts, "how often each server is started to see how soon it is ready")
	flags.DurationVar(&o.duration, "duration", defaultDuration, "how long a server is under load for one figure")
	flags.DurationVar(&o.warmUp, "warm-up", defaultWarmUp, "how long it is under load before")
	flags.DurationVar(&o.idle, "idle", defaultIdle, "how long a server stays idle before its idle memory is read")
	flags.StringSliceVar(&o.servers, "servers", candidateNames(), "the servers to measure")
	flags.StringSliceVar(&o.sizes, "sizes", sizeNames(), "the reviews to measure with")
	flags.StringVar(&o.webhook, "webhook", "", "measure this program instead of building ./cmd/webhook")
	flags.StringVar(&o.markdown, "markdown", "", "write the tables to this file as well, as Markdown")
	flags.StringVar(&o.profile, "profile", "",
		"write CPU profiles of the webhook into this directory, print their tops, and measure nothing")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("argument %q is not expected: benchadmission takes flags only, see --help", flags.Arg(0))
	}
	return o, o.validate()
}

func (o options) validate() error {
	if err := known("--servers", o.servers, candidateNames()); err != nil {
		return err
	}
	if err := known("--sizes", o.sizes, sizeNames()); err != nil {
		return err
	}
	switch {
	case o.rounds < 1:
		return fmt.Errorf("--rounds=%d: at least one round must be measured", o.rounds)
	case o.rounds < leastRounds && o.complete():
		return fmt.Errorf("--rounds=%d: medians of fewer than %d rounds are noise; set more, or name the servers of a "+
			"quick run with --servers",
			o.rounds, leastRounds)
	case o.http2Rounds < 0:
		return fmt.Errorf("--http2-rounds=%d: set 0 for no rounds over HTTP/2", o.http2Rounds)
	case o.starts < 1:
		return fmt.Errorf("--starts=%d: a server must be started at least once", o.starts)
	case o.duration <= 0:
		return fmt.Errorf("--duration=%s: must be longer than nothing", o.duration)
	case o.profile != "" && !o.measures(webhookName):
		return fmt.Errorf("--profile: it profiles the %s, which --servers does not name", webhookName)
	}
	return nil
}

// complete reports whether every server is measured, as published figures require.
func (o options) complete() bool { return len(o.servers) == len(candidates) }

func (o options) measures(name string) bool { return slices.Contains(o.servers, name) }

// candidates are the chosen servers, in the order of the table.
func (o options) candidates() []candidate {
	var chosen []candidate
	for _, c := range candidates {
		if o.measures(c.name) {
			chosen = append(chosen, c)
		}
	}
	return chosen
}

// known refuses names that are not allowed or given twice.
func known(flag string, given, allowed []string) error {
	for i, name := range given {
		if slices.Contains(given[:i], name) {
			return fmt.Errorf("%s: %s is named twice", flag, name)
		}
		if !slices.Contains(allowed, name) {
			return fmt.Errorf("%s=%s: choose from %s", flag, name, strings.Join(allowed, ", "))
		}
	}
	return nil
}

func sizeNames() []string {
	var names []string
	for _, size := range reviews.Sizes() {
		names = append(names, size.Name)
	}
	return names
}
