package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pipeline-storage/pipeline-storage/test/cluster"
)

// TestImageServes checks the processes of the webhook: the kernel must enforce what the chart
// requests.
func TestImageServes(t *testing.T) {
	requireNode(t)
	t.Parallel()

	namespace, err := shared.Client.CoreV1().Namespaces().Get(t.Context(), releaseNamespace, metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, restricted, namespace.Labels[enforceLabel], "it would accept pods that are not restricted, too")

	pods, err := shared.Client.CoreV1().Pods(releaseNamespace).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	require.NotEmpty(t, pods.Items)

	for _, pod := range pods.Items {
		require.Len(t, pod.Status.ContainerStatuses, 1)
		assert.True(t, isReady(&pod))
		assert.Contains(t, pod.Status.ContainerStatuses[0].Image, cluster.ProductRepository+":")
		checkProcess(t, pod)
		for line := range strings.Lines(logs(t, releaseNamespace, pod.Name)) {
			isEnd := strings.HasPrefix(line, program+": ") // the reason why a process ended, such as a lost Lease
			assert.True(t, isEnd || json.Valid([]byte(line)) && line[0] == '{', "a log has one JSON object a line: %s", line)
		}
	}
	assert.Empty(t, eventsAboutWebhook(t), "a healthy cluster has none")
}

// eventsAboutWebhook are those about the shared installation itself: its configuration, and other
// installations.
func eventsAboutWebhook(t *testing.T) (notes []string) {
	t.Helper()
	events, err := shared.Client.EventsV1().Events("").List(t.Context(),
		metav1.ListOptions{FieldSelector: "reportingController=pipeline-storage"})
	require.NoError(t, err)
	for i := range events.Items {
		e := &events.Items[i]
		if e.Regarding.Namespace == releaseNamespace || e.Regarding.Name == releaseNamespace+"."+deployment {
			notes = append(notes, e.Reason+" "+e.Note)
		}
	}
	return notes
}

func checkProcess(t *testing.T, pod corev1.Pod) {
	t.Helper()
	processes, err := shared.Node.Processes(pod.UID)
	require.NoError(t, err)
	require.Len(t, processes, 1, "the webhook starts no other program")
	process := fmt.Sprintf("/proc/%d", processes[0].PID)
	assert.Equal(t, "webhook", processes[0].Name)

	status := statusOf(t, process)
	assert.Equal(t, "2", status["Seccomp"], "a filter of system calls")
	assert.Equal(t, "1", status["NoNewPrivs"])
	assert.Equal(t, []string{"65532", "65532", "65532", "65532"}, strings.Fields(status["Uid"]))
	assert.Equal(t, []string{"65532", "65532", "65532", "65532"}, strings.Fields(status["Gid"]))
	for _, set := range []string{"CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb"} {
		assert.Equal(t, "0000000000000000", status[set], set)
	}

	assert.Contains(t, rootOptions(t, process), "ro")
	for _, path := range []string{"/trial", "/tmp/trial", "/home/nonroot/trial", "/webhook"} {
		file, err := os.OpenFile(process+"/root"+path, os.O_CREATE|os.O_WRONLY, 0o600)
		if assert.Error(t, err, "not even root can write %s", path) {
			continue
		}
		assert.NoError(t, file.Close())
	}
}

// statusOf returns the kernel's status of a process.
func statusOf(t *testing.T, process string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(process + "/status")
	require.NoError(t, err)
	status := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		status[name] = strings.TrimSpace(value)
	}
	return status
}

// rootOptions returns how the root file system of a process is mounted.
func rootOptions(t *testing.T, process string) []string {
	t.Helper()
	text, err := os.ReadFile(process + "/mounts")
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); fields[1] == "/" {
			return strings.Split(fields[3], ",")
		}
	}
	require.Fail(t, "it has no root")
	return nil
}

// TestRestrictedPod has a pod write that is not root, in a namespace that accepts restricted pods
// only: the injection must not get it refused.
func TestRestrictedPod(t *testing.T) {
	requireNode(t)
	t.Parallel()
	namespace := shared.Namespace(t, "e2e", map[string]string{enforceLabel: restricted})
	who := last[identity](t, runPod(t, namespace, hardened(boxPod("who", "whoami"))))
	assert.Equal(t, identity{
		User: 1000, Group: 1000, Groups: []int{1000}, Seccomp: 2, NoNewPrivs: 1,
		Capabilities: "0000000000000000", WritableRoot: false,
	}, who)
	written := last[file](t, runPod(t, namespace, hardened(boxPod("writer", "write", "/data", "numbers", "1024"))))
	found := last[verified](t, runPod(t, namespace, hardened(boxPod("reader", "verify", "/data"))))
	assert.Equal(t, []file{written}, found.Files)
}

// hardened has a pod meet the restricted Pod Security Standard, as the user 1000.
func hardened(pod *corev1.Pod) *corev1.Pod {
	yes, no, user := true, false, int64(1000)
	pod.Spec.SecurityContext = &corev1.PodSecurityContext{
		RunAsNonRoot: &yes, RunAsUser: &user, RunAsGroup: &user,
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
	pod.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{
		AllowPrivilegeEscalation: &no, ReadOnlyRootFilesystem: &yes,
		Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
	return pod
}
