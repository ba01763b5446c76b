package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/pipeline-storage/pipeline-storage/test/cluster"
)

const (
	mountPath = "/data"
	// program is the name of the webhook's process on the node.
	program = "webhook"
	// noScheduler is a scheduler that does not exist: its pods cost no node anything.
	noScheduler = "no-scheduler"

	secondName       = "second"
	secondValues     = "testdata/second.yaml"
	secondDeployment = "second-pipeline-storage"

	retryPause = 200 * time.Millisecond
)

var seed = flag.Uint64("seed", 0, "choose faults by this number; 0 is another one each time, which is logged")

// random returns the source by which faults are chosen, one for each goroutine: the same flag gives
// the same faults.
func random(t *testing.T) func(stream uint64) *rand.Rand {
	t.Helper()
	chosen := *seed
	if chosen == 0 {
		chosen = rand.Uint64()
	}
	t.Logf("the faults of this run are those of -args -full -seed %d", chosen)
	return func(stream uint64) *rand.Rand { return rand.New(rand.NewPCG(chosen, stream)) }
}

// between returns a random duration.
func between(r *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(r.Int64N(int64(most-least)))
}

// pause returns false when ctx ends before.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// retry calls do until it succeeds, as a controller does, and returns its last error when ctx has
// ended.
func retry(ctx context.Context, what string, do func(context.Context) error) error {
	for {
		err := attempt(ctx, do)
		if err == nil {
			return nil
		}
		if !pause(ctx, retryPause) {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
}

// attempt limits one try: a killed API server may leave a connection without an answer.
func attempt(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	return do(ctx)
}

// idle is a labelled pod that no node will ever run.
func idle(name string) *corev1.Pod {
	pod := boxPod(name, "sleep")
	pod.Spec.SchedulerName = noScheduler
	return pod
}

// errNoStorage is the worst outcome: see hasStorage.
var errNoStorage = errors.New("a labelled pod was admitted without storage")

// hasStorage returns an error unless every container of an admitted pod has the volume of the
// default profile.
func hasStorage(pod *corev1.Pod) error {
	volume := ""
	for _, v := range pod.Spec.Volumes {
		if v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == claim {
			volume = v.Name
		}
	}
	for i := range pod.Spec.Containers {
		found := false
		for _, m := range pod.Spec.Containers[i].VolumeMounts {
			found = found || volume != "" && m.Name == volume && m.MountPath == mountPath
		}
		if !found {
			return fmt.Errorf("%w: %s/%s", errNoStorage, pod.Namespace, pod.Name)
		}
	}
	return nil
}

// loadClient makes many requests: it speaks protobuf, to leave the CPUs to the programs under test.
func loadClient(t *testing.T) kubernetes.Interface {
	t.Helper()
	config := rest.CopyConfig(shared.Config)
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.WarningHandler = rest.NoWarnings{}
	client, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	return client
}

// admit has a labelled pod admitted without creating it.
func admit(ctx context.Context, client kubernetes.Interface, namespace string) error {
	pod, err := client.CoreV1().Pods(namespace).Create(ctx, idle("dry"),
		metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	if err != nil {
		return err
	}
	return hasStorage(pod)
}

// underLoad runs do while labelled pods are admitted in a namespace, and returns the outcome. The
// test fails if one was admitted without storage.
func underLoad(t *testing.T, namespace string, rate int, do func()) cluster.Stats {
	t.Helper()
	client := loadClient(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan cluster.Stats, 1)
	go func() {
		done <- cluster.Load(ctx, rate, func(ctx context.Context, _ int) error {
			err := admit(ctx, client, namespace)
			if errors.Is(err, errNoStorage) {
				t.Error(err)
			}
			return err
		})
	}()
	do()
	cancel()
	stats := <-done
	t.Logf("%d admissions in %s, %d refused or failed, %d not made; 50%% in %s, 99%% in %s, the slowest in %s", stats.Done,
		stats.Elapsed.Round(time.Millisecond), stats.Failed, stats.Missed, stats.Quantile(.5).Round(time.Millisecond),
		stats.Quantile(.99).Round(time.Millisecond), stats.Quantile(1).Round(time.Millisecond))
	return stats
}

// assertNoneFailed checks that there was a load, and that every pod of it got its storage.
func assertNoneFailed(t *testing.T, stats cluster.Stats, rate int) {
	t.Helper()
	assert.Zero(t, stats.Failed, "%v", stats.Errors)
	assert.Greater(t, stats.Done, rate*int(stats.Elapsed.Seconds())/2, "this was no load")
}

// installation names an installation, with what the test last read of it: an API server that is
// down returns nothing.
type installation struct {
	releaseNamespace, deployment string

	mutex      sync.Mutex
	lastPods   []corev1.Pod
	leaderName string
}

// sharedInstallation is the installation that all tests share.
func sharedInstallation() *installation {
	return &installation{releaseNamespace: releaseNamespace, deployment: deployment}
}

// second installs the chart once more, for the namespaces with the label installation=second. It is
// uninstalled when the test ends.
func second(t *testing.T, more ...string) *installation {
	t.Helper()
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		helm, err := shared.Helm(ctx, "helm4")
		require.NoError(t, err)
		_, err = helm.Uninstall(ctx, secondName, secondName)
		assert.NoError(t, err)
		removeNamespace(t, secondName)
	})
	require.NoError(t,
		install(t.Context(), secondName, secondName, append([]string{"--values=" + secondValues}, more...)...))
	return &installation{releaseNamespace: secondName, deployment: secondDeployment}
}

// secondLabels are those of a namespace that the second installation serves.
func secondLabels() map[string]string { return map[string]string{"installation": secondName} }

// podsAndLeader returns the pods of the webhook and the name of the leader, as they are or as they
// were last read.
func (i *installation) podsAndLeader(ctx context.Context) (pods []corev1.Pod, leader string) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	i.mutex.Lock()
	defer i.mutex.Unlock()
	if list, err := shared.Client.CoreV1().Pods(i.releaseNamespace).List(ctx,
		metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=pipeline-storage"}); err == nil {
		i.lastPods = list.Items
	}
	if lease, err := shared.Client.CoordinationV1().Leases(i.releaseNamespace).Get(ctx, i.deployment,
		metav1.GetOptions{}); err == nil && lease.Spec.HolderIdentity != nil {
		i.leaderName, _, _ = strings.Cut(*lease.Spec.HolderIdentity, "_")
	}
	return i.lastPods, i.leaderName
}

