// Package demo runs hack/demo-cluster.sh on a real node, for make demo-cluster and as a test.
package demo

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/test/cluster"
	"github.com/pipeline-storage/pipeline-storage/test/parts"
)

// image is the one with a shell that the node has: it pulls none.
const image = "busybox:latest"

var shared *cluster.Cluster

func TestMain(m *testing.M) {
	os.Exit(cluster.Main(m, cluster.Setup{
		Programs: map[string]string{
			"postrender":               "cmd/postrender",
			"kubectl-pipeline_storage": "cmd/kubectl-pipeline_storage",
		},
		Before: func(_ context.Context, c *cluster.Cluster) error {
			shared = c
			return nil
		},
	}))
}

// TestDemoCluster fails when a command fails, or when a pipeline does not find its data. The output
// is for people who watch: it goes to the terminal at once.
func TestDemoCluster(t *testing.T) {
	cluster.RequireNode(t)
	bin := t.TempDir()
	for name, program := range map[string]string{
		"helm":                     parts.Require(t, "helm3")["helm3"],
		"kubectl":                  parts.Require(t, "kubectl")["kubectl"],
		"postrender":               cluster.Program("postrender"),
		"kubectl-pipeline_storage": cluster.Program("kubectl-pipeline_storage"),
	} {
		require.NoError(t, os.Symlink(program, filepath.Join(bin, name)))
	}
	home := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "../../hack/demo-cluster.sh", image)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+shared.Plane.Kubeconfig, "HOME="+home,
		"PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	require.NoError(t, cmd.Run())
}
