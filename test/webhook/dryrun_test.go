package webhook

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
)

func TestDryRunCreatesNothing(t *testing.T) {
	requireWebhook(t)
	t.Parallel()

	namespace := newNamespace(t, "dry", nil)
	pods := shared.Client.CoreV1().Pods(namespace)
	made, err := pods.Create(t.Context(), pipeline("train"), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	require.NoError(t, err)
	assertMounts(t, made, claimName, map[string][]string{"main": {"/data"}})
	assert.Equal(t, "default", made.Annotations[inject.AnnotationInjected])
	_, err = pods.Get(t.Context(), "train", metav1.GetOptions{})
	assert.True(t, apierrors.IsNotFound(err), "%v", err)
	awaitReconciled(t)
	assertNoClaims(t, namespace)
}
