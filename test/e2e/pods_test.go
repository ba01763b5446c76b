package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/test/node"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

// podLimit is how long a pod may take to end, including the creation of its volume on a busy
// machine.
const podLimit = 3 * time.Minute

// Output of the box program; the comment of package box names the command of each.
type (
	file struct {
		Path   string `json:"path"`
		Bytes  int64  `json:"bytes"`
		SHA256 string `json:"sha256"`
		Error  string `json:"error"`
	}
	verified struct {
		Files []file `json:"files"`
		Bad   int    `json:"bad"`
	}
	identity struct {
		User         int    `json:"uid"`
		Group        int    `json:"gid"`
		Groups       []int  `json:"groups"`
		Seccomp      int    `json:"seccomp"`
		NoNewPrivs   int    `json:"noNewPrivs"`
		Capabilities string `json:"capabilities"`
		WritableRoot bool   `json:"writableRoot"`
	}
)

// newNamespace creates a namespace for one test, which is deleted when the test ends.
func newNamespace(t *testing.T) string {
	t.Helper()
	return shared.Namespace(t, "e2e", nil)
}

// boxPod is a pod with the label, which runs the box program once. It names no volume: the
// injection adds it.
func boxPod(name string, args ...string) *corev1.Pod {
	grace := int64(1)
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{kinds.Label: kinds.LabelEnabled}},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, TerminationGracePeriodSeconds: &grace,
			Containers: []corev1.Container{{Name: "main", Image: node.BoxImage, Args: args}},
		},
	}
}

// withoutStorageLabel is a pod without the label.
func withoutStorageLabel(pod *corev1.Pod) *corev1.Pod {
	pod.Labels = nil
	return pod
}

// created creates a pod and returns it as it was admitted.
func created(t *testing.T, namespace string, pod *corev1.Pod) *corev1.Pod {
	t.Helper()
	made, err := shared.Client.CoreV1().Pods(namespace).Create(t.Context(), pod, metav1.CreateOptions{})
	require.NoError(t, err)
	describeOnFailure(t, namespace, pod.Name)
	return made
}

// runPod creates a pod, waits until it has succeeded, and returns its log.
func runPod(t *testing.T, namespace string, pod *corev1.Pod) string {
	t.Helper()
	phase, log := tryPod(t, namespace, pod)
	require.Equal(t, corev1.PodSucceeded, phase, "%s/%s logged:\n%s", namespace, pod.Name, log)
	return log
}

// tryPod creates a pod, waits until it has ended, and returns its phase and its log.
func tryPod(t *testing.T, namespace string, pod *corev1.Pod) (corev1.PodPhase, string) {
	t.Helper()
	created(t, namespace, pod)
	ended := awaitPod(t, namespace, pod.Name, func(p *corev1.Pod) bool {
		return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
	})
	return ended.Status.Phase, logs(t, namespace, pod.Name)
}

// startPod creates a pod and waits until all its containers run and are ready.
func startPod(t *testing.T, namespace string, pod *corev1.Pod) *corev1.Pod {
	t.Helper()
	created(t, namespace, pod)
	return awaitPod(t, namespace, pod.Name, isReady)
}

// awaitPod waits until a pod is as it should be and returns it.
func awaitPod(t *testing.T, namespace, name string, is func(*corev1.Pod) bool) (found *corev1.Pod) {
	t.Helper()
	suite.EventuallyWithin(t, podLimit, "the pod "+namespace+"/"+name+" should get there",
		func(ctx context.Context) error {
			pod, err := shared.Client.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			if !is(pod) {
				return fmt.Errorf("it is %s: %s", pod.Status.Phase, why(pod))
			}
			found = pod
			return nil
		})
	return found
}

// deletePod deletes a pod and waits until it no longer exists.
func deletePod(t *testing.T, namespace, name string) {
	t.Helper()
	pods := shared.Client.CoreV1().Pods(namespace)
	require.NoError(t, pods.Delete(t.Context(), name, metav1.DeleteOptions{}))
	suite.EventuallyWithin(t, podLimit, "the pod "+namespace+"/"+name+" should go", func(ctx context.Context) error {
		_, err := pods.Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("it is there: %w", err)
	})
}

