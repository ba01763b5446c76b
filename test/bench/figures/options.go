package figures

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/pflag"
)

// Main runs the command of a benchmark until an error, which it prints, or until a signal, which ends ctx. It
// returns the exit code. Help is not an error: pflag has printed it.
func Main(name string, run func(ctx context.Context, args []string, out io.Writer) error) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, pflag.ErrHelp) {
		fmt.Fprintln(os.Stderr, name+":", err)
		return 1
	}
	return 0
}

// Choice is a flag that chooses some of the names that a benchmark can measure.
type Choice struct {
	Flag       string
	All, Names []string
}

// Options are the flags that all benchmarks have.
type Options struct {
	Rounds int
	// Candidates are what is measured, and Sizes what they are measured with.
	Candidates, Sizes Choice
	// Markdown is a file for the tables. Empty: they are not written.
	Markdown string
	// LeastRounds are the fewest that make a median, where every candidate is measured.
	LeastRounds int
}

// Flags returns a set with the flags of the options, whose fields are the defaults.
func (o *Options) Flags(name string) *pflag.FlagSet {
	flags := pflag.NewFlagSet(name, pflag.ContinueOnError)
	flags.SortFlags = false
	flags.IntVar(&o.Rounds, "rounds", o.Rounds, "rounds that are measured, after the warm-up")
	flags.StringSliceVar(&o.Candidates.Names, o.Candidates.Flag, o.Candidates.All, "the candidates to measure")
	flags.StringSliceVar(&o.Sizes.Names, o.Sizes.Flag, o.Sizes.All, "the sizes to measure with")
	flags.StringVar(&o.Markdown, "markdown", "", "write the tables to this file as well, as Markdown")
	return flags
}

// Parse reads the arguments, and returns what is wrong with those of the options. A few rounds are allowed for
// some of the candidates only, as for a first estimate.
func (o *Options) Parse(flags *pflag.FlagSet, args []string) error {
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("argument %q is not expected: the command takes flags only, see --help", flags.Arg(0))
	}
	if err := errors.Join(o.Candidates.validate(), o.Sizes.validate()); err != nil {
		return err
	}
	switch {
	case o.Rounds < 1:
		return fmt.Errorf("--rounds=%d: at least one round must be measured", o.Rounds)
	case o.Rounds < o.LeastRounds && len(o.Candidates.Names) == len(o.Candidates.All):
		return fmt.Errorf("--rounds=%d: medians of fewer than %d rounds are noise; set more, or choose some candidates "+
			"with --%s for a first estimate", o.Rounds, o.LeastRounds, o.Candidates.Flag)
	}
	return nil
}

// Has reports whether a name is chosen.
func (c Choice) Has(name string) bool { return slices.Contains(c.Names, name) }

// validate refuses names that do not exist and names that are there twice.
func (c Choice) validate() error {
	for i, name := range c.Names {
		if slices.Contains(c.Names[:i], name) {
			return fmt.Errorf("--%s: %s is named twice", c.Flag, name)
		}
		if !slices.Contains(c.All, name) {
			return fmt.Errorf("--%s=%s: choose from %s", c.Flag, name, strings.Join(c.All, ", "))
		}
	}
	return nil
}
