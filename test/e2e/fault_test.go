package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
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

	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

const (
	mountPath = "/data"
	// program is the name of the webhook's process on the node.
	program = "webhook"
	// noScheduler is a scheduler that does not exist: its pods cost no node anything.
	noScheduler = "no-scheduler"

	retryPause = 200 * time.Millisecond
	// admitLimit is how long one admission of a load may take.
	admitLimit = 30 * time.Second
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
func hasStorage(pod *corev1.Pod) error { return hasStorageAt(pod, mountPath) }

func hasStorageAt(pod *corev1.Pod, path string) error {
	volume := ""
	for _, v := range pod.Spec.Volumes {
		if v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == claim {
			volume = v.Name
		}
	}
	for i := range pod.Spec.Containers {
		found := false
		for _, m := range pod.Spec.Containers[i].VolumeMounts {
			found = found || volume != "" && m.Name == volume && m.MountPath == path
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
	return admitAt(ctx, client, namespace, mountPath)
}

// admitAt is admit where the default profile has another mount path.
func admitAt(ctx context.Context, client kubernetes.Interface, namespace, path string) error {
	pod, err := client.CoreV1().Pods(namespace).Create(ctx, idle("dry"), dryRun)
	if err != nil {
		return err
	}
	return hasStorageAt(pod, path)
}

// dryRun has an object admitted and not stored.
var dryRun = metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}

// underLoad runs do while labelled pods are admitted in a namespace, and returns the outcome. The
// test fails if one was admitted without storage.
func underLoad(t *testing.T, namespace string, rate int, do func()) suite.Stats {
	t.Helper()
	return underLoadOf(t, namespace, rate, math.MaxInt16, do)
}

// underLoadOf is underLoad with a limit of the admissions that are under way. Further ones wait, so
// that a busy machine makes fewer of them, and none fails for lack of CPU time.
func underLoadOf(t *testing.T, namespace string, rate, most int, do func()) suite.Stats {
	t.Helper()
	client := loadClient(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan suite.Stats, 1)
	underWay := make(chan struct{}, most)
	go func() {
		done <- suite.Load(ctx, rate, func(ctx context.Context, _ int) error {
			underWay <- struct{}{}
			defer func() { <-underWay }()
			// Time that was spent waiting is not the API server's.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), admitLimit)
			defer cancel()
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
func assertNoneFailed(t *testing.T, stats suite.Stats, rate int) {
	t.Helper()
	assert.Zero(t, stats.Failed, "%v", stats.Errors)
	assert.Greater(t, stats.Done, rate*int(stats.Elapsed.Seconds())/2, "this was no load")
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

// isRefusal distinguishes an answer of the webhook, or of the API server in its place, from an API
// server that is down.
func isRefusal(err error) bool {
	return apierrors.IsForbidden(err) || strings.Contains(err.Error(), "failed calling webhook") ||
		strings.Contains(err.Error(), "denied the request")
}
