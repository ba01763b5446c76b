// Command promql checks expressions of PromQL, one a line on standard input, and tells those that are none.
package main

import (
	"bufio"
	"fmt"
	"os"

	"github.com/prometheus/prometheus/promql/parser"
)

func main() {
	check := parser.NewParser(parser.Options{})
	lines := bufio.NewScanner(os.Stdin)
	failed := false
	for lines.Scan() {
		if _, err := check.ParseExpr(lines.Text()); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", lines.Text(), err)
			failed = true
		}
	}
	if failed || lines.Err() != nil {
		os.Exit(1)
	}
}
