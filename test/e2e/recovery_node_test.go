package e2e

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/test/node"
)

func TestDataOutlivesControlPlane(t *testing.T) {
	requireNode(t)
	namespace := newNamespace(t)
	written := []file{writeIn(t, namespace, "/data", bytes)}
	survives(t, "etcd, API server, controller manager and scheduler are killed and started", written,
		readIn(t, namespace, "/data"), func() {
			all := []string{"kube-scheduler", "kube-controller-manager", "kube-apiserver", "etcd"}
			for _, part := range all {
				require.NoError(t, shared.Plane.Kill(part))
			}
			for _, part := range slices.Backward(all) {
				require.NoError(t, shared.Plane.Revive(t.Context(), part))
			}
			awaitRelease(t)
		})
}

func TestDataOutlivesNode(t *testing.T) {
	requireNode(t)
	namespace := newNamespace(t)
	written := []file{writeIn(t, namespace, "/data", bytes)}
	for _, part := range []string{node.Kubelet, node.Containerd} {
		survives(t, part+" is killed and started", written, readIn(t, namespace, "/data"), func() {
			require.NoError(t, shared.Node.Kill(part))
			require.NoError(t, shared.Node.Restart(t.Context(), part))
		})
	}
	survives(t, "the node loses power and boots", written, readIn(t, namespace, "/data"), func() {
		require.NoError(t, shared.Node.Crash())
		require.NoError(t, shared.Node.Boot(t.Context()))
		require.NoError(t, shared.AwaitNode(t.Context()))
		awaitRelease(t)
	})
}