// runJob runs a pod by a Job of the same name, without a retry, waits until it has succeeded, and
// returns the pod's log.
func runJob(t *testing.T, namespace string, pod *corev1.Pod) string {
	t.Helper()
	none := int32(0)
	jobs := shared.Client.BatchV1().Jobs(namespace)
	_, err := jobs.Create(t.Context(), &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: pod.Name},
		Spec: batchv1.JobSpec{
			BackoffLimit: &none,
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: pod.Labels, Annotations: pod.Annotations}, Spec: pod.Spec,
			},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)

	failed := false
	suite.EventuallyWithin(t, podLimit, "the Job "+namespace+"/"+pod.Name+" should end",
		func(ctx context.Context) error {
			job, err := jobs.Get(ctx, pod.Name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			failed = job.Status.Failed > 0
			if job.Status.Succeeded == 0 && !failed {
				return fmt.Errorf("%d of its pods run", job.Status.Active)
			}
			return nil
		})

	pods, err := shared.Client.CoreV1().Pods(namespace).
		List(t.Context(), metav1.ListOptions{LabelSelector: batchv1.JobNameLabel + "=" + pod.Name})
	require.NoError(t, err)
	require.Len(t, pods.Items, 1)
	describeOnFailure(t, namespace, pods.Items[0].Name)
	log := logs(t, namespace, pods.Items[0].Name)
	require.False(t, failed, "the Job %s/%s failed and logged:\n%s", namespace, pod.Name, log)
	return log
}

// logs returns a pod's log so far.
func logs(t *testing.T, namespace, name string) string {
	t.Helper()
	text, err := logOf(t.Context(), shared.Client, namespace, name)
	require.NoError(t, err)
	return text
}

// logOf returns a pod's log so far, or the termination message of box, which has the same text, where a container
// has ended before containerd had opened its output ("Failed to pipe stdout").
func logOf(ctx context.Context, client kubernetes.Interface, namespace, name string) (string, error) {
	pods := client.CoreV1().Pods(namespace)
	text, err := pods.GetLogs(name, &corev1.PodLogOptions{}).DoRaw(ctx)
	if err != nil || len(text) > 0 {
		return string(text), err
	}
	pod, err := pods.Get(ctx, name, metav1.GetOptions{})
	if err != nil || len(pod.Status.ContainerStatuses) == 0 || pod.Status.ContainerStatuses[0].State.Terminated == nil {
		return "", err
	}
	return pod.Status.ContainerStatuses[0].State.Terminated.Message, nil
}

// every decodes each line of a log that is JSON.
func every[T any](t *testing.T, log string) []T {
	t.Helper()
	var all []T
	for line := range strings.Lines(log) {
		if !strings.HasPrefix(line, "{") && !strings.HasPrefix(line, "[") {
			continue
		}
		var one T
		require.NoError(t, json.Unmarshal([]byte(line), &one), line)
		all = append(all, one)
	}
	return all
}

// last decodes the last line of a log that is JSON.
func last[T any](t *testing.T, log string) T {
	t.Helper()
	all := every[T](t, log)
	require.NotEmpty(t, all, log)
	return all[len(all)-1]
}

func isReady(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

// why returns what a pod waits for.
func why(pod *corev1.Pod) string {
	var all []string
	for _, status := range pod.Status.ContainerStatuses {
		if status.State.Waiting != nil {
			all = append(all, status.Name+" waits: "+status.State.Waiting.Reason+" "+status.State.Waiting.Message)
		}
	}
	for _, condition := range pod.Status.Conditions {
		if condition.Status != corev1.ConditionTrue {
			all = append(all, string(condition.Type)+": "+condition.Message)
		}
	}
	return strings.Join(all, "; ")
}

// describeOnFailure has the pod, its events and its log in the output of a test that fails.
func describeOnFailure(t *testing.T, namespace, name string) {
	t.Helper()
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		ctx := context.WithoutCancel(t.Context())
		pod, err := shared.Client.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			t.Logf("%s/%s: %v", namespace, name, err)
			return
		}
		spec, _ := json.MarshalIndent(pod.Spec, "", " ")
		t.Logf("%s/%s is %s: %s\n%s", namespace, name, pod.Status.Phase, why(pod), spec)
		events, err := shared.Client.CoreV1().Events(namespace).
			List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.name=" + name})
		if err == nil {
			for _, event := range events.Items {
				t.Logf("%s: %s", event.Reason, event.Message)
			}
		}
		text, err := logOf(ctx, shared.Client, namespace, name)
		t.Logf("log of %s/%s: %s (%v)", namespace, name, text, err)
	})
}
