package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

// timesInARow is how often in a row the API server must act by its configuration before the test
// relies on it, since it may have more than one copy.
const timesInARow = 5

// manyClients is how many requests are under way where only their result counts.
const manyClients = 8

// configurationUnderTest is the MutatingWebhookConfiguration of the shared release, which a test
// removes and restores.
type configurationUnderTest struct {
	object  *admissionregistrationv1.MutatingWebhookConfiguration
	removed bool
}

// removableConfiguration reads the configuration, and restores it when the test ends.
func removableConfiguration(t *testing.T) *configurationUnderTest {
	t.Helper()
	name := releaseNamespace + "." + deployment
	found, err := shared.Client.AdmissionregistrationV1().MutatingWebhookConfigurations().Get(t.Context(), name,
		metav1.GetOptions{})
	require.NoError(t, err)
	found.ResourceVersion, found.UID, found.ManagedFields = "", "", nil
	found.CreationTimestamp, found.Generation = metav1.Time{}, 0
	c := &configurationUnderTest{object: found}
	t.Cleanup(func() {
		if !c.removed {
			return
		}
		_, err := shared.Client.AdmissionregistrationV1().MutatingWebhookConfigurations().
			Create(context.WithoutCancel(t.Context()), c.object, metav1.CreateOptions{})
		require.NoError(t, err)
	})
	return c
}

// apply creates the configuration and returns when a pod shows that the API server calls the
// webhook.
func (c *configurationUnderTest) apply(t *testing.T, namespace string) {
	t.Helper()
	if !c.removed {
		return
	}
	_, err := shared.Client.AdmissionregistrationV1().MutatingWebhookConfigurations().Create(t.Context(), c.object,
		metav1.CreateOptions{})
	require.NoError(t, err)
	c.removed = false
	awaitMounted(t, namespace, true)
}

// remove deletes the configuration and returns when the API server calls no webhook.
func (c *configurationUnderTest) remove(t *testing.T, namespace string) {
	t.Helper()
	if c.removed {
		return
	}
	err := shared.Client.AdmissionregistrationV1().MutatingWebhookConfigurations().Delete(t.Context(), c.object.Name,
		metav1.DeleteOptions{})
	require.NoError(t, err)
	c.removed = true
	awaitMounted(t, namespace, false)
}

// awaitMounted waits until labelled pods are admitted with storage, or until they are admitted
// without.
func awaitMounted(t *testing.T, namespace string, mounted bool) {
	t.Helper()
	times := 0
	suite.Eventually(t, fmt.Sprintf("pods should be admitted with storage: %t", mounted),
		func(ctx context.Context) error {
			made, err := shared.Client.CoreV1().Pods(namespace).Create(ctx, pricePod(true), dryRun)
			if err != nil || isMounted(made) != mounted {
				times = 0
				return fmt.Errorf("they are not: %w", err)
			}
			if times++; times < timesInARow {
				return fmt.Errorf("they are, %d times in a row", times)
			}
			return nil
		})
}

// claimsAreIn checks that each of the namespaces has a claim of the installation.
func claimsAreIn(namespaces []string) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		list, err := shared.Client.CoreV1().PersistentVolumeClaims("").
			List(ctx, metav1.ListOptions{LabelSelector: storage.LabelInstallation})
		if err != nil {
			return err
		}
		has := map[string]bool{}
		for i := range list.Items {
			has[list.Items[i].Namespace] = true
		}
		for i, namespace := range namespaces {
			if !has[namespace] {
				return fmt.Errorf("%s, the %d. of %d, has none", namespace, i+1, len(namespaces))
			}
		}
		return nil
	}
}

// priceNamespaces makes many namespaces with their accounts, which are deleted when the test ends.
// It waits for the deletion, so that no later measurement runs beside it.
func priceNamespaces(t *testing.T, count int) []string {
	t.Helper()
	names := make([]string, count)
	client := shared.Client.CoreV1()
	t.Cleanup(func() { removeNamespaces(t, names) })
	require.NoError(t, eachOf(count, func(i int) error {
		name := fmt.Sprintf("price-%d", i)
		_, err := client.Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}},
			metav1.CreateOptions{})
		names[i] = name
		return err
	}))
	suite.EventuallyWithin(t, podLimit, "every namespace should get its account", func(ctx context.Context) error {
		list, err := client.ServiceAccounts("").List(ctx, metav1.ListOptions{FieldSelector: "metadata.name=default"})
		if err == nil && len(list.Items) < count {
			err = fmt.Errorf("%d of %d have one", len(list.Items), count)
		}
		return err
	})
	return names
}

func removeNamespaces(t *testing.T, names []string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Minute)
	defer cancel()
	client := shared.Client.CoreV1().Namespaces()
	require.NoError(t, eachOf(len(names), func(i int) error {
		return ignoreNotFound(client.Delete(ctx, names[i], metav1.DeleteOptions{}))
	}))
	for _, name := range names {
		for {
			_, err := client.Get(ctx, name, metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				break
			}
			require.NoError(t, err)
			time.Sleep(100 * time.Millisecond)
		}
	}
}

func ignoreNotFound(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// eachOf calls do count times, several at once, and returns the first error.
func eachOf(count int, do func(i int) error) error {
	var all errgroup.Group
	all.SetLimit(manyClients)
	for i := range count {
		all.Go(func() error { return do(i) })
	}
	return all.Wait()
}
