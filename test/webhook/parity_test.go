package webhook

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/pkg/postrender"
)

// TestRenderedWorkloadsAreAdmittedUnchanged has every core kind rendered by the post-renderer with
// the webhook's own configuration. The API server stores what was rendered, and the release retains
// its own claim.
func TestRenderedWorkloadsAreAdmittedUnchanged(t *testing.T) {
	requireWebhook(t)
	t.Parallel()

	cases := map[string]struct {
		name  string // of the claim in the configuration of the post-renderer
		claim string
	}{
		"with the name that a release gives":   {"", "pvc-data-pipeline.train"},
		"with a literal name":                  {"team-claim", "team-claim"},
		"with the name that the webhook gives": {claimName, claimName},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			namespace := newNamespace(t, "rendered", nil)
			rendered := render(t, namespace, tc.name)
			pods := 0
			for _, object := range rendered {
				apply(t, namespace, object)
				if hasPods(object) {
					pods += max(1, podsOf[object.GetKind()])
				}
			}
			for _, pod := range scheduledPods(t, namespace, pods) {
				assertMounts(t, &pod, tc.claim, mounted)
				assert.NotContains(t, pod.Annotations, inject.AnnotationInjected, pod.Name)
				assertEmptyPatch(t, &pod)
			}
			awaitReconciled(t)
			claims := claimsIn(t, namespace)
			require.Len(t, claims, 1)
			assert.NotContains(t, claims[tc.claim].Labels, storage.LabelInstallation)
			assertUnchanged(t, namespace, tc.claim)
		})
	}
}

// assertEmptyPatch sends the pod to the webhook once more: it has nothing to add.
func assertEmptyPatch(t *testing.T, pod *corev1.Pod) {
	t.Helper()

	text, err := json.Marshal(pod)
	require.NoError(t, err)
	response := review(t, pod.Namespace, text)
	assert.True(t, response.Allowed, pod.Name)
	assert.Empty(t, response.Patch, pod.Name)
	assert.Empty(t, response.AuditAnnotations, pod.Name)
}

func TestSidecarOfRenderedPodGetsExistingClaim(t *testing.T) {
	requireWebhook(t)
	t.Parallel()

	namespace := newNamespace(t, "sidecar", nil)
	var pod corev1.Pod
	for _, object := range render(t, namespace, "") {
		switch {
		case !hasPods(object):
			apply(t, namespace, object)
		case object.GetKind() == "Pod":
			require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &pod))
		}
	}
	require.Equal(t, "pod", pod.Name)
	pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "metrics", Image: "example/metrics"})
	client, received := recordWarnings(t)
	made := create(t, client, namespace, &pod)
	assert.Equal(t, []string{
		`volume "pipeline-storage" keeps the claim "pvc-data-pipeline.train" instead of "pvc-data-pipeline": it was ` +
			`rendered with another configuration`,
	}, received.all())
	with := map[string][]string{"metrics": {"/data"}}
	maps.Copy(with, mounted)
	assertMounts(t, made, "pvc-data-pipeline.train", with)
	assert.NotContains(t, made.Annotations, inject.AnnotationInjected)
	scheduledPods(t, namespace, 1)
	awaitReconciled(t)
	assert.Len(t, claimsIn(t, namespace), 1)
}

// render renders testdata/workloads.yaml as the release "train" with the webhook's configuration,
// in which the default profile's claim may have a name.
func render(t *testing.T, namespace, claim string) []*unstructured.Unstructured {
	t.Helper()

	stream, err := os.ReadFile("testdata/workloads.yaml")
	require.NoError(t, err)
	config, _, err := storage.Load(storageConfig(t), func(c *storage.Config) error {
		c.Profiles[0].Claim.Name = claim
		return nil
	})
	require.NoError(t, err)
	out, err := (&postrender.Renderer{
		Config:  config,
		Release: storage.Release{Name: "train", Namespace: namespace},
	}).Render(stream)
	require.NoError(t, err)
	return documents(t, out.Bytes())
}

// storageConfig is the configuration of testdata/values.yaml as a file.
func storageConfig(t *testing.T) []byte {
	t.Helper()

	text, err := os.ReadFile("testdata/values.yaml")
	require.NoError(t, err)
	var values struct {
		Config map[string]any `json:"config"`
	}
	require.NoError(t, yaml.Unmarshal(text, &values))
	values.Config["apiVersion"], values.Config["kind"] = storage.APIVersion, storage.ConfigKind
	file, err := yaml.Marshal(values.Config)
	require.NoError(t, err)
	return file
}

// hasPods distinguishes the workloads from their storage.
func hasPods(object *unstructured.Unstructured) bool {
	return !slices.Contains([]string{"StorageClass", "PersistentVolume", "PersistentVolumeClaim"}, object.GetKind())
}
