// Command postrender adds durable storage to the pods of a rendered Helm chart. It reads manifests on standard input and
// writes them to standard output: a Helm 3 post-renderer, the program of a Helm 4 plugin, or a plain filter.
package main

import (
	"os"

	"github.com/pipeline-storage/pipeline-storage/cmd/postrender/app"
)

func main() {
	os.Exit(app.Run(os.Args[1:], app.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}
