// Command webhook is pipeline-storage's server in a cluster: it mounts durable storage into pods labelled
// pipeline-storage=enabled when they are created, and keeps the claims that they mount present.
package main

import (
	"os"

	"github.com/pipeline-storage/pipeline-storage/cmd/webhook/app"
)

func main() {
	os.Exit(app.Main(os.Args[1:], os.Stdout, os.Stderr))
}
