// Package limits_test compares the limits of internal/admission with what a real API server sends
// to a webhook.
package limits_test

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/pipeline-storage/pipeline-storage/internal/admission"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/test/controlplane"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

func TestMain(m *testing.M) { os.Exit(suite.Main(m, controlplane.Options{})) }

// Limits of the API server and of etcd that end the growth of a pod.
const (
	// Source: Kubernetes, apiserver/pkg/server/config.go MaxRequestBodyBytes.
	maxRequest = 3 << 20
	// Source: etcd, server/embed/config.go DefaultMaxRequestBytes.
	maxStored = 1536 << 10
	// Source: Kubernetes, apimachinery/pkg/api/validation TotalAnnotationSizeLimitB.
	maxAnnotations = 256 << 10
)

// precision is the part of the largest pod by which the search may miss it.
const precision = 100

// sender creates a pod.
type sender func(*testing.T, *cluster, *corev1.Pod) (*corev1.Pod, error)

// way is how a pod reaches the API server.
type way struct {
	name string
	send sender
}

var (
	inJSON = way{"JSON", func(t *testing.T, c *cluster, pod *corev1.Pod) (*corev1.Pod, error) {
		return create(t, c.inJSON, pod)
	}}
	inProtobuf = way{"Protobuf", func(t *testing.T, c *cluster, pod *corev1.Pod) (*corev1.Pod, error) {
		return create(t, c.inProtobuf, pod)
	}}
	byApply = way{"server-side apply", apply}
)

func create(t *testing.T, client kubernetes.Interface, pod *corev1.Pod) (*corev1.Pod, error) {
	t.Helper()
	return client.CoreV1().Pods(pod.Namespace).Create(t.Context(), pod, metav1.CreateOptions{})
}

func apply(t *testing.T, c *cluster, pod *corev1.Pod) (*corev1.Pod, error) {
	t.Helper()
	manifest, err := json.Marshal(pod)
	require.NoError(t, err)
	return c.inJSON.CoreV1().Pods(pod.Namespace).Patch(t.Context(), pod.Name, types.ApplyPatchType, manifest,
		metav1.PatchOptions{FieldManager: "largest"})
}

// TestLargestReview searches, for pods of many shapes, the largest one that a real API server
// creates, and measures the review that a webhook gets of it. MaxBody is above that of every pod
// that the other limits of package admission allow and that a user could need. The reviews of other
// shapes may be larger: such a pod is refused with the code 413.
func TestLargestReview(t *testing.T) {
	c := newCluster(t)
	r := register(t, c)
	h := newHandler(t)

	rows := make([]string, len(shapes))
	t.Cleanup(func() {
		t.Logf(`
| shape of pod | sent by | pod, bytes of JSON | stored, bytes | review, bytes | of MaxBody | ended by | answer |
| --- | --- | ---: | ---: | ---: | ---: | --- | ---: |
%s`, strings.Join(rows, "\n"))
	})
	for i, s := range shapes {
		t.Run(s.name+" by "+s.way.name, func(t *testing.T) {
			t.Parallel()
			l := largest(t, c, r, s, fmt.Sprintf("largest-%02d", i))
			code := answerTo(t, h, l.review)
			rows[i] = fmt.Sprintf("| %s | %s | %d | %d | %d | %.0f %% | %s | %d |",
				s.name, s.way.name, l.sent, l.stored, len(l.review), 100*float64(len(l.review))/admission.MaxBody, l.endedBy, code)
			switch {
			case !s.pathological:
				assert.LessOrEqual(t, len(l.review), admission.MaxBody, "raise MaxBody: users have such pods")
				assert.Equal(t, http.StatusOK, code)
			case len(l.review) > admission.MaxBody:
				assert.Equal(t, http.StatusRequestEntityTooLarge, code)
			}
		})
	}
}

// found is the largest pod of a shape that the API server creates.
type found struct {
	sizes
	review  []byte
	endedBy string
}

// sizes are bytes of a pod that a limit counts.
type sizes struct {
	// stored is what the API server returns, in Protobuf, as etcd gets it.
	stored int
	// counted is what decides whether etcd accepts it: the same, but without the managedFields
	// where the API server drops them.
	counted           int
	sent, annotations int
}

// largest searches the largest pod of a shape, under a name of its own. All sizes grow linearly with
// the pod, so that two small pods predict it.
func largest(t *testing.T, c *cluster, r *recorder, s shape, name string) found {
	t.Helper()
	var l found
	var low, high int
	try := func(n int) {
		pod := s.pod(n)
		pod.Namespace, pod.Name = c.namespace, name
		created, err := s.way.send(t, c, pod)
		if err != nil {
			high, l.endedBy = n, limitOf(t, err)
			return
		}
		low, l.sizes, l.review = n, sizesOf(t, s.way, pod, created), r.take(name)
		require.NotEmpty(t, l.review, "the API server has not called the webhook")
		now := metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))}
		require.NoError(t, c.inProtobuf.CoreV1().Pods(c.namespace).Delete(t.Context(), pod.Name, now))
	}

	try(s.start)
	first := l.sizes
	try(2 * s.start)
	require.Zero(t, high, "start with a smaller pod: %s", l.endedBy)
	end := predict(s, first, l.sizes)
	margin := end / (3 * precision)
	try(end + margin)
	for try(max(low+1, end-margin)); high == 0 || high-low > high/precision; {
		if high == 0 {
			try(2 * low)
		} else {
			try((low + high) / 2)
		}
	}
	return l
}

