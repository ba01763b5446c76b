package webhook

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

// TestMountsContainersOfAnotherWebhook has another webhook add containers, before or after this
// one.
func TestMountsContainersOfAnotherWebhook(t *testing.T) {
	requireWebhook(t)
	t.Parallel()

	for name, called := range map[string]string{"called after this webhook": "zz-", "called before this webhook": "aa-"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			namespace := newNamespace(t, "chain", nil)
			addSidecarWebhook(t, called+namespace, namespace)
			made := create(t, shared.Client, namespace, pipeline("train"))
			assert.Equal(t, []string{"agent", "main", "logs", "istio-proxy"}, containersOf(made))
			assertMounts(t, made, claimName, map[string][]string{"agent": {"/data"}, "main": {"/data"}, "logs": {"/data"}})
			assert.Equal(t, "default", made.Annotations[inject.AnnotationInjected])
			scheduledPods(t, namespace, 1)
			assertOwnClaim(t, boundClaim(t, namespace, claimName))
			assertAuditIsNotOverwritten(t)
		})
	}
}

// assertAuditIsNotOverwritten checks that the second round returns the same audit annotations as
// the first: the API server retains the first and logs a warning, which would be one for each pod
// with a sidecar.
func assertAuditIsNotOverwritten(t *testing.T) {
	t.Helper()

	logs := t.TempDir()
	require.NoError(t, suite.Plane(t).Logs().CopyTo(logs))
	text, err := os.ReadFile(filepath.Join(logs, "kube-apiserver.log"))
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		assert.NotContains(t, line, "Failed to set admission audit annotation")
	}
}

func containersOf(pod *corev1.Pod) []string {
	var names []string
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		names = append(names, c.Name)
	}
	return names
}

// sidecars is what the other webhook adds: a native sidecar, a container, and one that the profile
// excludes.
const sidecars = `[
	{"op": "add", "path": "/spec/initContainers",
		"value": [{"name": "agent", "image": "example/agent", "restartPolicy": "Always"}]},
	{"op": "add", "path": "/spec/containers/-", "value": {"name": "logs", "image": "example/logs"}},
	{"op": "add", "path": "/spec/containers/-", "value": {"name": "istio-proxy", "image": "example/proxy"}}
]`

// addSidecarWebhook serves another webhook from this process, and returns when the API server calls
// it for the pods of the namespace. The API server calls webhooks in the order of their
// configurations' names.
func addSidecarWebhook(t *testing.T, name, namespace string) {
	t.Helper()

	server := httptest.NewTLSServer(http.HandlerFunc(answerWithSidecars))
	t.Cleanup(server.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	configurations := shared.Client.AdmissionregistrationV1().MutatingWebhookConfigurations()
	_, err := configurations.Create(t.Context(), &admissionregistrationv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Webhooks: []admissionregistrationv1.MutatingWebhook{{
			Name:         "sidecars.example.com",
			ClientConfig: admissionregistrationv1.WebhookClientConfig{URL: &server.URL, CABundle: ca},
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
				Rule: admissionregistrationv1.Rule{
					APIGroups: []string{""}, APIVersions: []string{"v1"},
					Resources: []string{"pods"},
				},
			}},
			NamespaceSelector:       &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}},
			SideEffects:             new(admissionregistrationv1.SideEffectClassNone),
			AdmissionReviewVersions: []string{"v1"},
		}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, configurations.Delete(context.WithoutCancel(t.Context()), name, metav1.DeleteOptions{}))
	})
	suite.Eventually(t, "the API server should call the other webhook", func(ctx context.Context) error {
		pod := pipeline("probe")
		delete(pod.Labels, kinds.Label)
		made, err := shared.Client.CoreV1().Pods(namespace).Create(ctx, pod,
			metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err == nil && len(made.Spec.Containers) == 1 {
			err = errors.New("it does not")
		}
		return err
	})
}

// answerWithSidecars adds containers to a pod that has none of them.
func answerWithSidecars(w http.ResponseWriter, r *http.Request) {
	var review admissionv1.AdmissionReview
	var pod corev1.Pod
	err := json.NewDecoder(r.Body).Decode(&review)
	if err == nil {
		err = json.Unmarshal(review.Request.Object.Raw, &pod)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true}
	if len(pod.Spec.InitContainers) == 0 {
		review.Response.PatchType, review.Response.Patch = new(admissionv1.PatchTypeJSONPatch), []byte(sidecars)
	}
	review.Request = nil
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(review) // the API server reports what it misses
}

