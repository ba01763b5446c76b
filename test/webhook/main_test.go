// Package webhook tests the webhook as users have it: its chart, installed by real Helm into a real
// control plane, whose API server calls the program through its Service. The Nodes have no kubelet: the
// scheduler binds pods to them, and no container runs. What a running pod adds is that its processes find
// the data: see TestRetainsDataOfDeletedPod and TestJobResumesFromCheckpoint of test/e2e.
package webhook

import (
	"flag"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/test/controlplane"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

const (
	release          = "ps"
	releaseNamespace = "storage"
	webhookName      = "storage.pipeline-storage.io"
	claimName        = "pvc-data-pipeline"
)

// shared is the installation of the tests that do not harm it.
var (
	shared     *site
	sharedOnce sync.Once
)

func TestMain(m *testing.M) {
	// Most tests wait, for a controller or for a minute's pause, so more of them than CPUs run at once. A -parallel
	// of the command line wins.
	_ = flag.Set("test.parallel", "12")

	os.Exit(suite.Main(m, controlplane.Options{Controllers: true}))
}

// requireWebhook is for tests that need the shared installation, and two Nodes in a zone each.
func requireWebhook(t *testing.T) {
	t.Helper()
	sharedOnce.Do(func() {
		client := suite.Kubernetes(t)
		suite.AddNode(t, client, "node-1", "zone-a")
		suite.AddNode(t, client, "node-2", "zone-b")
		shared = install(t, suite.Installation{Release: release, Namespace: releaseNamespace})
	})
	require.NotNil(t, shared, "another test could not install the webhook")
}
