package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

const (
	slowRate = 20
	slowFor  = 15 * time.Second
	// uselessDelay is longer than a leader may take to renew its Lease, and than a connection may
	// take to be made.
	uselessDelay = 12 * time.Second
	uselessFor   = 45 * time.Second
)

// TestSlowAPIServer delays every message of the webhook, its claims controller and the provisioner
// to the API server. Admissions do not wait for it, claims come late, and the leader stays.
func TestSlowAPIServer(t *testing.T) {
	requireFull(t)
	t.Cleanup(func() { shared.SlowAPI(0) })
	crowd := newNamespace(t)
	sharedInstallation().awaitServing(t, crowd)
	transitions, restarts := sharedInstallation().changes(t)
	for _, delay := range []time.Duration{0, 500 * time.Millisecond, 2 * time.Second} {
		shared.SlowAPI(delay)
		stats := underLoad(t, crowd, slowRate, func() { time.Sleep(slowFor) })
		assertNoneFailed(t, stats, slowRate)
		if delay > 0 { // an admission that made a request would take longer than that, every time
			assert.Less(t, stats.Quantile(.5), delay/2, "an admission waits for no request of the webhook")
		}

		namespace := newNamespace(t)
		begun := time.Now()
		bound := make(chan time.Duration, 1)
		go func() {
			_ = retry(t.Context(), "wait for the claim", func(ctx context.Context) error {
				found, err := shared.Client.CoreV1().PersistentVolumeClaims(namespace).Get(ctx, claim, metav1.GetOptions{})
				if err == nil && found.Status.Phase != corev1.ClaimBound {
					err = fmt.Errorf("it is %s", found.Status.Phase)
				}
				return err
			})
			bound <- time.Since(begun)
		}()
		written := writeIn(t, namespace, mountPath, writtenBytes)
		wrote := time.Since(begun)
		require.Equal(t, []file{written}, last[verified](t, readIn(t, namespace, mountPath)()).Files)
		t.Logf("delay %s: 99%% of the admissions in %s, the claim of a new namespace bound after %s, its first data on "+
			"disk after %s", delay,
			stats.Quantile(.99).Round(time.Millisecond), (<-bound).Round(100*time.Millisecond),
			wrote.Round(100*time.Millisecond))
	}
	shared.SlowAPI(0)
	afterTransitions, afterRestarts := sharedInstallation().changes(t)
	assert.Equal(t, transitions, afterTransitions, "2 s are no reason to lose the lead")
	assert.Equal(t, restarts, afterRestarts, "nor to end")
}

// TestUselessAPIServer makes the API server so slow for pods that no leader can renew its Lease and
// no replica can start. Everything recovers by itself when the API server answers again, and until
// then no labelled pod is admitted without storage.
func TestUselessAPIServer(t *testing.T) {
	requireFull(t)
	t.Cleanup(func() { shared.SlowAPI(0) })
	namespace := newNamespace(t)
	written := writeIn(t, namespace, mountPath, writtenBytes)
	sharedInstallation().awaitServing(t, namespace)
	transitions, restarts := sharedInstallation().changes(t)

	shared.SlowAPI(uselessDelay)
	stats := underLoad(t, namespace, slowRate, func() { time.Sleep(uselessFor) })
	shared.SlowAPI(0)
	begun := time.Now()
	sharedInstallation().awaitServing(t, namespace)
	serving := time.Since(begun)
	other := newNamespace(t)
	second := writeIn(t, other, mountPath, writtenBytes)
	late := time.Since(begun)
	require.Equal(t, []file{written}, last[verified](t, readIn(t, namespace, mountPath)()).Files)
	require.Equal(t, []file{second}, last[verified](t, readIn(t, other, mountPath)()).Files)

	afterTransitions, afterRestarts := sharedInstallation().changes(t)
	suite.Eventually(t, "a replica should be the leader", func(ctx context.Context) error {
		lease, err := shared.Client.CoordinationV1().Leases(releaseNamespace).Get(ctx, deployment, metav1.GetOptions{})
		if err == nil && time.Since(lease.Spec.RenewTime.Time) > 5*time.Second {
			err = fmt.Errorf("the Lease was renewed %s ago", time.Since(lease.Spec.RenewTime.Time))
		}
		return err
	})
	t.Logf("%s with %s a message: %d admitted, %d refused, the lead changed %d times, replicas ended %d times; after "+
		"that all serve in %s and a new namespace has data in %s",
		uselessFor, uselessDelay, stats.Done, stats.Failed, afterTransitions-transitions, afterRestarts-restarts,
		serving.Round(100*time.Millisecond), late.Round(100*time.Millisecond))
}
