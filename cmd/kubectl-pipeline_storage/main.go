// Command kubectl-pipeline_storage is a plugin of kubectl: kubectl pipeline-storage status shows which pods have their
// storage, which have not and why, and what to do next. It only reads.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/pipeline-storage/pipeline-storage/cmd/kubectl-pipeline_storage/app"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := app.Run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
