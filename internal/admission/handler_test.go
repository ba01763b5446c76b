package admission_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	crwebhook "sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/pipeline-storage/pipeline-storage/internal/admission"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

const fileHead = "apiVersion: pipeline-storage.io/v1alpha1\nkind: StorageConfig\n"

func config(t testing.TB, text string) func() *storage.Config {
	t.Helper()
	c, _, err := storage.LoadForAdmission([]byte(fileHead + text))
	require.NoError(t, err)
	return func() *storage.Config { return c }
}

// handler is one with the default configuration.
func handler(t testing.TB) *admission.Handler {
	t.Helper()
	return &admission.Handler{Config: config(t, "profiles: [{name: default}]\n"), Log: logr.Discard()}
}

// theirs is controller-runtime's handler, which allows everything.
func theirs() http.Handler {
	return &crwebhook.Webhook{Handler: crwebhook.HandlerFunc(func(context.Context, crwebhook.Request) crwebhook.Response {
		return crwebhook.Allowed("")
	})}
}

const (
	head = `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u-1","kind":{"group":"",` +
		`"version":"v1","kind":"Pod"},`
	create   = head + `"namespace":"ml","operation":"CREATE",`
	labeled  = `"metadata":{"generateName":"train-","labels":{"pipeline-storage":"enabled"}}`
	plainPod = `{"apiVersion":"v1","kind":"Pod",` + labeled + `,"spec":{"containers":[{"name":"main"}]}}`
)

func createOf(pod string) string { return create + `"object":` + pod + `}}` }

func send(t testing.TB, h http.Handler, contentType, body string) *httptest.ResponseRecorder {
	t.Helper()
	return sendTo(t, h, "/inject", contentType, body)
}

func sendTo(t testing.TB, h http.Handler, path, contentType, body string) *httptest.ResponseRecorder {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
	request.Header.Set("Content-Type", contentType)
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, request)
	return recorder
}

// post sends a review and reads the answer strictly, as one JSON value of the API's type.
func post(t testing.TB, h http.Handler, body string) *admissionv1.AdmissionReview {
	t.Helper()
	return answerOf(t, send(t, h, "application/json", body))
}

func answerOf(t testing.TB, recorder *httptest.ResponseRecorder) *admissionv1.AdmissionReview {
	t.Helper()
	require.Equal(t, http.StatusOK, recorder.Code)
	var review admissionv1.AdmissionReview
	decoder := json.NewDecoder(recorder.Body)
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(&review))
	require.NotNil(t, review.Response)
	return &review
}

// patched applies the answer's patch to the pod, with an independent library.
func patched(t testing.TB, pod string, review *admissionv1.AdmissionReview) string {
	t.Helper()
	require.True(t, review.Response.Allowed, "%v", review.Response.Result)
	require.NotNil(t, review.Response.PatchType)
	require.Equal(t, admissionv1.PatchTypeJSONPatch, *review.Response.PatchType)
	patch, err := jsonpatch.DecodePatch(review.Response.Patch)
	require.NoError(t, err)
	for _, operation := range patch {
		require.Equal(t, "add", operation.Kind())
	}
	after, err := patch.Apply([]byte(pod))
	require.NoError(t, err)
	return string(after)
}

