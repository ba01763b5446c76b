package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pipeline-storage/pipeline-storage/test/cluster"
)

const (
	chart            = "../../charts/pipeline-storage"
	values           = "testdata/values.yaml"
	release          = "ps"
	releaseNamespace = "storage"
	deployment       = "ps-pipeline-storage"

	enforceLabel = "pod-security.kubernetes.io/enforce"
	restricted   = "restricted"
)

var (
	full = flag.Bool("full", false, "run the tests that take long, too")
	// shared is the cluster of all tests, with one installation.
	shared *cluster.Cluster
)

func TestMain(m *testing.M) {
	os.Exit(cluster.Main(m, cluster.Setup{
		Options: cluster.Options{AuditLog: true},
		Programs: map[string]string{
			"postrender":               "cmd/postrender",
			"kubectl-pipeline_storage": "cmd/kubectl-pipeline_storage",
		},
		Before: func(ctx context.Context, c *cluster.Cluster) error {
			shared = c
			return install(ctx, release, releaseNamespace)
		},
		After: onlyReadAndNeverDeleted,
	}))
}

// install installs the chart with Helm 4, into a namespace that accepts restricted pods only, and
// returns when it is ready.
func install(ctx context.Context, release, namespace string, more ...string) error {
	if _, err := shared.Client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{Name: namespace, Labels: map[string]string{enforceLabel: restricted}},
	}, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("make the namespace of the release: %w", err)
	}
	helm, err := shared.Helm(ctx, "helm4")
	if err != nil {
		return err
	}
	out, err := helm.Install(ctx, chart, release, namespace, append([]string{"--values=" + values}, more...)...)
	if err != nil {
		return errors.Join(fmt.Errorf("install the chart: %w", err), errors.New(out))
	}
	return nil
}

// requireNode is for every test of the short form.
func requireNode(t *testing.T) {
	t.Helper()
	cluster.RequireNode(t)
}

// requireFull is for tests that take long.
func requireFull(t *testing.T) {
	t.Helper()
	cluster.RequireNode(t)
	if !*full {
		t.Skip("not covered, because it is slow. Run: make e2e-full")
	}
}

// requireCost is for measurements that prove nothing: they run when their figures have a file.
func requireCost(t *testing.T) {
	t.Helper()
	cluster.RequireNode(t)
	if *costs == "" {
		t.Skip("not covered: it measures a cost. Run: make bench-cost")
	}
}
