// Package webhook tests the webhook as users have it: its chart, installed by real Helm into a real
// control plane, whose API server calls the program's replicas through their Service.
package webhook

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/test/cluster"
)

const (
	chart            = "../../charts/pipeline-storage"
	image            = "ghcr.io/pipeline-storage/pipeline-storage"
	release          = "ps"
	releaseNamespace = "storage"
	deployment       = "ps-pipeline-storage"
)

// shared is the cluster of the tests that do not harm it, with one installation for all of them.
var shared *cluster.Cluster

func TestMain(m *testing.M) {
	os.Exit(cluster.Main(m, cluster.Setup{
		Programs: map[string]string{"webhook": "../../cmd/webhook"},
		Before: func(ctx context.Context, c *cluster.Cluster) error {
			shared = c
			if !cluster.Isolated() {
				return nil
			}
			return install(ctx, c, release, releaseNamespace)
		},
	}))
}

// install installs the chart with Helm 4 and returns when its replicas are ready.
func install(ctx context.Context, c *cluster.Cluster, release, namespace string, values ...string) error {
	c.Kubelet.Register(image,
		cluster.Image{Program: cluster.Program("webhook"), Entrypoint: "/webhook", User: 65532, Group: 65532})
	helm, err := c.Helm(ctx, "helm4")
	if err != nil {
		return err
	}
	out, err := helm.Run(ctx, append(append(arguments("install", release, namespace), "--create-namespace"), values...)...)
	if err != nil {
		return errors.Join(fmt.Errorf("install the chart: %w", err), errors.New(out))
	}
	return nil
}

// arguments are Helm's, to install or upgrade the chart.
func arguments(command, release, namespace string) []string {
	return []string{
		command, release, chart, "--namespace", namespace, "--wait", "--timeout", "2m",
		"--values", "testdata/values.yaml",
	}
}

// isolate skips where pods cannot run their program.
func isolate(t *testing.T) {
	t.Helper()
	if !cluster.Isolated() {
		cluster.Uncovered(t, "the webhook behind its Service")
		t.Skip("no network namespace")
	}
}

// requireWebhook is for tests that need the shared installation.
func requireWebhook(t *testing.T) {
	t.Helper()
	isolate(t)
	require.NotNil(t, shared)
}
