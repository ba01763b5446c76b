package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/pipeline-storage/pipeline-storage/test/bench/stream"
)

// The candidates.
const (
	// copy only reads and writes, and imports links postrender's libraries as well: together they
	// show the least cost. The predecessor is an earlier postrender.
	candidateCopy        = "copy"
	candidateImports     = "imports"
	candidatePostrender  = "postrender"
	candidatePredecessor = "predecessor"
	candidateYq          = "yq"
	candidateKustomize   = "kustomize"
)

// candidateNames are the candidates that are measured by default. The predecessor is measured when a
// flag names its program.
var candidateNames = []string{
	candidateCopy, candidateImports, candidatePostrender, candidateYq, candidateKustomize,
}

// tableNames are all candidates, in the order of the table.
var tableNames = []string{
	candidateCopy, candidateImports, candidatePostrender, candidatePredecessor, candidateYq, candidateKustomize,
}

const (
	// The numbers of rounds. An odd number has a median that was measured; warm-up rounds are in
	// addition to it.
	defaultRounds = 21
	leastRounds   = 15
	warmups       = 2
)

// options are the flags. Every field is valid after parse returned no error.
type options struct {
	rounds int
	// only are the candidates to measure, in any order.
	only  []string
	sizes []string
	// markdown is the file for the table; empty: none.
	markdown string
	// streams is the directory to write the streams to; empty: measure instead.
	streams string
	// skipCheck measures without checking the outputs.
	skipCheck bool
	// paths are the programs that flags name and that are not built, by candidate.
	paths map[string]string
}

// parse reads the flags. The predecessor joins the others when its program is named. Help is the
// error of pflag. The first problem is returned.
func parse(args []string) (options, error) {
	var o options
	var postrender, predecessor, kustomize, yq string
	flags := pflag.NewFlagSet("bench", pflag.ContinueOnError)
	flags.SortFlags = false
	flags.IntVar(&o.rounds, "rounds", defaultRounds, "rounds that are measured, after a warm-up of 2")
	flags.StringSliceVar(&o.only, "only", candidateNames, "the candidates to measure")
	flags.StringSliceVar(&o.sizes, "sizes", sizeNames(), "the streams to measure with")
	flags.StringVar(&o.markdown, "markdown", "", "write the table to this file as well, as Markdown")
	flags.StringVar(&o.streams, "write-streams", "", "write the streams into this directory and "+
		"measure nothing (for a profiler)")
	flags.StringVar(&postrender, "postrender", "", "measure this program instead of building ./cmd/postrender")
	flags.StringVar(&predecessor, "predecessor", "", "measure this earlier postrender as well, and print the ratios to it")
	flags.StringVar(&kustomize, "kustomize", "", "measure this kustomize instead of the pinned one")
	flags.StringVar(&yq, "yq", "", "measure this yq instead of the pinned one")
	flags.BoolVar(&o.skipCheck, "skip-check", false, "measure without checking the outputs (for a "+
		"profiler; the figures mean nothing)")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("argument %q is not expected: bench takes flags only, see --help", flags.Arg(0))
	}
	o.paths = map[string]string{
		candidatePostrender: postrender, candidatePredecessor: predecessor,
		candidateKustomize: kustomize, candidateYq: yq,
	}
	if err := o.validate(); err != nil {
		return o, err
	}
	if predecessor != "" {
		o.only = append(slices.Clip(o.only), candidatePredecessor)
	}
	return o, nil
}

// validate refuses values that would end in useless figures. A few rounds are allowed for
// some of the candidates only, as for a first estimate.
func (o options) validate() error {
	if err := known("--only", o.only, candidateNames); err != nil {
		return err
	}
	if err := known("--sizes", o.sizes, sizeNames()); err != nil {
		return err
	}
	if o.rounds < 1 {
		return fmt.Errorf("--rounds=%d: at least one round must be measured", o.rounds)
	}
	if o.rounds < leastRounds && o.complete() {
		return fmt.Errorf("--rounds=%d: medians of fewer than %d rounds are noise; set more rounds, or choose "+
			"some candidates with --only for a first estimate",
			o.rounds, leastRounds)
	}
	return nil
}

// complete reports whether every candidate is measured, as for figures that are published. The
// predecessor does not count: it is measured on request.
func (o options) complete() bool { return len(o.only) == len(candidateNames) }

// known refuses names that are not allowed or given twice. The error names the flag, and for an
// unknown name those that are allowed. The order of the names does not matter.
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

// sizeNames are the names of the streams, smallest first.
func sizeNames() []string {
	var names []string
	for _, size := range stream.Sizes() {
		names = append(names, size.Name)
	}
	return names
}
