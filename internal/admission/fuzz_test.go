package admission_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/net"

	"github.com/pipeline-storage/pipeline-storage/internal/injecttest"
)

// FuzzHandler holds that every body gets an answer under its uid, that an API server drops none of its
// warnings, that a patch applies to the pod, adds only, and makes a pod that core/v1 can read, and that
// a second round changes nothing.
func FuzzHandler(f *testing.F) {
	for _, seed := range []string{
		"", "{}", "null", createOf(plainPod), createOf("null"), createOf(`{` + labeled + `,"spec":null}`),
		createOf(
			`{` + labeled +
				`,"spec":{"affinity":{"podAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":[]}},` +
				`"containers":[{"env":[{"name":"PIPELINE_STORAGE_POD_NAME",` +
				`"valueFrom":{"fieldRef":{"fieldPath":"metadata.name"}}}]}]}}`,
		),
		createOf(
			`{` + labeled +
				`,"spec":{"containers":[{"name":"a","volumeMounts":[{"name":"v","mountPath":"/data"}]}],"volumes":[{"name":"v",` +
				`"persistentVolumeClaim":{"claimName":"pvc-data-pipeline"}}]}}`,
		),
		createOf(
			`{` + labeled + `,"spec":{"containers":[{"name":"a","volumeMounts":[{"name":"v","mountPath":"/data/\n"}]}]}}`,
		),
		createOf(
			`{"metadata":{"labels":{"pipeline-storage":"enabled"},"annotations":{"pipeline-storage.io/mount-path":"/x/../y"}},` +
				`"spec":{"containers":[{}],"securityContext":{}}}`,
		),
		createOf(
			`{"metadata":{"labels":{"pipeline-storage":"enabled"},"labels":{}},"spec":{"containers":[{"name":"\ud800"}]}}`,
		),
		strings.Replace(createOf(plainPod), "u-1", `\u0000`, 1),
	} {
		f.Add([]byte(seed))
	}
	plain, all := handler(f), handler(f)
	all.Config = config(f, injecttest.AdmissionProfiles[len(injecttest.AdmissionProfiles)-1])
	f.Fuzz(func(t *testing.T, body []byte) {
		requireAnswer(t, plain, body)
		requireAnswer(t, all, body)
	})
}

// requireAnswer requires what must hold of the answer to any body.
func requireAnswer(t *testing.T, h http.Handler, body []byte) {
	t.Helper()
	recorder := send(t, h, "application/json", string(body))
	require.Equal(t, http.StatusOK, recorder.Code)
	review := answerOf(t, recorder)

	var sent admissionv1.AdmissionReview
	if err := json.Unmarshal(body, &sent); err != nil || sent.Request == nil || !review.Response.Allowed {
		return
	}
	require.Equal(t, sent.Request.UID, review.Response.UID)
	for _, warning := range review.Response.Warnings {
		_, err := net.NewWarningHeader(http.StatusOK, "", warning)
		require.NoError(t, err)
	}
	if review.Response.Patch == nil {
		return
	}
	patch, err := jsonpatch.DecodePatch(review.Response.Patch)
	require.NoError(t, err)
	after, err := patch.Apply(sent.Request.Object.Raw)
	require.NoError(t, err)
	var pod corev1.Pod
	if json.Unmarshal(sent.Request.Object.Raw, &pod) != nil {
		return // no API server has such a pod
	}
	require.NoError(t, json.Unmarshal(after, &pod))
	sent.Request.Object.Raw = after
	again, err := json.Marshal(sent)
	require.NoError(t, err)
	require.Nil(t, post(t, h, string(again)).Response.Patch)
}