// TestAnswersWhatControllerRuntimeAnswers sends the same requests to both handlers.
func TestAnswersWhatControllerRuntimeAnswers(t *testing.T) {
	for name, tt := range map[string]struct {
		contentType, body string
		// code is set where the handler answers with another code by intent, for the reason why.
		code int32
		why  string
	}{
		"a review": {body: createOf(plainPod)},
		"a review of v1beta1": {
			body: strings.Replace(createOf(plainPod), "k8s.io/v1\"", "k8s.io/v1beta1\"", 1),
		},
		"an uid with escapes": {body: strings.Replace(createOf(plainPod), "u-1", `\u00fc\"\\`, 1)},
		"null lists and maps": {
			body: createOf(
				`{"metadata":{"labels":null,"annotations":null},"spec":{"containers":null,"volumes":null,"securityContext":null}}`,
			),
		},
		"an object that is null": {body: createOf("null")},
		"no object":              {body: create + `"dryRun":true}}`},
		"an empty body": {
			body: "", code: 400, why: "the other allows an empty body that comes as a stream",
		},
		"a body that is no JSON": {body: "hello"},
		"JSON that ends early":   {body: createOf(plainPod)[:100]},
		"a list":                 {body: "[]"},
		"an empty object":        {body: "{}", code: 400, why: "the other allows what is no review"},
		"another kind of body": {
			body: `{"kind":"Pod","apiVersion":"v1"}`, code: 400, why: "the other allows what is no review",
		},
		"another version of review": {
			body: strings.Replace(createOf(plainPod), "k8s.io/v1\"", "k8s.io/v2\"", 1), code: 400,
			why: "the other allows an unknown version",
		},
		"a review without a kind": {
			body: strings.Replace(createOf(plainPod), `"kind":"AdmissionReview",`, "", 1), code: 400,
			why: "no API server leaves it out; the other guesses",
		},
		"another content type":          {contentType: "text/plain", body: createOf(plainPod)},
		"a content type with a charset": {contentType: "application/json; charset=utf-8", body: createOf(plainPod)},
		"no content type":               {contentType: "-", body: createOf(plainPod)},
		"a body above the limit": {
			body: strings.Repeat(" ", admission.MaxBody+1), code: 413,
			why: "no pod that anybody needs has a review as large",
		},
		"a body of almost MaxBody": {
			body: createOf(
				strings.Replace(plainPod, `"spec"`, `"x":"`+strings.Repeat("y", admission.MaxBody-1000)+`","spec"`, 1),
			),
		},
		"unknown fields":         {body: strings.Replace(createOf(plainPod), `"uid"`, `"new":[{"a":1}],"uid"`, 1)},
		"text after the review":  {body: createOf(plainPod) + "x"},
		"a uid that is a number": {body: strings.Replace(createOf(plainPod), `"u-1"`, "1", 1)},
		"a repeated key": {
			body: strings.Replace(createOf(plainPod), `"uid":"u-1"`, `"uid":"u-0","uid":"u-1"`, 1),
		},
		"a key in another case": {
			body: strings.Replace(createOf(plainPod), `"uid":"u-1"`, `"UID":"u-0","uid":"u-1"`, 1),
		},
		"text that is no UTF-8": {
			body: strings.Replace(createOf(plainPod), "main", "\xff", 1), code: 400,
			why: "no API server writes it, and an answer could not carry it",
		},
		"a number that no computer holds": {body: strings.Replace(createOf(plainPod), `"spec"`, `"x":1e999,"spec"`, 1)},
		"a deep object": {
			body: createOf(
				strings.Replace(plainPod, `"spec"`, `"x":`+strings.Repeat("[", 500)+strings.Repeat("]", 500)+`,"spec"`, 1),
			),
		},
	} {
		t.Run(name, func(t *testing.T) {
			contentType := "application/json"
			if tt.contentType != "" {
				contentType = strings.TrimPrefix(tt.contentType, "-")
			}
			own := answerOf(t, send(t, handler(t), contentType, tt.body))
			their := answerOf(t, send(t, theirs(), contentType, tt.body))

			if tt.code != 0 {
				require.NotEqual(t, code(their), code(own), "the exception is not needed any more: %s", tt.why)
				assert.Equal(t, tt.code, code(own))
				return
			}
			assert.Equal(t, code(their), code(own), "%v", own.Response.Result)
			assert.Equal(t, their.Response.Allowed, own.Response.Allowed)
			if their.Response.UID != "" {
				assert.Equal(t, their.Response.UID, own.Response.UID)
				assert.Equal(t, their.TypeMeta, own.TypeMeta)
			}
		})
	}
}

// code is the status of an answer. That of controller-runtime is 200 where the handler's is absent,
// which the API server takes for the same.
func code(review *admissionv1.AdmissionReview) int32 {
	if review.Response.Result == nil || review.Response.Result.Code == http.StatusOK {
		return 0
	}
	return review.Response.Result.Code
}

