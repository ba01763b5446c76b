package webhook

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/pipeline-storage/pipeline-storage/internal/certificates"
	"github.com/pipeline-storage/pipeline-storage/test/cluster"
)

const (
	// offered is the load of the tests under load, in admissions a second.
	offered = 200
	// around is how long the load runs before and after the operation under test.
	around = time.Second
)

// underLoad runs do while pods are admitted through the API server, and checks that every one of
// them was, with its storage. The rate is offered, not promised: a machine that cannot do it makes
// fewer requests, which is logged.
func (s *site) underLoad(t *testing.T, do func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan cluster.Stats, 1)
	go func() {
		done <- cluster.Load(ctx, offered, func(ctx context.Context, _ int) error {
			_, err := s.admit(ctx)
			return err
		})
	}()
	time.Sleep(around)
	do()
	time.Sleep(around)
	cancel()
	stats := <-done
	t.Logf("%d admissions in %s (%.0f/s of %d offered, %d not made because 256 were under way), 50%% in %s, 99%% in %s, "+
		"the slowest in %s",
		stats.Done, stats.Elapsed.Round(time.Millisecond), float64(stats.Done)/stats.Elapsed.Seconds(), offered, stats.Missed,
		stats.Quantile(.5).Round(time.Millisecond), stats.Quantile(.99).Round(time.Millisecond),
		stats.Quantile(1).Round(time.Millisecond))
	assert.Zero(t, stats.Failed, errorsOf(stats))
	assert.Greater(t, stats.Done, 10*int(stats.Elapsed.Seconds()), "this was no load")
}

// rolledUnderLoad does what kubectl rollout restart does.
func rolledUnderLoad(t *testing.T, s *site) {
	before := s.replicas()
	ended := s.followEnds(t)
	s.underLoad(t, func() {
		patch := fmt.Sprintf(`{"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":%q}}}}}`,
			time.Now().Format(time.RFC3339Nano))
		_, err := s.Client.AppsV1().Deployments(releaseNamespace).Patch(t.Context(), deployment,
			types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{})
		require.NoError(t, err)
		s.awaitReplaced(t, before)
	})
	for _, p := range before {
		code, err := ended.code(p.Pod)
		require.NoError(t, err)
		assert.Zero(t, code, "%s ended with another code than 0 after SIGTERM", p.Pod)
	}
}

// awaitReplaced waits until other replicas serve and the previous ones have ended.
func (s *site) awaitReplaced(t *testing.T, before []cluster.Process) {
	t.Helper()
	cluster.EventuallyWithin(t, 2*time.Minute, "all replicas should be replaced", func(ctx context.Context) error {
		for _, p := range s.replicas() {
			if slices.ContainsFunc(before, func(old cluster.Process) bool { return old.Pod == p.Pod }) {
				return fmt.Errorf("%s still runs", p.Pod)
			}
		}
		return s.areServing(ctx)
	})
}

// exitCodes has the codes with which the processes of deleted pods ended.
type exitCodes struct {
	mutex sync.Mutex
	codes map[string]int32
	// then is called once when the pod's process has ended.
	then map[string]func()
}

// followEnds watches the webhook's pods until the test ends.
func (s *site) followEnds(t *testing.T) *exitCodes {
	t.Helper()
	events, err := s.Client.CoreV1().Pods(releaseNamespace).Watch(t.Context(), metav1.ListOptions{})
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

func (e *exitCodes) code(pod string) (int32, error) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	code, ok := e.codes[pod]
	if !ok {
		return 0, fmt.Errorf("the test missed the end of %s", pod)
	}
	return code, nil
}

