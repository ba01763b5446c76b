// Package e2e tests the product as users have it, on a real node: the image, built from the
// Dockerfile, installed by Helm from the chart, beside a real provisioner; pods that write, are
// deleted, and read again what they wrote. See packages cluster and node
// for what is real.
//
//	go test ./test/e2e                     # the short form: minutes
//	go test ./test/e2e -timeout 90m -args -full   # all of it
//	go test ./test/e2e -run TestCostOf -v -timeout 90m -args -cost FILE   # what it costs: figures, no proof
//
// It needs Linux and root. On other machines every test is skipped, with a message: see
// cluster.RequireEnv.
//
// # How to write a test
//
// Each test begins with [requireNode], or with [requireFull] if it takes more than about half a
// minute. The cluster is shared, with one installation of the chart, release ps in the namespace
// storage, whose values are testdata/values.yaml. A test that harms either of them must not be
// parallel and must restore them; all others call t.Parallel and have a namespace of their own:
//
//	func TestDataIsFoundAgain(t *testing.T) {
//		requireNode(t)
//		t.Parallel()
//		namespace := newNamespace(t)
//
//		written := last[file](t, runPod(t, namespace, boxPod("writer", "write", "/data", "numbers", "1048576")))
//		deletePod(t, namespace, "writer")
//		found := last[verified](t, runPod(t, namespace, boxPod("reader", "verify", "/data")))
//		require.Equal(t, []file{written}, found.Files)
//	}
//
// [boxPod] is a pod with the label, as users write it: without a volume. Change it before it is
// created as a test needs. [withoutStorageLabel] removes the label. The comment of package box has
// the commands of the box program; its output is file, verified, trained, recorded, owned and identity
// here, one JSON object a line.
//
// A story about data begins with [inBothModes] in place of these lines: the chart is installed once more in mode
// policy, release policies in the namespace policies, with the same values.
//
//   - [runPod] and [runJob] create, wait for the end, and return the log; they fail the test if the
//     program failed, and then the test's output has the pod, its events and its log. [tryPod]
//     returns the phase instead.
//   - [startPod] creates and waits until all containers run. [deletePod] deletes and waits until it
//     no longer exists.
//   - [logs] is a pod's log so far; [last] decodes its last line, [every] all lines.
//   - [created] creates a pod and returns it as it was admitted.
//   - shared.Node kills and restarts (Kill, Restart, Crash, Boot; shared.AwaitNode), shared.Plane
//     kills and revives the control plane, shared.SlowAPI makes the API server slow for pods,
//     shared.Plane.Audit returns all requests.
package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sync/errgroup"
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
	// policyRelease is the release in mode policy, with the namespace of this name.
	policyRelease = "policies"

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
			var all errgroup.Group
			all.Go(func() error { return install(ctx, release, releaseNamespace) })
			all.Go(func() error {
				return install(ctx, policyRelease, policyRelease, servingOnly(policyRelease), "mode=policy", "replicas=1")
			})
			return all.Wait()
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

// inBothModes runs a story twice, side by side: in a namespace that the webhook serves, and in one of mode policy.
func inBothModes(t *testing.T, story func(t *testing.T, namespace string)) {
	t.Helper()
	requireNode(t)
	t.Parallel()
	for mode, labels := range map[string]map[string]string{
		"webhook": nil, "policy": {"installation": policyRelease},
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			story(t, shared.Namespace(t, "e2e-"+mode, labels))
		})
	}
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