// TestReviewOfPodWithUnknownFields sends a review directly to a replica: the API server would drop
// the fields before.
func TestReviewOfPodWithUnknownFields(t *testing.T) {
	requireWebhook(t)
	t.Parallel()

	const pod = `{"apiVersion": "v1", "kind": "Pod", "future": 1,
		"metadata": {"name": "train", "labels": {"pipeline-storage": "enabled"}, "annotations": {"a/b": "c"},
			"future": [1, null]},
		"spec": {"future": {"a": {"b": 1.50}}, "securityContext": {"future": true},
			"volumes": [{"name": "tape", "tape": {"drive": 7}}],
			"initContainers": [{"name": "fetch", "future": "x",
				"volumeMounts": [{"name": "tape", "mountPath": "/tape", "speed": 9}]}],
			"containers": [{"name": "main", "future": "y"}]}}`
	const mount = `{"name": "pipeline-storage", "mountPath": "/data"}`
	const want = `{"apiVersion": "v1", "kind": "Pod", "future": 1,
		"metadata": {"name": "train", "labels": {"pipeline-storage": "enabled"},
			"annotations": {"a/b": "c", "pipeline-storage.io/injected": "default"},
			"future": [1, null]},
		"spec": {"future": {"a": {"b": 1.50}}, "securityContext": {"future": true},
			"volumes": [{"name": "pipeline-storage", "persistentVolumeClaim": {"claimName": "pvc-data-pipeline"}},
				{"name": "tape", "tape": {"drive": 7}}],
			"initContainers": [{"name": "fetch", "future": "x",
				"volumeMounts": [` + mount + `, {"name": "tape", "mountPath": "/tape", "speed": 9}]}],
			"containers": [{"name": "main", "future": "y", "volumeMounts": [` + mount + `]}]}}`
	response := review(t, newNamespace(t, "unknown", nil), []byte(pod))
	require.True(t, response.Allowed)
	patch, err := jsonpatch.DecodePatch(response.Patch)
	require.NoError(t, err)
	for _, operation := range patch {
		assert.Equal(t, "add", operation.Kind())
	}
	got, err := patch.Apply([]byte(pod))
	require.NoError(t, err)
	assert.JSONEq(t, want, string(got))
}

func TestReviewReportsReason(t *testing.T) {
	requireWebhook(t)
	t.Parallel()

	namespace := newNamespace(t, "audit", nil)
	cases := map[string]struct {
		pod     string
		allowed bool
		audit   map[string]string
	}{
		"injected": {
			`{"metadata": {"name": "a", "labels": {"pipeline-storage": "enabled"}}, "spec": {"containers": [{"name": "main"}]}}`,
			true,
			map[string]string{"reason": "Injected", "profiles": "default"},
		},
		"not requested": {
			`{"metadata": {"name": "a"}, "spec": {"containers": [{"name": "main"}]}}`,
			true,
			map[string]string{"reason": "NotSelected"},
		},
		"excluded": {
			`{"metadata": {"name": "a", "labels": {"pipeline-storage": "enabled"}}, ` +
				`"spec": {"containers": [{"name": "istio-proxy"}]}}`,
			true,
			map[string]string{"reason": "Excluded"},
		},
		"refused": {
			`{"metadata": {"name": "a", "labels": {"pipeline-storage": "enabled"}}, "spec": {"containers": [{"name": "main",
				"volumeMounts": [{"name": "scratch", "mountPath": "/data"}]}]}}`,
			false,
			map[string]string{"reason": "Conflict"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			response := review(t, namespace, []byte(tc.pod))
			assert.Equal(t, tc.allowed, response.Allowed)
			assert.Equal(t, tc.audit, response.AuditAnnotations)
		})
	}
}

// review sends a replica the review of a new pod, as the API server does.
func review(t *testing.T, namespace string, pod []byte) *admissionv1.AdmissionResponse {
	t.Helper()

	request := &admissionv1.AdmissionRequest{
		UID: uuid.NewUUID(), Namespace: namespace, Operation: admissionv1.Create,
		Kind:     metav1.GroupVersionKind{Version: "v1", Kind: "Pod"},
		Resource: metav1.GroupVersionResource{Version: "v1", Resource: "pods"},
	}
	request.Object.Raw = pod
	body, err := json.Marshal(admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"}, Request: request,
	})
	require.NoError(t, err)
	response, err := shared.direct(t, shared.Replicas[0]).post(t.Context(), body)
	require.NoError(t, err)
	assert.Equal(t, request.UID, response.UID)
	return response
}
