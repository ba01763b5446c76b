package cluster

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func intPort(number int32) intstr.IntOrString { return intstr.FromInt32(number) }

func TestExpand(t *testing.T) {
	t.Parallel()

	env := map[string]string{"A": "one", "B": "$(A)"}

	for text, want := range map[string]string{
		"":               "",
		"plain":          "plain",
		"$(A)":           "one",
		"-$(A)-$(A)-":    "-one-one-",
		"$(B)":           "$(A)",
		"$(C)":           "$(C)",
		"$$(A)":          "$(A)",
		"$$$(A)":         "$one",
		"$A $(A":         "$A $(A",
		"$":              "$",
		"price 5$ $(A)$": "price 5$ one$",
	} {
		assert.Equal(t, want, expand(text, env), text)
	}
}

func TestRepositoryOf(t *testing.T) {
	t.Parallel()

	for image, want := range map[string]string{
		"a":                           "a",
		"a:v1":                        "a",
		"host:5000/a/b":               "host:5000/a/b",
		"host:5000/a/b:v1":            "host:5000/a/b",
		"host/a:v1@sha256:0123456789": "host/a",
	} {
		assert.Equal(t, want, repositoryOf(image))
	}
}

func TestReusesAddressesLast(t *testing.T) {
	t.Parallel()

	p := &pool{used: map[netip.Addr]bool{}, last: gateway}

	first, err := p.allocate()
	require.NoError(t, err)
	p.release(first)

	second, err := p.allocate()
	require.NoError(t, err)
	assert.Equal(t, first.Next(), second)

	used := map[netip.Addr]bool{second: true}

	const all = 1<<16 - 3 // without the network's, the gateway's and the broadcast's

	for range all - 1 {
		address, err := p.allocate()
		require.NoError(t, err)
		require.False(t, used[address])

		used[address] = true
	}

	assert.True(t, used[first])
	assert.NotContains(t, used, gateway)
	assert.NotContains(t, used, netip.MustParseAddr("10.203.255.255"))
	assert.NotContains(t, used, podNetwork.Addr())

	_, err = p.allocate()
	require.EqualError(t, err, "all addresses of 10.203.0.0/16 are in use")
}

func TestReplacesFilesAtomically(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	write := func(files map[string]file) {
		for name, f := range files {
			f.owner = -1
			files[name] = f
		}

		require.NoError(t, writeAtomically(dir, files, -1))
	}

	write(map[string]file{"a": {text: []byte("1"), mode: 0o600}, "deep/b": {text: []byte("1"), mode: 0o644}})

	opened, err := os.Open(at("a"))
	require.NoError(t, err)

	defer opened.Close()

	info, err := opened.Stat()
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode())

	first, err := os.Readlink(at(currentLink))
	require.NoError(t, err)

	write(map[string]file{"a": {text: []byte("2"), mode: 0o644}, "c": {text: []byte("2"), mode: 0o644}})

	for name, want := range map[string]string{"a": "2", "c": "2"} {
		text, err := os.ReadFile(at(name))
		require.NoError(t, err)
		assert.Equal(t, want, string(text))
	}

	assert.NoFileExists(t, at("deep/b"))
	assert.NoDirExists(t, at(first))

	link, err := os.Readlink(at("a"))
	require.NoError(t, err)
	assert.Equal(t, "..data/a", link, "programs watch for the change of ..data")
}

func TestLoad(t *testing.T) {
	t.Parallel()

	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()

	errOdd := errors.New("odd")

	var most atomic.Int64

	stats := Load(ctx, 100, func(ctx context.Context, i int) error {
		most.Store(max(most.Load(), int64(i)))
		time.Sleep(50 * time.Millisecond) // so that calls are under way when the load ends

		if ctx.Err() != nil {
			return ctx.Err()
		}

		if i%2 == 1 {
			return errOdd
		}

		return nil
	})

	assert.InDelta(t, 100, stats.Done+stats.Failed, 20)
	assert.InDelta(t, stats.Done, stats.Failed, 1)
	assert.Zero(t, stats.Missed)
	assert.Len(t, stats.Latencies, stats.Done)
	assert.Len(t, stats.Errors, mostErrors)
	assert.Equal(t, int64(stats.Done+stats.Failed-1), most.Load())

	for _, err := range stats.Errors {
		require.ErrorIs(t, err, errOdd, "the end of the load should end no call")
	}

	assert.GreaterOrEqual(t, stats.Quantile(0), 50*time.Millisecond)
	assert.GreaterOrEqual(t, stats.Quantile(1), stats.Quantile(0.5))
	assert.GreaterOrEqual(t, stats.Elapsed, time.Second)
	assert.Zero(t, Stats{}.Quantile(0.5))
}

func TestLoadIsBounded(t *testing.T) {
	t.Parallel()

	ctx, cancel := context.WithCancel(t.Context())
	release := make(chan struct{})

	var under atomic.Int64

	go func() {
		assert.Eventually(t, func() bool { return under.Load() == mostCalls }, time.Minute, time.Millisecond)
		time.AfterFunc(100*time.Millisecond, func() { cancel(); close(release) })
	}()

	stats := Load(ctx, 10000, func(context.Context, int) error {
		under.Add(1)
		<-release

		return nil
	})

	assert.Equal(t, mostCalls, stats.Done)
	assert.Positive(t, stats.Missed)
}

func TestConditionsRetainTransitionTime(t *testing.T) {
	t.Parallel()

	pod := &corev1.Pod{Spec: corev1.PodSpec{ReadinessGates: []corev1.PodReadinessGate{{ConditionType: "gate"}}}}
	yes := true
	status := corev1.PodStatus{
		Phase:             corev1.PodRunning,
		ContainerStatuses: []corev1.ContainerStatus{{Ready: true, Started: &yes}},
	}

	first := conditions(pod, status)
	assert.Equal(t, corev1.ConditionTrue, find(first, corev1.ContainersReady).Status)
	assert.Equal(t, corev1.ConditionFalse, find(first, corev1.PodReady).Status, "the gate is closed")

	gate := corev1.PodCondition{Type: "gate", Status: corev1.ConditionTrue}
	pod.Status.Conditions = append(slices.Clone(first), gate)
	for i := range pod.Status.Conditions {
		pod.Status.Conditions[i].LastTransitionTime.Time = time.Unix(1, 0)
	}

	second := conditions(pod, status)
	assert.Equal(t, corev1.ConditionTrue, find(second, corev1.PodReady).Status)
	assert.NotEqual(t, time.Unix(1, 0), find(second, corev1.PodReady).LastTransitionTime.Time)
	assert.Equal(t, time.Unix(1, 0), find(second, corev1.ContainersReady).LastTransitionTime.Time)
}

func find(all []corev1.PodCondition, kind corev1.PodConditionType) corev1.PodCondition {
	for _, c := range all {
		if c.Type == kind {
			return c
		}
	}

	return corev1.PodCondition{}
}