func TestInjects(t *testing.T) {
	const pod = `{"apiVersion":"v1","kind":"Pod",` + labeled + `,"spec":{"fromTheFuture":{"a":[1]},` +
		`"initContainers":[{"name":"init","restartPolicy":"Always"}],` +
		`"containers":[{"name":"ma\u0069n","x":1.50,"env":[{"name":"A","value":"b"}]}],` +
		`"ephemeralContainers":[{"name":"debug"}]}}`
	review := post(t, handler(t), createOf(pod))
	assert.JSONEq(t, `{"apiVersion":"v1","kind":"Pod",
		"metadata":{"generateName":"train-","labels":{"pipeline-storage":"enabled"},
			"annotations":{"pipeline-storage.io/injected":"default"}},
		"spec":{"fromTheFuture":{"a":[1]},
			"volumes":[{"name":"pipeline-storage","persistentVolumeClaim":{"claimName":"pvc-data-pipeline"}}],
			"initContainers":[{"name":"init","restartPolicy":"Always",
				"volumeMounts":[{"name":"pipeline-storage","mountPath":"/data"}]}],
			"containers":[{"name":"main","x":1.50,"env":[{"name":"A","value":"b"}],
				"volumeMounts":[{"name":"pipeline-storage","mountPath":"/data"}]}],
			"ephemeralContainers":[{"name":"debug"}]}}`, patched(t, pod, review))
	assert.Equal(t, map[string]string{"reason": "Injected", "profiles": "default"}, review.Response.AuditAnnotations)
	assert.Empty(t, review.Response.Warnings)

	again := post(t, handler(t), createOf(patched(t, pod, review)))
	assert.True(t, again.Response.Allowed)
	assert.Nil(t, again.Response.Patch, "a second round should change nothing")
	assert.Nil(t, again.Response.PatchType)
	assert.Empty(t, again.Response.AuditAnnotations, "an API server refuses to record two reasons for one request")
}

func TestLeavesAlone(t *testing.T) {
	for name, body := range map[string]string{
		"an update":    head + `"operation":"UPDATE","object":` + plainPod + `}}`,
		"a deletion":   head + `"operation":"DELETE","object":null,"oldObject":` + plainPod + `}}`,
		"a connection": head + `"operation":"CONNECT","subResource":"exec","object":{}}}`,
		"an ephemeral container": head + `"operation":"UPDATE","subResource":"ephemeralcontainers","object":` +
			plainPod + `}}`,
		"an eviction": strings.Replace(create, `"kind":"Pod"`, `"kind":"Eviction"`, 1) +
			`"subResource":"eviction","object":{}}}`,
		"a binding":    create + `"subResource":"binding","object":` + plainPod + `}}`,
		"another kind": strings.Replace(createOf(plainPod), `"kind":"Pod"}`, `"kind":"PodTemplate"}`, 1),
		"another kind of other fields": strings.Replace(
			createOf(`{"metadata":7,"spec":{"containers":"none"}}`), `"kind":"Pod"}`, `"kind":"Report"}`, 1,
		),
		"a pod of another group": strings.Replace(createOf(plainPod), `"group":""`, `"group":"example.com"`, 1),
		"an unlabeled pod":       createOf(strings.Replace(plainPod, "enabled", "disabled", 1)),
		"a mirror pod": createOf(
			strings.Replace(plainPod, `"labels"`, `"annotations":{"kubernetes.io/config.mirror":"x"},"labels"`, 1),
		),
		"a Windows pod":            createOf(strings.Replace(plainPod, `"spec":{`, `"spec":{"os":{"name":"windows"},`, 1)),
		"a pod without containers": createOf(strings.Replace(plainPod, `[{"name":"main"}]`, `[]`, 1)),
	} {
		t.Run(name, func(t *testing.T) {
			review := post(t, handler(t), body)
			assert.True(t, review.Response.Allowed, "%v", review.Response.Result)
			assert.Nil(t, review.Response.Patch)
			assert.Equal(t, "u-1", string(review.Response.UID))
		})
	}
}

func TestRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		config, pod string
		code        int32
		exp         string
	}{
		"a conflict, with the sentence of the post-renderer": {
			"profiles: [{name: default}]\n",
			`{` + labeled +
				`,"spec":{"containers":[{"name":"main","volumeMounts":[{"name":"scratch","mountPath":"/data/"}]}],` +
				`"volumes":[{"name":"scratch","emptyDir":{}}]}}`,
			403,
			`Pod/train-*: container "main": mount path /data is taken by volume "scratch": choose another by mount.path, ` +
				`--mount-path or the pod annotation pipeline-storage.io/mount-path`,
		},
		"an annotation that would widen": {
			"profiles: [{name: default, mount: {readOnly: true}}]\n",
			`{"metadata":{"name":"a","labels":{"pipeline-storage":"enabled"},` +
				`"annotations":{"pipeline-storage.io/read-only":"false"}},"spec":{"containers":[{"name":"main"}]}}`,
			403, `Pod/a: annotation pipeline-storage.io/read-only: the profile "default" is read-only`,
		},
		"a namespace whose labels are not known yet": {
			"profiles: [{name: default, namespaceSelector: {matchLabels: {a: b}}}]\n", plainPod,
			429, `the labels of the namespace "ml" are not known yet: try again`,
		},
		"a field of another type, without its value": {
			"profiles: [{name: default}]\n", strings.Replace(plainPod, `"main"`, `{"secret":"word"}`, 1),
			400, `the review cannot be read: /request/object/spec/containers/0/name: a JSON { is not what belongs there`,
		},
		"volumes that are no list": {
			"profiles: [{name: default}]\n", strings.Replace(plainPod, `"containers"`, `"volumes":{},"containers"`, 1),
			400, "/request/object/spec/volumes",
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := &admission.Handler{
				Config: config(t, tt.config), Log: logr.Discard(),
				NamespaceLabels: func(context.Context, string) (map[string]string, bool) { return nil, false },
			}
			review := post(t, h, createOf(tt.pod))
			assert.False(t, review.Response.Allowed)
			assert.Equal(t, "u-1", string(review.Response.UID))
			require.NotNil(t, review.Response.Result)
			assert.Equal(t, tt.code, review.Response.Result.Code)
			assert.NotEmpty(t, review.Response.Result.Reason)
			assert.Contains(t, review.Response.Result.Message, tt.exp)
			assert.NotContains(t, review.Response.Result.Message, "word")
			assert.Nil(t, review.Response.Patch, "nothing half done")
		})
	}
}

func TestUsesTheNamespaceOfTheRequest(t *testing.T) {
	h := handler(t)
	h.Config = config(t, "profiles: [{name: default, claim: {name: 'data-{namespace}'}}]\n")
	pod := strings.Replace(plainPod, `"labels"`, `"namespace":"other","labels"`, 1)
	assert.Contains(t, patched(t, pod, post(t, h, createOf(pod))), `"claimName":"data-ml"`)
}

func TestNamespaceSelector(t *testing.T) {
	h := handler(t)
	h.Config = config(t, "profiles: [{name: default, namespaceSelector: {matchLabels: {team: gpu}}}]\n")
	for name, tt := range map[string]struct {
		labels map[string]string
		exp    bool
	}{
		"a namespace that matches":     {map[string]string{"team": "gpu"}, true},
		"a namespace that does not":    {map[string]string{"team": "web"}, false},
		"a namespace without a label":  {nil, false},
		"a namespace with two of them": {map[string]string{"team": "gpu", "a": "b"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			h.NamespaceLabels = func(_ context.Context, namespace string) (map[string]string, bool) {
				return tt.labels, namespace == "ml"
			}
			assert.Equal(t, tt.exp, post(t, h, createOf(plainPod)).Response.Allowed)
		})
	}
}

func TestWarns(t *testing.T) {
	h := handler(t)
	h.Warnings = func(namespace string, profile *storage.Profile) []string {
		return []string{fmt.Sprintf("claim of %q in %s: \"shared\"", profile.Name, namespace)}
	}
	pod := strings.Replace(plainPod, `"labels"`, `"annotations":{"pipeline-storage.io/mount-pth":"/x"},"labels"`, 1)
	assert.Equal(t, []string{
		`claim of "default" in ml: "shared"`,
		"annotation pipeline-storage.io/mount-pth is not known and does nothing",
	}, post(t, h, createOf(pod)).Response.Warnings)
}

