package webhook

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/test/process"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

func TestProfileServesSelectedNamespaces(t *testing.T) {
	requireWebhook(t)
	t.Parallel()

	namespace := newNamespace(t, "gpu", map[string]string{"team": "cpu"})
	pods := shared.Client.CoreV1().Pods(namespace)
	_, err := pods.Create(t.Context(), pipeline("train", using("gpu")), metav1.CreateOptions{})
	require.Error(t, err)
	assert.Equal(t,
		`admission webhook "storage.pipeline-storage.io" denied the request: Pod/train: `+
			`the administrator does not allow it: `+
			`the profile "gpu" is not for the namespace "`+namespace+`": its namespaceSelector is "team=gpu"`, err.Error())
	_, err = pods.Create(t.Context(), pipeline("train", using("disk")), metav1.CreateOptions{})
	require.ErrorContains(t, err,
		`the profile "disk" is not for the namespace "`+namespace+`": its volume serves "disk-team" only`)

	_, err = shared.Client.CoreV1().Namespaces().Patch(t.Context(), namespace, types.MergePatchType,
		[]byte(`{"metadata":{"labels":{"team":"gpu"}}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	suite.Eventually(t, "the profile should serve the namespace with its new label", func(ctx context.Context) error {
		made, err := pods.Create(ctx, pipeline("train", using("gpu")), metav1.CreateOptions{})
		if err == nil {
			assert.Equal(t, "gpu", made.Annotations[inject.AnnotationInjected])
		}
		return err
	})
}

func TestExcludedNamespacesAreUntouched(t *testing.T) {
	requireWebhook(t)
	t.Parallel()

	unserved := newNamespace(t, "excluded", map[string]string{"installation": "none"})
	for name, namespace := range map[string]string{
		"kube-system": "kube-system", "the installation's own": releaseNamespace,
		"not selected by the installation": unserved,
	} {
		t.Run(name, func(t *testing.T) {
			made := create(t, shared.Client, namespace, pipeline("untouched"))
			t.Cleanup(func() {
				assert.NoError(t,
					shared.Client.CoreV1().Pods(namespace).Delete(context.WithoutCancel(t.Context()), made.Name,
						metav1.DeleteOptions{}))
			})
			assert.Empty(t, mountsOf(made))
			assert.Empty(t, made.Annotations)
		})
	}
	awaitReconciled(t)
	assertNoClaims(t, "kube-system")
	assertNoClaims(t, releaseNamespace)
	assertNoClaims(t, unserved)
}

// TestForgedAnnotationCreatesNothing has an injected annotation on a pod that this installation
// does not serve. Every user who may create pods may write it.
func TestForgedAnnotationCreatesNothing(t *testing.T) {
	requireWebhook(t)
	t.Parallel()

	namespace := newNamespace(t, "forged", map[string]string{"installation": "none"})
	create(t, shared.Client, namespace, pipeline("forged", func(p *corev1.Pod) {
		p.Annotations = map[string]string{inject.AnnotationInjected: "default"}
	}))
	awaitReconciled(t)
	assertNoClaims(t, namespace)
}

func TestInstallationsServeTheirOwnNamespaces(t *testing.T) {
	requireWebhook(t)
	t.Parallel()

	second, labels := installOwn(t, "two", 1)
	first, other := newNamespace(t, "first", nil), newNamespace(t, "second", labels)
	for namespace, owner := range map[string]string{first: shared.owner(), other: second.owner()} {
		create(t, shared.Client, namespace, pipeline("train"))
		scheduledPods(t, namespace, 1)
		boundClaim(t, namespace, claimName)
		claims := claimsIn(t, namespace)
		assert.Len(t, claims, 1)
		assert.Equal(t, owner, claims[claimName].Labels[storage.LabelInstallation])
		assertNamespaceUID(t, "pv-data-pipeline."+namespace, namespace)
	}
	for _, s := range []*site{shared, second} {
		readiness, err := process.Get(t.Context(), "http://"+s.Replicas[0].Health+"/readyz?verbose")
		require.NoError(t, err)
		assert.Contains(t, readiness, "installations: ok\n", "the other one is seen, and does not overlap")
	}
}
