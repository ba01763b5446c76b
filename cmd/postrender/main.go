// Command postrender adds durable storage to the pods of a rendered Helm chart. It reads manifests
// on standard input and writes them to standard output: a Helm 3 post-renderer, the program of a
// Helm 4 plugin, a KRM function, or a plain filter.
package main

import (
	"os"
	"runtime/debug"

	"github.com/pipeline-storage/pipeline-storage/cmd/postrender/app"
)

// gcPercent lets the heap of this short run grow to 16 MiB before it is collected: on a stream of 5
// MB the collector would otherwise cost more than all the work (make bench). The variable GOGC
// decides when it is set.
const gcPercent = 400

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	os.Exit(app.Run(os.Args[1:], app.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}
