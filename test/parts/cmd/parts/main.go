// Command parts builds the named programs if the cache lacks them, and prints their names, paths
// and seconds taken.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

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

	for _, name := range names {
		fmt.Fprintf(stderr, "parts: %s (minutes if it must be built)\n", name)

		start := time.Now()

		path, err := parts.Path(ctx, name)
		if err != nil {
			return fmt.Errorf("get %s: %w", name, err)
		}

		fmt.Fprintf(stdout, "%s %s %.1fs\n", name, path, time.Since(start).Seconds())
	}

	return nil
}
