// Package scale measures what the webhook costs in a large cluster: memory of the replicas,
// requests to the API server, and the time until every namespace has its claim. It creates
// thousands of pods, which takes minutes, so it runs only with a flag:
//
//	go test ./test/scale -run TestScale -v -timeout 15m -args -scale
//
// docs/scale.md has its figures.
package scale

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/pipeline-storage/pipeline-storage/test/cluster"
)

const (
	chart            = "../../charts/pipeline-storage"
	image            = "ghcr.io/pipeline-storage/pipeline-storage"
	release          = "ps"
	releaseNamespace = "storage"
	deployment       = "ps-pipeline-storage"
)

// Flags, after -args.
var (
	enabled    = flag.Bool("scale", false, "measure; without it nothing happens")
	namespaces = flag.Int("namespaces", 500, "namespaces with labelled pods")
	pods       = flag.Int("pods", 10_000, "labelled pods, and as many without the label")
	rate       = flag.Int("rate", 250, "pods created a second, at most")
)

// shared is the cluster, nil without the flag.
var shared *cluster.Cluster

func TestMain(m *testing.M) {
	flag.Parse()
	if !*enabled {
		os.Exit(m.Run())
	}
	os.Exit(cluster.Main(m, cluster.Setup{
		Programs: map[string]string{"webhook": "../../cmd/webhook"},
		Before: func(ctx context.Context, c *cluster.Cluster) error {
			shared = c
			if !cluster.Isolated() {
				return errors.New("the replicas cannot run: this machine allows no network namespace")
			}
			return install(ctx, c)
		},
	}))
}

func install(ctx context.Context, c *cluster.Cluster) error {
	c.Kubelet.Register(image,
		cluster.Image{Program: cluster.Program("webhook"), Entrypoint: "/webhook", User: 65532, Group: 65532})
	helm, err := c.Helm(ctx, "helm4")
	if err != nil {
		return err
	}
	out, err := helm.Run(ctx, "install", release, chart, "--namespace", releaseNamespace, "--create-namespace", "--wait",
		"--timeout", "2m",
		"--values", "testdata/values.yaml")
	if err != nil {
		return errors.Join(fmt.Errorf("install the chart: %w", err), errors.New(out))
	}
	return nil
}