// kill ends the processes of a replica as a crash would, and reports whether there were any. The
// kubelet starts others.
func kill(pod *corev1.Pod) (bool, error) {
	processes, err := shared.Node.Processes(pod.UID)
	if err != nil {
		return false, nil //nolint:nilerr // the pod does not run, so there is nothing to kill
	}
	killed := false
	for _, p := range processes {
		if p.Name != program {
			continue
		}
		switch err := syscall.Kill(p.PID, syscall.SIGKILL); {
		case err == nil:
			killed = true
		case !errors.Is(err, syscall.ESRCH):
			return killed, fmt.Errorf("kill the webhook in %s: %w", pod.Name, err)
		}
	}
	return killed, nil
}

// awaitServing waits until all replicas of an installation are ready and a labelled pod is
// admitted.
func (i *installation) awaitServing(t *testing.T, namespace string) {
	t.Helper()
	cluster.EventuallyWithin(t, podLimit, "the webhook should serve", func(ctx context.Context) error {
		d, err := shared.Client.AppsV1().Deployments(i.releaseNamespace).Get(ctx, i.deployment, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if d.Status.ReadyReplicas != *d.Spec.Replicas {
			return fmt.Errorf("%d of %d replicas are ready", d.Status.ReadyReplicas, *d.Spec.Replicas)
		}
		return admit(ctx, shared.Client, namespace)
	})
}

// transitions is how often the leader has changed, restarts how often a replica has ended.
func (i *installation) changes(t *testing.T) (transitions, restarts int) {
	t.Helper()
	lease, err := shared.Client.CoordinationV1().Leases(i.releaseNamespace).Get(t.Context(), i.deployment,
		metav1.GetOptions{})
	require.NoError(t, err)
	pods, _ := i.podsAndLeader(t.Context())
	for _, pod := range pods {
		for _, status := range pod.Status.ContainerStatuses {
			restarts += int(status.RestartCount)
		}
	}
	return int(*lease.Spec.LeaseTransitions), restarts
}

// user is the ServiceAccount of an installation, as the audit log has it.
func (i *installation) user() string {
	return "system:serviceaccount:" + i.releaseNamespace + ":" + i.deployment
}

// assertNothingDeleted checks that an installation has requested the deletion of no claim and no
// volume, and returns the number of its requests.
func (i *installation) assertNothingDeleted(t *testing.T) (requests map[string]int) {
	t.Helper()
	events, err := shared.Plane.Audit()
	require.NoError(t, err)
	requests = map[string]int{}
	for _, e := range events {
		if e.Actor() != i.user() || e.Object == nil {
			continue
		}
		requests[e.Verb+" "+e.Object.Resource]++
		if strings.HasPrefix(e.Verb, "delete") && strings.HasPrefix(e.Object.Resource, "persistentvolume") {
			assert.Fail(t, "deletion of data was requested", "%s %s", e.Verb, e.RequestURI)
		}
	}
	assert.NotEmpty(t, requests, "the audit log must have the webhook's requests, or their absence proves nothing")
	return requests
}

// isRefusal distinguishes an answer of the webhook, or of the API server in its place, from an API
// server that is down.
func isRefusal(err error) bool {
	return apierrors.IsForbidden(err) || strings.Contains(err.Error(), "failed calling webhook") ||
		strings.Contains(err.Error(), "denied the request")
}
