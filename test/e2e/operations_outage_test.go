package e2e

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

const (
	// apiServerDowntime is how long there is no API server. A leader tries for 10 s to renew its
	// Lease before it gives up.
	apiServerDowntime = 4 * time.Second
	panicsTotal       = "pipeline_storage_admission_panics_total"
	// selectingProfile makes the webhook need the labels of every namespace.
	selectingProfile = `--set-json=config.profiles[1]={"name":"gpu","claim":{"create":false},` +
		`"mount":{"path":"/gpu"},"namespaceSelector":{"matchLabels":{"team":"gpu"}}}`
)

// TestReplicasOutliveAPIServer kills the API server for a moment. No replica ends for that, and
// reviews are answered all the time. Watches come back later: client-go's reflectors wait longer
// each time, up to a minute after a long downtime.
func TestReplicasOutliveAPIServer(t *testing.T) {
	requireNode(t)
	createHostPathClass(t)
	s := second(t, selectingProfile)
	namespace := s.namespace(t)
	s.awaitServing(t, namespace)
	running := s.processes(t)
	pods, err := s.pods(t.Context())
	require.NoError(t, err)
	clients := []*reviewer{s.reviewer(t, &pods[0]), s.reviewer(t, &pods[1])}

	t.Cleanup(func() { reviveAll(t) })
	require.NoError(t, shared.Plane.Kill("kube-apiserver"))
	time.Sleep(apiServerDowntime)
	for i := range pods {
		status, text, err := get(t.Context(), &pods[i], healthPort, "/readyz")
		require.NoError(t, err)
		assert.Equal(t, http.StatusOK, status, "the first request after it must be answered: %s", text)
		_, err = clients[i].review(t.Context(), namespace)
		require.NoError(t, err, "an answer needs no API server")
	}
	require.NoError(t, shared.Plane.Revive(t.Context(), "kube-apiserver"))
	begun := time.Now()
	s.awaitServing(t, namespace)
	t.Logf("serving again %s after the API server", time.Since(begun).Round(time.Millisecond))
	useNewNamespace(t)
	t.Logf("new namespaces can be used %s after the API server", time.Since(begun).Round(time.Millisecond))
	createUntilAdmitted(t, namespace)
	s.awaitClaims(t, []string{namespace})
	t.Logf("claims are created again %s after the API server", time.Since(begun).Round(time.Millisecond))
	assert.Equal(t, running, s.processes(t), "no process has ended")
	for i := range pods {
		panics, err := metric(t.Context(), &pods[i], panicsTotal)
		require.NoError(t, err)
		assert.Zero(t, panics)
	}
}

// useNewNamespace has a pod admitted in a namespace that is new. While no watch provides its
// labels, which a profile with a selector needs, the pod is refused with a reason, and never
// admitted without storage.
func useNewNamespace(t *testing.T) {
	t.Helper()
	name := unique("e2e-new")
	_, err := shared.Client.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: secondLabels()}}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { removeNamespace(t, name) })
	// An own account, because the controller's takes a while.
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "early"}}
	_, err = shared.Client.CoreV1().ServiceAccounts(name).Create(t.Context(), account, metav1.CreateOptions{})
	require.NoError(t, err)
	pod := idle("first")
	pod.Spec.ServiceAccountName = account.Name
	suite.EventuallyWithin(t, 2*time.Minute, "a pod in a new namespace should be admitted",
		func(ctx context.Context) error {
			made, err := shared.Client.CoreV1().Pods(name).Create(ctx, pod, metav1.CreateOptions{})
			if err == nil {
				require.NoError(t, hasStorage(made))
				return nil
			}
			require.ErrorContains(t, err, "try again")
			return err
		})
}
