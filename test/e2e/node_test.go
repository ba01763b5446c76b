package e2e

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pipeline-storage/pipeline-storage/test/cluster"
	"github.com/pipeline-storage/pipeline-storage/test/node"
	"github.com/pipeline-storage/pipeline-storage/test/parts"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

// recorded is what "box append" prints.
type recorded struct {
	Found    int  `json:"found"`
	Torn     bool `json:"torn"`
	Sequence int  `json:"sequence"`
}

// TestNodePartsRestart ends the node's parts under a pod that writes: the pod must not notice, and
// others must start after.
func TestNodePartsRestart(t *testing.T) {
	requireNode(t)
	namespace := newNamespace(t)
	writer := startPod(t, namespace, boxPod("writer", "append", "/data/records", "100ms"))
	awaitRecords(t, namespace, "writer", 5)

	for _, part := range []string{node.Kubelet, node.Containerd} {
		require.NoError(t, shared.Node.Kill(part))
		time.Sleep(time.Second)
		require.NoError(t, shared.Node.Restart(t.Context(), part))
	}
	require.NoError(t, shared.AwaitNode(t.Context()))
	awaitRelease(t) // a kubelet that starts considers every pod unready until it has probed it

	before := last[recorded](t, awaitLogs(t, namespace, "writer")).Sequence
	awaitRecords(t, namespace, "writer", before+5)
	pod, err := shared.Client.CoreV1().Pods(namespace).Get(t.Context(), "writer", metav1.GetOptions{})
	require.NoError(t, err)
	assert.Equal(t, writer.UID, pod.UID)
	assert.Zero(t, pod.Status.ContainerStatuses[0].RestartCount, "the pod continued")
	runPod(t, namespace, boxPod("other", "stat", "/data/records"))
}

// TestNodeCrash ends all processes of the node, as a loss of power would, and starts it again:
// every record that was reported as written to disk is found.
func TestNodeCrash(t *testing.T) {
	requireNode(t)
	crash(t, 1)
}

// TestNodeCrashes repeats TestNodeCrash with one writer.
func TestNodeCrashes(t *testing.T) {
	requireFull(t)
	crash(t, 5)
}

func crash(t *testing.T, times int) {
	t.Helper()
	namespace := newNamespace(t)
	writer := boxPod("writer", "append", "/data/records", "50ms")
	writer.Spec.RestartPolicy = corev1.RestartPolicyAlways
	startPod(t, namespace, writer)
	reported := 0

	for i := range times {
		awaitRecords(t, namespace, "writer", reported+10)
		reported = last[recorded](t, logs(t, namespace, "writer")).Sequence

		require.NoError(t, shared.Node.Crash())
		require.NoError(t, shared.Node.Boot(t.Context()))
		require.NoError(t, shared.AwaitNode(t.Context()))

		awaitPod(t, namespace, "writer", func(pod *corev1.Pod) bool {
			return isReady(pod) && int(pod.Status.ContainerStatuses[0].RestartCount) > i
		})
		all := every[recorded](t, awaitLogs(t, namespace, "writer"))
		require.NotEmpty(t, all)
		require.GreaterOrEqual(t, all[0].Found, reported, "after crash %d", i+1)
	}
	awaitRelease(t)
}

// TestKubectl uses kubectl, which sends requests to the kubelet through the API server.
func TestKubectl(t *testing.T) {
	requireNode(t)
	t.Parallel()
	namespace := newNamespace(t)
	startPod(t, namespace, boxPod("box", "append", "/data/records"))
	kubectl := parts.Require(t, "kubectl")["kubectl"]
	run := func(args ...string) string {
		command := exec.CommandContext(t.Context(), kubectl,
			append([]string{"--kubeconfig", shared.Plane.Kubeconfig, "--namespace", namespace}, args...)...)
		out, err := command.CombinedOutput()
		require.NoError(t, err, "%s", out)
		return string(out)
	}

	assert.Contains(t, run("logs", "box"), `"found":0`)
	assert.Equal(t, "/data/records", last[[]owned](t, run("exec", "box", "--", "/box", "stat", "/data/records"))[0].Path)
}