// TestPanics holds that a panic is answered under the review's uid, that the log has it, and that
// the next request is fine.
func TestPanics(t *testing.T) {
	h := handler(t)
	var log bytes.Buffer
	h.Log = funcr.New(func(_, args string) { log.WriteString(args) }, funcr.Options{})
	h.Warnings = func(string, *storage.Profile) []string { panic(errors.New("out of luck")) }
	review := post(t, h, createOf(plainPod))
	assert.False(t, review.Response.Allowed)
	assert.Equal(t, "u-1", string(review.Response.UID))
	assert.Equal(t, int32(http.StatusInternalServerError), review.Response.Result.Code)
	assert.NotContains(t, review.Response.Result.Message, "luck", "what went wrong inside is for the log")
	assert.Contains(t, log.String(), "out of luck")

	h.Warnings = nil
	assert.True(t, post(t, h, createOf(plainPod)).Response.Allowed)
}

func TestClosesConnectionsWhenClosing(t *testing.T) {
	h := handler(t)
	isClosing := false
	h.Closing = func() bool { return isClosing }
	assert.Empty(t, send(t, h, "application/json", createOf(plainPod)).Header().Get("Connection"))
	isClosing = true
	assert.Equal(t, "close", send(t, h, "application/json", createOf(plainPod)).Header().Get("Connection"))
}

// TestASlowBodyIsNotWaitedFor holds that who stops in the middle of a body gets an answer, and
// loses the connection.
func TestASlowBodyIsNotWaitedFor(t *testing.T) {
	h := handler(t)
	h.BodyTimeout = 50 * time.Millisecond
	server := httptest.NewServer(h)
	defer server.Close()
	connection, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	defer connection.Close()
	_, err = io.WriteString(
		connection,
		"POST /inject HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{",
	)
	require.NoError(t, err)
	require.NoError(t, connection.SetReadDeadline(time.Now().Add(10*time.Second)))
	text, err := io.ReadAll(connection)
	require.NoError(t, err, "the server should close the connection")
	assert.Contains(t, string(text), "the body did not arrive as a whole within 50ms, or stopped for 50ms")
}

// brokenBody fails after some bytes.
type brokenBody struct{ io.Reader }

func (b brokenBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		err = errors.New("connection reset")
	}
	return n, err
}

func TestBodyThatBreaks(t *testing.T) {
	request := httptest.NewRequestWithContext(
		t.Context(), http.MethodPost, "/inject", brokenBody{strings.NewReader(createOf(plainPod))},
	)
	request.Header.Set("Content-Type", "application/json")
	recorder := httptest.NewRecorder()
	handler(t).ServeHTTP(recorder, request)
	review := answerOf(t, recorder)
	assert.False(t, review.Response.Allowed)
	assert.Equal(t, int32(http.StatusBadRequest), review.Response.Result.Code)
}

// TestNeverLogsAPod holds that no log line, at any level, has text of a pod.
func TestNeverLogsAPod(t *testing.T) {
	var log bytes.Buffer
	h := handler(t)
	h.Log = funcr.New(func(_, args string) { log.WriteString(args + "\n") }, funcr.Options{Verbosity: 10})
	secret := strings.Replace(
		plainPod, `"name":"main"`, `"name":"main","env":[{"name":"PASSWORD","value":"hunter2"}]`, 1,
	)
	for _, body := range []string{
		createOf(secret), createOf(secret)[:len(createOf(secret))-3],
		createOf(strings.Replace(secret, `"hunter2"`, `{"hunter2":"hunter2"}`, 1)),
		createOf(strings.Replace(secret, `"spec"`, `"metadata":{},"spec"`, 1)),
	} {
		post(t, h, body)
	}
	assert.NotContains(t, log.String(), "hunter2")
	assert.Contains(t, log.String(), "bad request")
}

