// Command parts builds the named programs if the cache lacks them. It prints a line "name path
// seconds" for each to standard output, and to standard error what it builds and how long that takes.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"github.com/pipeline-storage/pipeline-storage/test/parts"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "parts:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, names []string, stdout, stderr io.Writer) error {
	if len(names) == 0 {
		return fmt.Errorf("name what to build, one or more of %s", strings.Join(parts.Names(), ", "))
	}
	built, err := parts.Build(ctx, stderr, names...)
	if err != nil {
		return err
	}
	for _, program := range built {
		fmt.Fprintf(stdout, "%s %s %.1fs\n", program.Name, program.Path, program.Took.Seconds())
	}
	return nil
}