// TestKubeletIsLimitedToItsNode shows that the authorizer of nodes and NodeRestriction are in
// effect: the kubelet's own certificate reads no Secret that none of its pods has.
func TestKubeletIsLimitedToItsNode(t *testing.T) {
	requireNode(t)
	t.Parallel()
	namespace := newNamespace(t)
	_, err := shared.Client.CoreV1().Secrets(namespace).
		Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "others"}}, metav1.CreateOptions{})
	require.NoError(t, err)

	client := shared.NodeClient(t)
	_, err = client.CoreV1().Nodes().Get(t.Context(), cluster.RealNode, metav1.GetOptions{})
	require.NoError(t, err)
	_, err = client.CoreV1().Secrets(namespace).Get(t.Context(), "others", metav1.GetOptions{})
	require.ErrorContains(t, err, "no relationship found between node")
}

// TestSlowAPI shows that the API server is slow for pods when a test requests it, and only then.
func TestSlowAPI(t *testing.T) {
	requireNode(t)
	const delay = 300 * time.Millisecond
	versionTime := func() time.Duration {
		begun := time.Now()
		_, err := shared.PodClient(t).Discovery().ServerVersion()
		require.NoError(t, err)
		return time.Since(begun)
	}

	assert.Less(t, versionTime(), delay)
	shared.SlowAPI(delay)
	defer shared.SlowAPI(0)
	assert.Greater(t, versionTime(), delay)
	shared.SlowAPI(0)
	suite.Eventually(t, "it should be fast again", func(context.Context) error {
		if now := versionTime(); now >= delay {
			return fmt.Errorf("it took %s", now) // after everything that was under way
		}
		return nil
	})
}

// owned is what "box stat" prints about a path.
type owned struct {
	Path  string `json:"path"`
	User  int    `json:"uid"`
	Group int    `json:"gid"`
	Mode  string `json:"mode"`
}

// awaitRecords waits until "box append" has reported this many records.
func awaitRecords(t *testing.T, namespace, name string, count int) {
	t.Helper()
	suite.Eventually(t, "records should be written", func(context.Context) error {
		if found := last[recorded](t, awaitLogs(t, namespace, name)).Sequence; found < count {
			return fmt.Errorf("there are %d of %d", found, count)
		}
		return nil
	})
}

// awaitLogs is logs while the kubelet may not answer yet.
func awaitLogs(t *testing.T, namespace, name string) (text string) {
	t.Helper()
	suite.Eventually(t, "the kubelet should give the log", func(ctx context.Context) error {
		var err error
		if text, err = logOf(ctx, shared.Client, namespace, name); err == nil && text == "" {
			err = errors.New("it is empty")
		}
		return err
	})
	return text
}

// awaitRelease waits until the shared release answers, and continues to answer, after the node or
// its kubelet was down: a kubelet that starts considers every pod unready until it has probed it,
// and reports so a moment after it has begun.
func awaitRelease(t *testing.T) {
	t.Helper()
	const stableFor = 4 * time.Second
	var since time.Time
	suite.EventuallyWithin(t, podLimit, "the webhook should be ready again", func(ctx context.Context) error {
		if err := checkRelease(ctx); err != nil {
			since = time.Time{}
			return err
		}
		if since.IsZero() {
			since = time.Now()
		}
		if time.Since(since) < stableFor {
			return errors.New("it has only just begun to answer")
		}
		return nil
	})
}

// checkRelease returns why the shared release does not serve.
func checkRelease(ctx context.Context) error {
	found, err := shared.Client.AppsV1().Deployments(releaseNamespace).Get(ctx, deployment, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if found.Status.ReadyReplicas != *found.Spec.Replicas {
		return fmt.Errorf("%d of %d replicas are ready", found.Status.ReadyReplicas, *found.Spec.Replicas)
	}
	_, err = shared.Client.CoreV1().Pods("default").Create(ctx, boxPod("trial", "sleep", "1s"), dryRun)
	return err
}
