package e2e

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
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

const (
	// teams is how many namespaces get their first pod around the death of the leader, one each
	// beat.
	teams = 10
	beat  = 200 * time.Millisecond
)

// TestLeaderOperations takes the lead from the replica that creates claims, in two ways.
func TestLeaderOperations(t *testing.T) {
	requireNode(t)
	t.Parallel()
	createHostPathClass(t)
	s := newInstallation(t, "leaders")
	s.inSteps(t, s.namespace(t), []step{
		{"the leader is killed", leaderKilled},
		{"the leader loses its Lease under load", leaseLost},
	})
}

// leaderKilled kills the replica that creates claims while pods arrive in namespaces that have
// none. The time until the next leader, which is the duration of a Lease, is a good one to rotate
// the certificate, which needs no leader.
func leaderKilled(t *testing.T, s *installation, namespace string) {
	var namespaces []string
	for range teams {
		namespaces = append(namespaces, s.namespace(t))
	}
	first, leader := s.leader(t)
	begun := time.Now()
	for i, team := range namespaces {
		if i == teams/2 {
			killed, err := kill(leader)
			require.NoError(t, err)
			require.True(t, killed)
		}
		createUntilAdmitted(t, team)
		time.Sleep(beat)
	}
	s.awaitServing(t, namespace)
	t.Run("the certificate is rotated under load", func(t *testing.T) { rotatedUnderLoad(t, s, namespace) })
	s.awaitClaims(t, namespaces)
	t.Logf("all claims are there %s after the first pod", time.Since(begun).Round(time.Millisecond))
	next, _ := s.leader(t)
	assert.NotEqual(t, first, next, "another process must lead")
}

// leader is the identity in the Lease of a replica that there is, and its pod. The identity begins
// with the pod's name; the rest is another one after a restart.
func (i *installation) leader(t *testing.T) (identity string, leader *corev1.Pod) {
	t.Helper()
	suite.Eventually(t, "some replica should lead", func(ctx context.Context) error {
		lease, err := shared.Client.CoordinationV1().Leases(i.releaseNamespace).Get(ctx, i.deployment, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if lease.Spec.HolderIdentity != nil {
			identity = *lease.Spec.HolderIdentity
		}
		name, _, _ := strings.Cut(identity, "_")
		leader, err = shared.Client.CoreV1().Pods(i.releaseNamespace).Get(ctx, name, metav1.GetOptions{})
		return err
	})
	return identity, leader
}

// createUntilAdmitted creates a labelled pod as a controller does: again until it exists.
func createUntilAdmitted(t *testing.T, namespace string) {
	t.Helper()
	suite.Eventually(t, "a pod should be admitted", func(ctx context.Context) error {
		made, err := shared.Client.CoreV1().Pods(namespace).Create(ctx, idle("first"), metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			made, err = shared.Client.CoreV1().Pods(namespace).Get(ctx, "first", metav1.GetOptions{})
		}
		if err != nil {
			return err
		}
		require.NoError(t, hasStorage(made))
		return nil
	})
}

// awaitClaims waits until every namespace has a bound claim of this installation.
func (i *installation) awaitClaims(t *testing.T, namespaces []string) {
	t.Helper()
	suite.EventuallyWithin(t, 2*time.Minute, "every namespace should get its claim", func(ctx context.Context) error {
		var missing []error
		for _, namespace := range namespaces {
			found, err := shared.Client.CoreV1().PersistentVolumeClaims(namespace).Get(ctx, claim, metav1.GetOptions{})
			switch {
			case err != nil:
			case found.Status.Phase != corev1.ClaimBound:
				err = fmt.Errorf("the claim of %s is %s", namespace, found.Status.Phase)
			case found.Labels[storage.LabelInstallation] != i.releaseNamespace+"."+i.releaseNamespace:
				err = fmt.Errorf("the claim of %s is not managed by this installation", namespace)
			}
			missing = append(missing, err)
		}
		return errors.Join(missing...)
	})
}

// rotatedUnderLoad has the CA replaced, as an operator does, and checks that in the end every
// replica serves a certificate of a new CA, which the API server trusts beside the old one.
// Meanwhile the release is upgraded.
func rotatedUnderLoad(t *testing.T, s *installation, namespace string) {
	before := string(s.caBundle(t))
	running := s.processes(t)
	refusesNoPod(t, namespace, operationsRate, func() {
		old := s.requestRotation(t)
		s.upgrade(t, before)
		s.awaitServedByAnother(t, time.Minute, old)
	})
	s.assertTrusted(t, before, "another replica may still serve one of the old CA for a while")
	assert.Equal(t, running, s.processes(t), "nothing of this restarts a process")
}

// upgrade upgrades with the values that the release has, by both Helms: none may remove the
// caBundle, which the chart does not name and the webhook writes, and none may fail because of it.
func (i *installation) upgrade(t *testing.T, trusted string) {
	t.Helper()
	for _, how := range [][]string{{"helm4"}, {"helm3"}, {"helm4", "--server-side=true"}} {
		helm, err := shared.Helm(t.Context(), how[0])
		require.NoError(t, err)
		_, err = helm.Upgrade(t.Context(), chart, i.releaseNamespace, i.releaseNamespace, append(how[1:], i.values...)...)
		require.NoError(t, err, how)
		i.assertTrusted(t, trusted, how)
	}
}

// assertTrusted checks that the live caBundle has the CAs of a bundle.
func (i *installation) assertTrusted(t *testing.T, bundle string, when any) {
	t.Helper()
	live := string(i.caBundle(t))
	for block := range strings.SplitAfterSeq(bundle, "-----END CERTIFICATE-----\n") {
		assert.Contains(t, live, block, when)
	}
}

// leaseLost takes the Lease from the leader, which looks to it as if the API server did not answer
// for a while. Then it must not create claims any more, but it must end as every replica does:
// drained.
func leaseLost(t *testing.T, s *installation, namespace string) {
	team := s.namespace(t)
	first, _ := s.leader(t)
	refusesNoPod(t, namespace, operationsRate, func() {
		patch := fmt.Sprintf(`{"spec":{"holderIdentity":"third-party","renewTime":%q}}`,
			time.Now().UTC().Format(metav1.RFC3339Micro))
		_, err := shared.Client.CoordinationV1().Leases(s.releaseNamespace).Patch(t.Context(), s.deployment,
			types.MergePatchType, []byte(patch), metav1.PatchOptions{})
		require.NoError(t, err)
		createUntilAdmitted(t, team)
		next, _ := s.leader(t)
		assert.NotEqual(t, first, next, "the replica that has lost the Lease starts again")
		s.awaitClaims(t, []string{team})
		s.awaitServing(t, namespace)
	})
}
