package reviews

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
)

func TestReviewSizes(t *testing.T) {
	for _, size := range Sizes() {
		for _, review := range makeReviews(t, size) {
			assert.InEpsilon(t, size.Bytes, len(review.Body), 0.05, size.Name)
		}
	}
}

func TestReviewsAreDeterministic(t *testing.T) {
	for _, size := range Sizes() {
		first, second := makeReviews(t, size), makeReviews(t, size)
		assert.Equal(t, first, second)
	}
}

func TestReviewsHaveUniqueUIDs(t *testing.T) {
	uids := map[string]bool{}
	reviews := makeReviews(t, Sizes()[0])
	for _, review := range reviews {
		uids[review.UID] = true
	}
	assert.Len(t, uids, len(reviews))
}

func TestReviewsNeedInjection(t *testing.T) {
	for _, size := range Sizes() {
		for _, made := range makeReviews(t, size) {
			request, pod := decode(t, made)

			assert.Equal(t, made.UID, string(request.UID))
			assert.Equal(t, admissionv1.Create, request.Operation)
			assert.Equal(t, "Pod", request.Kind.Kind)
			assert.Equal(t, Namespace, request.Namespace)
			assert.JSONEq(t, string(made.Pod), string(request.Object.Raw))
			assert.Equal(t, kinds.LabelEnabled, pod.Labels[kinds.Label])
			assert.Len(t, pod.Spec.Containers, size.Containers)
			assert.Len(t, pod.Spec.InitContainers, size.InitContainers)
			for _, volume := range pod.Spec.Volumes {
				assert.Nil(t, volume.PersistentVolumeClaim)
			}
		}
	}
}

// Managed fields are close to half of what the API server sends: reviews without them would flatter
// every server.
func TestManagedFieldsCoverPod(t *testing.T) {
	_, pod := decode(t, makeReviews(t, Sizes()[1])[0])

	require.Len(t, pod.ManagedFields, 1)
	var fields map[string]map[string]map[string]map[string]any
	require.NoError(t, json.Unmarshal(pod.ManagedFields[0].FieldsV1.GetRawBytes(), &fields))
	containers := fields["f:spec"]["f:containers"]
	assert.Len(t, containers, len(pod.Spec.Containers)+1, "each, and the list itself")
	assert.Contains(t, containers[`k:{"name":"stage-00"}`]["f:env"], `k:{"name":"PIPELINE_SETTING_00"}`)
	assert.Contains(t, containers[`k:{"name":"stage-00"}`]["f:ports"], `k:{"containerPort":9100,"protocol":"TCP"}`)
	assert.Empty(t, containers[`k:{"name":"stage-00"}`]["f:args"])
	assert.Contains(t, fields["f:metadata"]["f:labels"], "f:"+kinds.Label)
	assert.NotContains(t, fields, "f:status")
}

func makeReviews(t *testing.T, size Size) []Review {
	t.Helper()
	made, err := size.Make(8)
	require.NoError(t, err)
	require.Len(t, made, 8)
	return made
}

// decode refuses fields that Kubernetes does not have.
func decode(t *testing.T, made Review) (*admissionv1.AdmissionRequest, *corev1.Pod) {
	t.Helper()
	var review admissionv1.AdmissionReview
	require.NoError(t, json.Unmarshal(made.Body, &review))
	var pod corev1.Pod
	require.NoError(t, json.Unmarshal(review.Request.Object.Raw, &pod))
	return review.Request, &pod
}