// rotatedUnderLoad has the CA replaced, as an operator does, and checks that in the end every
// replica serves a certificate of a new CA, which the API server trusts beside the old one.
// Meanwhile the release is upgraded.
func rotatedUnderLoad(t *testing.T, s *site) {
	before, err := s.caBundle(t.Context())
	require.NoError(t, err)
	require.NoError(t, s.servesOnly(t.Context(), before))
	running := s.replicas()

	s.underLoad(t, func() {
		patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, certificates.AnnotationRotate,
			time.Now().Format(time.RFC3339Nano))
		_, err := s.Client.CoreV1().Secrets(releaseNamespace).Patch(t.Context(), deployment+"-webhook-ca",
			types.MergePatchType, []byte(patch), metav1.PatchOptions{})
		require.NoError(t, err)
		s.upgrade(t, before)
		cluster.Eventually(t, "all replicas should serve a certificate of a new CA", func(ctx context.Context) error {
			live, err := s.caBundle(ctx)
			if err != nil {
				return err
			}
			return s.servesOnly(ctx, without(live, before))
		})
	})
	s.assertTrusted(t, before, "another replica may still serve one of the old CA for a while")
	assert.Equal(t, running, s.replicas(), "nothing of this restarts a process")
}

// upgrade upgrades with the values that the release has, by both Helms: none may remove the
// caBundle, which the chart does not name and the webhook writes, and none may fail because of it.
func (s *site) upgrade(t *testing.T, trusted []*x509.Certificate) {
	t.Helper()
	for _, how := range [][]string{{"helm4"}, {"helm3"}, {"helm4", "--server-side=true"}} {
		helm, err := s.Helm(t.Context(), how[0])
		require.NoError(t, err)
		_, err = helm.Run(t.Context(), append(arguments("upgrade", release, releaseNamespace), how[1:]...)...)
		require.NoError(t, err, how)
		s.assertTrusted(t, trusted, how)
	}
}

func (s *site) assertTrusted(t *testing.T, roots []*x509.Certificate, when any) {
	t.Helper()
	live, err := s.caBundle(t.Context())
	require.NoError(t, err)
	assert.Empty(t, without(roots, live), when)
}

// without returns the certificates that are not in the other list.
func without(certs, others []*x509.Certificate) []*x509.Certificate {
	return slices.DeleteFunc(slices.Clone(certs), func(c *x509.Certificate) bool {
		return slices.ContainsFunc(others, c.Equal)
	})
}

// servesOnly returns an error unless the CAs alone verify what every replica serves.
func (s *site) servesOnly(ctx context.Context, roots []*x509.Certificate) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	for _, p := range s.replicas() {
		connection, err := (&tls.Dialer{Config: trusting(roots)}).DialContext(ctx, "tcp", address(p, webhookPort))
		if err != nil {
			return fmt.Errorf("connect to %s: %w", p.Pod, err)
		}
		_ = connection.Close()
	}
	return nil
}

// bundleWiped removes the trust of API servers: only the webhook itself can restore it.
func bundleWiped(t *testing.T, s *site) {
	before, err := s.caBundle(t.Context())
	require.NoError(t, err)
	running := s.replicas()
	for name, patch := range map[string]string{
		"a third party removes it": `[{"op":"remove","path":"/webhooks/0/clientConfig/caBundle"}]`,
		"a third party replaces it": fmt.Sprintf(`[{"op":"replace","path":"/webhooks/0/clientConfig/caBundle","value":%q}]`,
			base64.StdEncoding.EncodeToString(s.Plane.CA)),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.Client.AdmissionregistrationV1().MutatingWebhookConfigurations().
				Patch(t.Context(), configuration, types.JSONPatchType, []byte(patch), metav1.PatchOptions{})
			require.NoError(t, err)
			begun := time.Now()
			cluster.Eventually(t, "the caBundle should be repaired", func(ctx context.Context) error {
				live, err := s.caBundle(ctx)
				if err != nil {
					return err
				}
				return s.servesOnly(ctx, without(live, without(live, before)))
			})
			t.Logf("repaired after %s", time.Since(begun).Round(time.Millisecond))
			s.awaitServing(t)
		})
	}
	assert.Equal(t, running, s.replicas(), "no process has to end for that")
}
