package webhook

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/pipeline-storage/pipeline-storage/test/benchadmission/reviews"
	"github.com/pipeline-storage/pipeline-storage/test/process"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

const panicsTotal = "pipeline_storage_admission_panics_total"

// TestOperations does to the replicas of one installation what third parties do. Most steps run side by side,
// because the webhooks are restored after a minute. What ends replicas is in test/e2e.
func TestOperations(t *testing.T) {
	t.Parallel()
	requireWebhook(t)
	s, served := installOwn(t, "operations", 2)
	makeNamespace(t, s.Client, reviews.Namespace, served)
	namespace := newNamespace(t, "operations", served)
	s.awaitServing(t, namespace)
	t.Run("the caBundle is wiped", func(t *testing.T) { bundleWiped(t, s) })
	s.awaitServing(t, namespace)
	t.Run("side by side", func(t *testing.T) {
		for name, step := range map[string]func(*testing.T, *site){
			"bodies that are not reviews":                         oddBodies,
			"a hundred thousand requests":                         flooded,
			"the webhooks are rewritten with the replicas' token": webhooksRewritten,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				step(t, s)
			})
		}
	})
	s.awaitServing(t, namespace)
	assert.Empty(t, claimsIn(t, namespace), "dry runs create nothing")
	for _, replica := range s.Replicas {
		require.NoError(t, replica.ExitError(), "no process ends for any of that")
		panics, err := sumOf(t.Context(), replica, panicsTotal)
		require.NoError(t, err)
		assert.Zero(t, panics)
	}
}

// makeNamespace creates the namespace of the benchmark's reviews, once.
func makeNamespace(t *testing.T, client kubernetes.Interface, name string, labels map[string]string) {
	t.Helper()

	_, err := client.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}, metav1.CreateOptions{})
	if !apierrors.IsAlreadyExists(err) {
		require.NoError(t, err)
	}
}

// awaitServing waits until all replicas are ready and the API server gets an answer.
func (s *site) awaitServing(t *testing.T, namespace string) {
	t.Helper()

	suite.Eventually(t, "all replicas should serve", func(ctx context.Context) error {
		for _, replica := range s.Replicas {
			if err := replica.Ready(ctx); err != nil {
				return err
			}
		}
		made, err := s.Client.CoreV1().Pods(namespace).Create(ctx, pipeline("dry"),
			metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err == nil && len(mountsOf(made)) == 0 {
			err = errors.New("the pod was admitted without storage")
		}
		return err
	})
}

// sumOf reads a metric of a replica.
func sumOf(ctx context.Context, replica *suite.Replica, name string) (float64, error) {
	metrics, err := process.ReadMetrics(ctx, replica.Metrics)
	if err != nil {
		return 0, err
	}
	return metrics.Sum(name)
}
