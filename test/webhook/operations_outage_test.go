package webhook

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/test/cluster"
)

const (
	// teams is how many namespaces get their first pod around the death of the leader, one each
	// beat.
	teams = 10
	beat  = 200 * time.Millisecond
	// apiServerDowntime is how long there is no API server. A leader tries for 10 s to renew its
	// Lease before it gives up.
	apiServerDowntime = 4 * time.Second
)

// leaderKilled kills the replica that creates claims while pods arrive in namespaces that have
// none. The time until the next leader, which is the duration of a Lease, is a good one to rotate
// the certificate, which needs no leader.
func leaderKilled(t *testing.T, s *site) {
	namespaces := s.makeTeams(t, "leader", teams)
	first, killed := s.leader(t)
	begun := time.Now()
	for i, namespace := range namespaces {
		if i == teams/2 {
			require.NoError(t, s.Kubelet.Kill(releaseNamespace, killed))
		}
		s.retry(t, namespace)
		time.Sleep(beat)
	}
	s.awaitServing(t)
	t.Run("the certificate is rotated under load", func(t *testing.T) { rotatedUnderLoad(t, s) })
	cluster.Eventually(t, "every namespace should get its claim", func(ctx context.Context) error {
		return s.haveClaims(ctx, namespaces)
	})
	t.Logf("all claims are there %s after the first pod", time.Since(begun).Round(time.Millisecond))
	next, _ := s.leader(t)
	assert.NotEqual(t, first, next, "another process must lead")
}

// makeTeams creates namespaces that can have pods.
func (s *site) makeTeams(t *testing.T, prefix string, count int) []string {
	t.Helper()
	names := make([]string, count)
	for i := range names {
		names[i] = fmt.Sprintf("%s-%d", prefix, i)
		s.makeNamespace(t, names[i])
	}
	return names
}

// leader is the identity in the Lease of a replica that runs: the pod's name, and a part that is
// another one after a restart.
func (s *site) leader(t *testing.T) (identity, pod string) {
	t.Helper()
	cluster.Eventually(t, "some replica should lead", func(ctx context.Context) error {
		lease, err := s.Client.CoordinationV1().Leases(releaseNamespace).Get(ctx, deployment, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if lease.Spec.HolderIdentity != nil {
			identity = *lease.Spec.HolderIdentity
		}
		pod, _, _ = strings.Cut(identity, "_")
		_, err = s.Kubelet.Process(releaseNamespace, pod)
		return err
	})
	return identity, pod
}

// retry creates a labelled pod as a controller does: again until it exists.
func (s *site) retry(t *testing.T, namespace string) {
	t.Helper()
	cluster.Eventually(t, "a pod should be admitted", func(ctx context.Context) error {
		made, err := s.Client.CoreV1().Pods(namespace).Create(ctx, labelled("first"), metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			made, err = s.Client.CoreV1().Pods(namespace).Get(ctx, "first", metav1.GetOptions{})
		}
		if err != nil {
			return err
		}
		_, err = mountOf(made)
		return err
	})
}

// haveClaims returns which namespaces lack a bound claim of this installation.
func (s *site) haveClaims(ctx context.Context, namespaces []string) error {
	var missing []error
	for _, namespace := range namespaces {
		claim, err := s.Client.CoreV1().PersistentVolumeClaims(namespace).Get(ctx, claimName, metav1.GetOptions{})
		switch {
		case err != nil:
		case claim.Status.Phase != corev1.ClaimBound:
			err = fmt.Errorf("the claim of %s is %s", namespace, claim.Status.Phase)
		case claim.Labels[storage.LabelInstallation] == "":
			err = fmt.Errorf("the claim of %s is not managed by this installation", namespace)
		}
		missing = append(missing, err)
	}
	return errors.Join(missing...)
}

// leaseLost takes the Lease from the leader, which looks to it as if the API server did not answer
// for a while. Then it must not create claims any more, but it must end as every replica does:
// drained.
func leaseLost(t *testing.T, s *site) {
	namespaces := s.makeTeams(t, "lost", 1)
	first, _ := s.leader(t)
	s.underLoad(t, func() {
		patch := fmt.Sprintf(`{"spec":{"holderIdentity":"third-party","renewTime":%q}}`,
			time.Now().UTC().Format(metav1.RFC3339Micro))
		_, err := s.Client.CoordinationV1().Leases(releaseNamespace).Patch(t.Context(), deployment, types.MergePatchType,
			[]byte(patch), metav1.PatchOptions{})
		require.NoError(t, err)
		s.retry(t, namespaces[0])
		next, _ := s.leader(t)
		assert.NotEqual(t, first, next, "the replica that has lost the Lease starts again")
		cluster.Eventually(t, "claims should be created again", func(ctx context.Context) error {
			return s.haveClaims(ctx, namespaces)
		})
		s.awaitServing(t)
	})
}

// serverKilled kills the API server for a moment. No replica ends for that, and reviews are
// answered as soon as there are any. Watches come back later (client-go's reflectors wait longer
// each time, up to a minute after a long downtime), which is time for many requests to one replica.
func serverKilled(t *testing.T, s *site) {
	namespaces := s.makeTeams(t, "server", 1)
	running := s.replicas()

	require.NoError(t, s.Plane.Kill("kube-apiserver"))
	time.Sleep(apiServerDowntime)
	for _, p := range running {
		status, text, err := get(t.Context(), p, healthPort, "/readyz")
		require.NoError(t, err)
		assert.Equal(t, 200, status,
			"without an API server no request is possible, and the first one after it must be answered: %s", text)
	}
	require.NoError(t, s.Plane.Revive(t.Context(), "kube-apiserver"))
	begun := time.Now()
	s.awaitServing(t)
	t.Logf("serving again %s after the API server", time.Since(begun).Round(time.Millisecond))
	s.useNewNamespace(t, "server-new")
	t.Logf("new namespaces can be used %s after the API server", time.Since(begun).Round(time.Millisecond))
	s.retry(t, namespaces[0])
	t.Run("a hundred thousand requests meanwhile", s.newFlood(t, running[0]).assertFlat)
	cluster.EventuallyWithin(t, 2*time.Minute, "claims should be created again", func(ctx context.Context) error {
		return s.haveClaims(ctx, namespaces)
	})
	t.Logf("claims are created again %s after the API server", time.Since(begun).Round(time.Millisecond))
	assert.Equal(t, running, s.replicas(), "no process has ended")
	s.assertUnharmed(t, running[0])
}

// useNewNamespace has a pod admitted in a namespace that is new. While no watch provides its
// labels, which a profile with a selector needs, the pod is refused with a reason, and never
// admitted without storage.
func (s *site) useNewNamespace(t *testing.T, name string) {
	t.Helper()
	_, err := s.Client.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	require.NoError(t, err)
	// An own account, because the controller's takes a while.
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "early"}}
	_, err = s.Client.CoreV1().ServiceAccounts(name).Create(t.Context(), account, metav1.CreateOptions{})
	require.NoError(t, err)
	pod := labelled("first")
	pod.Spec.ServiceAccountName = account.Name
	cluster.EventuallyWithin(t, 2*time.Minute, "a pod in a new namespace should be admitted",
		func(ctx context.Context) error {
			made, err := s.Client.CoreV1().Pods(name).Create(ctx, pod, metav1.CreateOptions{})
			if err == nil {
				_, err = mountOf(made)
				require.NoError(t, err)
				return nil
			}
			require.ErrorContains(t, err, "try again")
			return err
		})
}
