package e2e

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// sample is the state of a replica and its Service at one moment.
type sample struct {
	at                              time.Time
	ready, served, answered, closes bool
}

// replicaDrains deletes a replica and checks the order of what follows: it reports that it is not
// ready, the Service removes it, it answers until its drain is over, closing clients' connections,
// and ends with the code 0.
func replicaDrains(t *testing.T, s *installation, namespace string) {
	pods, err := s.pods(t.Context())
	require.NoError(t, err)
	victim := &pods[0]
	client := s.reviewer(t, victim)
	ended := s.followEnds(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ended.when(victim.Name, cancel) // nothing answers for the address of a pod that has ended, not even with an error

	begun := time.Now()
	require.NoError(t, shared.Client.CoreV1().Pods(s.releaseNamespace).Delete(ctx, victim.Name, metav1.DeleteOptions{}))
	var samples []sample
	for ctx.Err() == nil {
		if now := s.sample(ctx, victim, client, namespace); ctx.Err() == nil {
			samples = append(samples, now)
		}
	}

	assert.Zero(t, ended.code(t, victim.Name))
	assertDrained(t, samples, begun)
}

func (i *installation) sample(ctx context.Context, pod *corev1.Pod, client *reviewer, namespace string) sample {
	now := sample{at: time.Now()}
	closes, err := client.review(ctx, namespace)
	now.answered, now.closes = err == nil, closes
	status, _, err := get(ctx, pod, healthPort, "/readyz")
	now.ready = err == nil && status == http.StatusOK
	known, err := i.endpoints(ctx)
	now.served = err != nil || slices.Contains(known, pod.Status.PodIP)
	return now
}

func assertDrained(t *testing.T, samples []sample, begun time.Time) {
	t.Helper()
	after := func(index int) time.Duration { return samples[index].at.Sub(begun).Round(time.Millisecond) }
	unready := slices.IndexFunc(samples, func(s sample) bool { return !s.ready })
	withoutEndpoint := slices.IndexFunc(samples, func(s sample) bool { return !s.served })
	require.GreaterOrEqual(t, unready, 0, "it was never not ready")
	require.GreaterOrEqual(t, withoutEndpoint, 0, "the Service never removed it")
	silent := slices.IndexFunc(samples, func(s sample) bool { return !s.answered })
	if silent < 0 { // it ended before another request
		silent = len(samples) - 1
	}
	require.Positive(t, silent, "it never answered")
	t.Logf("not ready %s after it was deleted, without its Service after %s, silent after %s", after(unready),
		after(withoutEndpoint), after(silent))
	assert.GreaterOrEqual(t, after(silent), drain-200*time.Millisecond, "it must answer until the drain is over")
	assert.Less(t, after(unready), drain/2, "it must report at once that it is not ready")
	assert.Less(t, after(withoutEndpoint), drain, "the Service must remove it while it answers")
	for _, s := range samples[silent+1:] {
		assert.False(t, s.answered, "it was silent and answered again")
	}
	assert.True(t, samples[silent-1].closes, "a replica must ask its clients to open another connection")
}

// exitCodes has the codes with which the processes of deleted pods ended.
type exitCodes struct {
	mutex sync.Mutex
	codes map[string]int32
	// then is called once when the pod's process has ended.
	then map[string]func()
}

// followEnds watches the installation's pods until the test ends.
func (i *installation) followEnds(t *testing.T) *exitCodes {
	t.Helper()
	events, err := shared.Client.CoreV1().Pods(i.releaseNamespace).Watch(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	t.Cleanup(events.Stop)
	e := &exitCodes{codes: map[string]int32{}, then: map[string]func(){}}
	go func() {
		for event := range events.ResultChan() {
			if pod, ok := event.Object.(*corev1.Pod); ok && event.Type == watch.Modified {
				e.record(pod)
			}
		}
	}()
	return e
}

func (e *exitCodes) record(pod *corev1.Pod) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	for i := range pod.Status.ContainerStatuses {
		if ended := pod.Status.ContainerStatuses[i].State.Terminated; ended != nil && pod.DeletionTimestamp != nil {
			e.codes[pod.Name] = ended.ExitCode
			if then := e.then[pod.Name]; then != nil {
				then()
			}
		}
	}
}

func (e *exitCodes) when(pod string, then func()) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	e.then[pod] = then
}

func (e *exitCodes) code(t *testing.T, pod string) int32 {
	t.Helper()
	e.mutex.Lock()
	defer e.mutex.Unlock()
	require.Contains(t, e.codes, pod, "the test missed its end")
	return e.codes[pod]
}
