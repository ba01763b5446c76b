package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

const (
	// admissionsPerSecond are labelled pods of the load while a release is uninstalled.
	admissionsPerSecond = 20
	// admissionLimit is less than the 5 seconds after which the API server gives up on a webhook.
	admissionLimit = 4 * time.Second
)

// uninstallCase is a release that a test uninstalls, and the namespace that it serves.
type uninstallCase struct {
	helm            *suite.HelmCLI
	name, namespace string
	served          string
}

// newUninstallCase installs a release of its own, with a Helm, and returns when labelled pods get
// storage from it.
func newUninstallCase(t *testing.T, helm, name string) uninstallCase {
	t.Helper()
	h, err := shared.Helm(t.Context(), helm)
	require.NoError(t, err)
	l := uninstallCase{
		helm: h, name: name,
		namespace: shared.Namespace(t, name, map[string]string{enforceLabel: restricted}),
		served:    shared.Namespace(t, name+"-served", map[string]string{"installation": name}),
	}
	t.Cleanup(func() { l.remove(context.WithoutCancel(t.Context()), t) })
	_, err = h.Install(t.Context(), chart, name, l.namespace, l.values()...)
	require.NoError(t, err)
	suite.EventuallyWithin(t, podLimit, "labelled pods should get storage", func(ctx context.Context) error {
		return admit(ctx, shared.Client, l.served)
	})
	return l
}

func (l uninstallCase) values() []string {
	return []string{"--values=" + values, servingOnly(l.name)}
}

func (l uninstallCase) uninstall(ctx context.Context, more ...string) error {
	_, err := l.helm.Output(ctx,
		append([]string{"uninstall", l.name, "--namespace", l.namespace, "--timeout", "3m"}, more...)...)
	return err
}

// configuration is the name of the MutatingWebhookConfiguration.
func (l uninstallCase) configuration() string {
	return l.namespace + "." + l.name + "-pipeline-storage"
}

func (l uninstallCase) deleteConfiguration(ctx context.Context) error {
	return ignoreNotFound(shared.Client.AdmissionregistrationV1().MutatingWebhookConfigurations().
		Delete(ctx, l.configuration(), metav1.DeleteOptions{}))
}

// remove is for a test that failed: a webhook without its Service would harm the tests after it.
func (l uninstallCase) remove(ctx context.Context, t *testing.T) {
	t.Helper()
	require.NoError(t, l.deleteConfiguration(ctx))
	if err := l.uninstall(ctx, "--no-hooks"); err != nil {
		assert.ErrorContains(t, err, "not found")
	}
}

// underAdmissions runs do while labelled pods are created, with storage or without, and a while
// after. None may be refused, and none may wait for a deleted webhook.
func (l uninstallCase) underAdmissions(t *testing.T, do func()) {
	t.Helper()
	client := loadClient(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan suite.Stats, 1)
	go func() {
		done <- suite.Load(ctx, admissionsPerSecond, func(ctx context.Context, _ int) error {
			if err := admit(ctx, client, l.served); !errors.Is(err, errNoStorage) {
				return err
			}
			return nil
		})
	}()
	do()
	time.Sleep(5 * time.Second)
	cancel()
	stats := <-done
	t.Logf("%d admissions in %s, the slowest in %s", stats.Done, stats.Elapsed.Round(time.Millisecond),
		stats.Quantile(1).Round(time.Millisecond))
	assertNoneFailed(t, stats, admissionsPerSecond)
	assert.Less(t, stats.Quantile(1), admissionLimit)
}

// awaitNoConfiguration waits until the MutatingWebhookConfiguration no longer exists.
func (l uninstallCase) awaitNoConfiguration(t *testing.T) {
	t.Helper()
	suite.EventuallyWithin(t, podLimit, "the hook should delete "+l.configuration(), func(ctx context.Context) error {
		_, err := shared.Client.AdmissionregistrationV1().MutatingWebhookConfigurations().Get(ctx, l.configuration(),
			metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("it is there: %w", err)
	})
}

// assertNothingLeft checks that no object of the release or of its hooks remains, except those that
// are retained.
func (l uninstallCase) assertNothingLeft(t *testing.T) {
	t.Helper()
	suite.Eventually(t, "no pod should remain", func(ctx context.Context) error {
		pods, err := shared.Client.CoreV1().Pods(l.namespace).List(ctx, metav1.ListOptions{})
		if err == nil && len(pods.Items) > 0 {
			err = fmt.Errorf("%d are", len(pods.Items))
		}
		return err
	})
	l.assertNoRights(t)
	jobs, err := shared.Client.BatchV1().Jobs(l.namespace).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	assert.Empty(t, jobs.Items)
	accounts, err := shared.Client.CoreV1().ServiceAccounts(l.namespace).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	assert.Len(t, accounts.Items, 1, "the namespace's default one")
}

// assertNoRights checks that the right to delete is removed with the hook.
func (l uninstallCase) assertNoRights(t *testing.T) {
	t.Helper()
	_, err := shared.Client.RbacV1().ClusterRoles().Get(t.Context(), l.configuration()+".uninstall", metav1.GetOptions{})
	assert.True(t, apierrors.IsNotFound(err), "%v", err)
}

func TestUninstallRefusesNoPod(t *testing.T) {
	requireNode(t)
	t.Parallel()
	for _, helm := range []string{"helm3", "helm4"} {
		t.Run(helm, func(t *testing.T) {
			l := newUninstallCase(t, helm, "leaves-"+helm)
			l.underAdmissions(t, func() { require.NoError(t, l.uninstall(t.Context(), "--wait")) })
			l.awaitNoConfiguration(t)
			l.assertNothingLeft(t)
		})
	}
}

func TestInterruptedUninstallRefusesNoPod(t *testing.T) {
	requireNode(t)
	t.Parallel()
	l := newUninstallCase(t, "helm3", "interrupted")
	l.underAdmissions(t, func() {
		ctx, kill := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- l.uninstall(ctx) }()
		l.awaitNoConfiguration(t)
		kill()
		require.Error(t, <-ended, "it was killed before it was done")
		time.Sleep(10 * time.Second)
		require.NoError(t, l.uninstall(t.Context(), "--wait"), "the next try resumes where the first one stopped")
	})
	l.assertNothingLeft(t)
}

// Where the Job cannot run, nothing may be removed: labelled pods still get their storage.
// docs/operations.md has the way out.
func TestUninstallWithoutTheImageRemovesNothing(t *testing.T) {
	requireNode(t)
	t.Parallel()
	l := newUninstallCase(t, "helm4", "without-image")
	_, err := l.helm.Output(t.Context(), append([]string{
		"upgrade", l.name, chart, "--namespace", l.namespace, "--set", "image.tag=missing,image.pullPolicy=Never",
	}, l.values()...)...)
	require.NoError(t, err)
	l.underAdmissions(t, func() {
		require.Error(t, l.uninstall(t.Context(), "--timeout", "15s"))
		require.NoError(t, admit(t.Context(), shared.Client, l.served), "the webhook still serves")
		l.assertNoRights(t)

		require.NoError(t, l.deleteConfiguration(t.Context()))
		time.Sleep(5 * time.Second)
		require.NoError(t, l.uninstall(t.Context(), "--no-hooks", "--wait"))
	})
	l.awaitNoConfiguration(t)
}
