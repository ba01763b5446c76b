// Command promql checks what Prometheus will read.
//
//	promql            reads expressions, one a line on standard input, and reports those that do not parse
//	promql test FILE  runs the unit tests of rules in a file, in the format of "promtool test rules"
//
// promtool itself links every service discovery. This program has the parser and the engine only.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/prometheus/prometheus/promql/parser"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run carries out the command of the arguments.
func run(args []string, in io.Reader, out io.Writer) error {
	switch {
	case len(args) == 0:
		return checkExpressions(in)
	case len(args) == 2 && args[0] == "test":
		return testRules(args[1], out)
	}
	return errors.New("usage: promql [test FILE]")
}

// checkExpressions returns an error for each line that is not an expression.
func checkExpressions(in io.Reader) error {
	check := parser.NewParser(parser.Options{})
	var problems []error
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if _, err := check.ParseExpr(lines.Text()); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", lines.Text(), err))
		}
	}
	return errors.Join(append(problems, lines.Err())...)
}
