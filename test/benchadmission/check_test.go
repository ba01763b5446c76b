package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pipeline-storage/pipeline-storage/test/benchadmission/reviews"
	"github.com/pipeline-storage/pipeline-storage/test/benchadmission/servers/listen"
)

// goodPatch is what a pod of one container with other volumes needs.
const goodPatch = `[
	{"op": "add", "path": "/spec/volumes/0",
		"value": {"name": "storage", "persistentVolumeClaim": {"claimName": "pvc-data-pipeline"}}},
	{"op": "add", "path": "/spec/containers/0/volumeMounts/0", "value": {"name": "storage", "mountPath": "/data"}},
	{"op": "add", "path": "/metadata/annotations", "value": {"pipeline-storage.io/injected": "default"}}
]`

var (
	mutating = candidate{name: "mutating", mutates: true}
	allowing = candidate{name: "allowing"}
	fixed    = candidate{name: "fixed", constant: listen.Constant}
)

func TestCheckAcceptsRightAnswers(t *testing.T) {
	sent := small(t)
	for name, test := range map[string]struct {
		candidate candidate
		body      string
	}{
		"of a server that mounts":      {mutating, answer(t, sent.UID, goodPatch)},
		"of a server that allows":      {allowing, answer(t, sent.UID, "")},
		"of a server that repeats one": {fixed, listen.Constant},
		"of a server that writes no annotation": {
			mutating,
			answer(t, sent.UID, goodPatch[:strings.LastIndex(goodPatch, ",\n")]+"]"),
		},
		"of a server that warns": {mutating, strings.Replace(answer(t, sent.UID, goodPatch),
			`"allowed":true`, `"allowed":true,"auditAnnotations":{"a":"b"},"warnings":["c"]`, 1)},
	} {
		t.Run(name, func(t *testing.T) {
			k := newChecker(test.candidate, []reviews.Review{sent})
			require.NoError(t, k.check(0, http.StatusOK, []byte(test.body)))
			assert.NoError(t, k.check(0, http.StatusOK, []byte(test.body)), "and again, from memory")
			assert.Equal(t, len(test.body), k.length)
		})
	}
}

func TestCheckRefusesWrongAnswers(t *testing.T) {
	sent := small(t)
	patched := func(old, replacement string) string {
		require.Contains(t, goodPatch, old)
		return answer(t, sent.UID, strings.Replace(goodPatch, old, replacement, 1))
	}
	right := answer(t, sent.UID, goodPatch)
	for name, test := range map[string]struct {
		candidate candidate
		body      string
		want      string
	}{
		"the answer to another review": {mutating, answer(t, "another", goodPatch), `uid "another" instead of`},
		"a denial":                     {allowing, strings.Replace(answer(t, sent.UID, ""), "true", "false", 1), "denied"},
		"an error that allows":         {allowing, strings.Replace(answer(t, sent.UID, ""), "200", "500", 1), "code 500"},
		"no response": {
			allowing, `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"}`,
			"no response",
		},
		"another kind": {allowing, `{"kind":"Status","apiVersion":"v1"}`, "it is a Status of v1"},
		"another version": {
			allowing, strings.Replace(right, "io/v1", "io/v1beta1", 1),
			"admission.k8s.io/v1beta1",
		},
		"no JSON":                 {allowing, "ok", "it is not an AdmissionReview"},
		"an unknown field":        {allowing, strings.Replace(right, "allowed", "permitted", 1), "unknown field"},
		"a patch of who must not": {allowing, right, "there is a patch"},
		"no patch":                {mutating, answer(t, sent.UID, ""), "type of the patch"},
		"an unnamed type of patch": {
			mutating, strings.Replace(right, `"patchType":"JSONPatch"`, `"patchType":null`, 1),
			"type of the patch",
		},
		"another constant":        {fixed, right, "not the constant"},
		"an invalid patch":        {mutating, answer(t, sent.UID, `{}`), "cannot be read"},
		"a patch for another pod": {mutating, patched("containers/0", "containers/9"), "does not apply"},
		"another claim":           {mutating, patched("pvc-data-pipeline", "pvc-data"), "no volume holds the claim"},
		"a mount of another volume": {
			mutating, patched(`"storage", "mountPath"`, `"scratch", "mountPath"`),
			"does not mount the claim",
		},
		"a mount at another path": {mutating, patched("/data", "/date"), "does not mount the claim at /data"},
		"a mount that is read-only": {
			mutating, patched(`"/data"`, `"/data", "readOnly": true`),
			"does not mount the claim at /data",
		},
		"something more": {mutating, patched(`"default"}`, `"default", "scratch": "too"}`), "changed beyond"},
		"a lost container": {mutating, patched(`
]`, `, {"op": "remove", "path": "/spec/containers/0"}]`), "changed beyond"},
	} {
		t.Run(name, func(t *testing.T) {
			k := newChecker(test.candidate, []reviews.Review{sent})
			require.ErrorContains(t, k.check(0, http.StatusOK, []byte(test.body)), test.want)
			assert.Error(t, k.check(0, http.StatusOK, []byte(test.body)), "and again: it is not remembered")
		})
	}
}

func TestCheckRefusesErrorStatus(t *testing.T) {
	k := newChecker(fixed, []reviews.Review{small(t)})
	assert.EqualError(t, k.check(0, http.StatusInternalServerError, []byte("no")), "fixed answered with status 500: no")
}

// An answer that was good for one review is cached for that review only.
func TestCheckCachesPerReview(t *testing.T) {
	two, err := reviews.Sizes()[0].Make(2)
	require.NoError(t, err)
	k := newChecker(allowing, two)

	require.NoError(t, k.check(0, http.StatusOK, []byte(answer(t, two[0].UID, ""))))
	assert.ErrorContains(t, k.check(1, http.StatusOK, []byte(answer(t, two[0].UID, ""))), "instead of")
}

func small(t *testing.T) reviews.Review {
	t.Helper()
	made, err := reviews.Sizes()[0].Make(1)
	require.NoError(t, err)
	return made[0]
}

// answer is that of a server with a patch.
func answer(t *testing.T, uid, patch string) string {
	t.Helper()
	response := &admissionv1.AdmissionResponse{
		UID: types.UID(uid), Allowed: true, Result: &metav1.Status{Code: http.StatusOK},
	}
	if patch != "" {
		isJSONPatch := admissionv1.PatchTypeJSONPatch
		response.Patch, response.PatchType = []byte(patch), &isJSONPatch
	}
	text, err := json.Marshal(admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{Kind: "AdmissionReview", APIVersion: "admission.k8s.io/v1"}, Response: response,
	})
	require.NoError(t, err)
	return string(text)
}