// predict returns where the first limit is, by the sizes at start and at twice as much.
func predict(s shape, first, second sizes) int {
	end := 1 << 30
	at := func(limit, first, second int) {
		if grown := second - first; grown > 0 {
			end = min(end, 2*s.start+int(float64(limit-second)*float64(s.start)/float64(grown)))
		}
	}
	at(maxStored, first.counted, second.counted)
	at(maxAnnotations, first.annotations, second.annotations)
	if s.way.name != inProtobuf.name {
		at(maxRequest, first.sent, second.sent)
	}
	return max(end, 2*s.start+1)
}

func sizesOf(t *testing.T, w way, sent, created *corev1.Pod) sizes {
	t.Helper()
	manifest, err := json.Marshal(sent)
	require.NoError(t, err)
	s := sizes{stored: created.Size(), sent: len(manifest)}
	for key, value := range sent.Annotations {
		s.annotations += len(key) + len(value)
	}
	// The API server creates a pod that is too large once more, without managedFields, unless it
	// was applied. The webhook has seen them.
	// Source: Kubernetes, apiserver/pkg/endpoints/handlers, isTooLargeError in create.go and
	// patch.go.
	if w.name != byApply.name {
		created.ManagedFields = nil
	}
	s.counted = created.Size()
	return s
}

// limitOf is the limit that a pod exceeds. An error for any other reason ends the test.
func limitOf(t *testing.T, err error) string {
	t.Helper()
	text := err.Error()
	switch {
	case apierrors.IsRequestEntityTooLargeError(err):
		return "request, 3 MiB"
	case apierrors.IsInvalid(err) && strings.Contains(text, "metadata.annotations: Too long"):
		return "annotations, 256 KiB"
	case strings.Contains(text, "etcdserver: request is too large"),
		strings.Contains(text, "trying to send message larger than max"):
		return "etcd, 1.5 MiB"
	}
	require.FailNow(t, "the API server refuses the pod, but not for its size", "%.500s", text)
	return ""
}

// newHandler is the webhook's own handler, with the default profile.
func newHandler(t *testing.T) *admission.Handler {
	t.Helper()
	config, _, err := storage.LoadForAdmission([]byte("apiVersion: pipeline-storage.io/v1alpha1\nkind: " +
		"StorageConfig\nprofiles: [{name: default}]\n"))
	require.NoError(t, err)
	return &admission.Handler{Config: func() *storage.Config { return config }, Log: logr.Discard()}
}

// answerTo returns the code of the webhook's answer to a review. One that it allows has a patch.
func answerTo(t *testing.T, h http.Handler, body []byte) int {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/inject", bytes.NewReader(body))
	request.Header.Set("Content-Type", "application/json")
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, request)
	var review admissionv1.AdmissionReview
	require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &review))
	if !review.Response.Allowed {
		t.Logf("%.200s", review.Response.Result.Message)
		return int(review.Response.Result.Code)
	}
	assert.NotEmpty(t, review.Response.Patch)
	return http.StatusOK
}

// cluster is a namespace of a real API server, with clients that speak JSON and Protobuf.
type cluster struct {
	namespace          string
	inJSON, inProtobuf kubernetes.Interface
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	client := func(contentType string) kubernetes.Interface {
		config := suite.RESTConfig(t)
		config.ContentType = contentType
		client, err := kubernetes.NewForConfig(config)
		require.NoError(t, err)
		return client
	}
	return &cluster{
		namespace: suite.Namespace(t, suite.Kubernetes(t), "largest", nil),
		inJSON:    client(runtime.ContentTypeJSON), inProtobuf: client(runtime.ContentTypeProtobuf),
	}
}

// recorder is a webhook that allows everything and records the last review of each pod by name.
type recorder struct{ reviews sync.Map }

func (r *recorder) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	review := admissionv1.AdmissionReview{}
	if err := json.Unmarshal(body, &review); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.reviews.Store(review.Request.Name, body)
	review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true}
	review.Request = nil
	_ = json.NewEncoder(w).Encode(review) // an answer that does not arrive fails the creation
}

// take returns the last review of a pod and forgets it. It is nil without one.
func (r *recorder) take(name string) []byte {
	body, _ := r.reviews.LoadAndDelete(name)
	review, _ := body.([]byte)
	return review
}

// register has the API server send every new pod of the namespace to a recorder, and returns when
// it does.
func register(t *testing.T, c *cluster) *recorder {
	t.Helper()
	r := &recorder{}
	server := httptest.NewTLSServer(r)
	t.Cleanup(server.Close)
	_, err := c.inJSON.AdmissionregistrationV1().MutatingWebhookConfigurations().Create(t.Context(),
		&admissionregistrationv1.MutatingWebhookConfiguration{
			ObjectMeta: metav1.ObjectMeta{Name: c.namespace},
			Webhooks: []admissionregistrationv1.MutatingWebhook{{
				Name: "largest.example.com", AdmissionReviewVersions: []string{"v1"},
				FailurePolicy:     new(admissionregistrationv1.Fail),
				SideEffects:       new(admissionregistrationv1.SideEffectClassNone),
				TimeoutSeconds:    new(int32(30)),
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: c.namespace}},
				ClientConfig: admissionregistrationv1.WebhookClientConfig{
					URL: &server.URL, CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
				},
				Rules: []admissionregistrationv1.RuleWithOperations{{
					Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
					Rule: admissionregistrationv1.Rule{
						APIGroups: []string{""}, APIVersions: []string{"v1"},
						Resources: []string{"pods"},
					},
				}},
			}},
		}, metav1.CreateOptions{})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, err := c.inJSON.CoreV1().Pods(c.namespace).Create(t.Context(), newPod(),
			metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err == nil && r.take("largest") != nil
	}, 30*time.Second, 100*time.Millisecond)
	return r
}