// TestImportantWarningsReachTheClient has a pod of 60 containers with paths that nest, and more
// warnings than an API server passes on. Past its limit it cuts all of them.
// Source: Kubernetes, apiserver/pkg/endpoints/filters/warning.go.
func TestImportantWarningsReachTheClient(t *testing.T) {
	const ofClaim = "claim pvc-data-pipeline is ReadWriteOnce and another pod uses it"
	containers := make([]string, 60)
	for i := range containers {
		containers[i] = fmt.Sprintf(
			`{"name":"%s-%d","volumeMounts":[{"name":"s-%d","mountPath":"/data/%s/%d"}]}`, strings.Repeat("c", 60), i, i,
			strings.Repeat("some/where/", 40), i,
		)
	}
	annotations := make([]string, 60)
	for i := range annotations {
		annotations[i] = fmt.Sprintf(`"pipeline-storage.io/unknown-%s-%d":"x"`, strings.Repeat("a", 40), i)
	}
	h := handler(t)
	h.Warnings = func(string, *storage.Profile) []string { return []string{ofClaim} }
	review := post(t, h, createOf(`{"metadata":{"labels":{"pipeline-storage":"enabled"},"annotations":{`+
		strings.Join(annotations, ",")+`}},"spec":{"containers":[`+strings.Join(containers, ",")+`]}}`))
	require.True(t, review.Response.Allowed)
	warnings := review.Response.Warnings
	require.Greater(t, len(warnings), 3)
	assert.Equal(t, ofClaim, warnings[0])
	assert.Regexp(t, `^and \d+ more warnings$`, warnings[len(warnings)-1])

	const cut, room = 4096, 1000 // the API server's limit, and what others need of it
	characters := 0
	for _, text := range warnings {
		characters += utf8.RuneCountInString(text)
		_, err := utilnet.NewWarningHeader(299, "", text)
		require.NoError(t, err, "the API server drops it")
	}
	assert.Less(t, characters, cut-room)
}

// TestPathDecidesWhatSelectsPods sends the same pods to the path of every entry of the MutatingWebhookConfiguration.
func TestPathDecidesWhatSelectsPods(t *testing.T) {
	const (
		unlabeled = `{"name":"a"}`
		enabled   = `{"name":"a","labels":{"pipeline-storage":"enabled"}}`
		disabled  = `{"name":"a","labels":{"pipeline-storage":"disabled"}}`
		forged    = `{"name":"a","annotations":{"pipeline-storage.io/selected-by":"namespace"}}`
		mirror    = `{"name":"a","annotations":{"kubernetes.io/config.mirror":"x"}}`
	)
	for metadata, exp := range map[string]map[string]inject.Reason{
		unlabeled: {"/inject": "NotSelected", "/inject/namespace": "Injected", "/inject/pod-selector": "Injected"},
		enabled:   {"/inject": "Injected", "/inject/namespace": "Injected", "/inject/pod-selector": "Injected"},
		disabled:  {"/inject": "NotSelected", "/inject/namespace": "NotSelected", "/inject/pod-selector": "NotSelected"},
		forged:    {"/inject": "NotSelected", "/inject/namespace": "Injected", "/inject/pod-selector": "Injected"},
		mirror:    {"/inject": "NotSelected", "/inject/namespace": "MirrorPod", "/inject/pod-selector": "MirrorPod"},
	} {
		require.Len(t, exp, len(inject.AdmissionPaths))
		pod := `{"metadata":` + metadata + `,"spec":{"containers":[{"name":"main"}]}}`
		for path, reason := range exp {
			require.Contains(t, inject.AdmissionPaths, path)
			by := string(inject.AdmissionPaths[path])
			review := answerOf(t, sendTo(t, handler(t), path, "application/json", createOf(pod)))
			require.True(t, review.Response.Allowed)
			assert.Equal(t, string(reason), review.Response.AuditAnnotations["reason"], "%s %s", path, pod)
			if reason != inject.ReasonInjected {
				assert.Nil(t, review.Response.Patch, "%s %s", path, pod)
				continue
			}
			var after corev1.Pod
			require.NoError(t, json.Unmarshal([]byte(patched(t, pod, review)), &after))
			assert.Equal(t, "enabled", after.Labels["pipeline-storage"], "%s %s", path, pod)
			assert.Equal(t, by, after.Annotations[inject.AnnotationSelectedBy], "%s %s", path, pod)
		}
	}
}
