// Package scale measures what the webhook costs in a large cluster: memory of the replicas,
// requests to the API server, and the time until every namespace has its claim. It creates
// thousands of pods, which takes minutes, so it runs only with a flag:
//
//	go test ./test/scale -run TestScale -v -timeout 15m -args -scale
//
// docs/scale.md has its figures.
//
// It needs neither pods that run nor Nodes, so it needs no kwok: the webhook, the claims controller and the
// binder read what is stored of a pod, never where it runs, and no pod is scheduled.
package scale

import (
	"flag"
	"os"
	"testing"

	"github.com/pipeline-storage/pipeline-storage/test/controlplane"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

// Flags, after -args.
var (
	enabled    = flag.Bool("scale", false, "measure; without it nothing happens")
	namespaces = flag.Int("namespaces", 500, "namespaces with labelled pods")
	pods       = flag.Int("pods", 10_000, "labelled pods, and as many without the label")
	rate       = flag.Int("rate", 250, "pods created a second, at most")
)

func TestMain(m *testing.M) { os.Exit(suite.Main(m, controlplane.Options{Controllers: true})) }
