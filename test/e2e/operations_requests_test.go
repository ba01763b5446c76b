package e2e

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/uuid"
)

const (
	// healthPort is the port of a replica's probes.
	healthPort = 8081
	// requestLimit is how long a working replica may take for an answer on a busy machine.
	requestLimit = 10 * time.Second
)

// probes makes each request by a new connection, as a kubelet does.
var probes = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: requestLimit}

// get sends a request to a replica over plain HTTP.
func get(ctx context.Context, pod *corev1.Pod, port int, path string) (status int, text string, err error) {
	url := "http://" + net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(port)) + path
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, "", err
	}
	response, err := probes.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), err
}

// metric reads one series of a replica, by its name with the labels.
func metric(ctx context.Context, pod *corev1.Pod, series string) (float64, error) {
	_, text, err := get(ctx, pod, replicaMetricsPort, "/metrics")
	if err != nil {
		return 0, err
	}
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), series+" "); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("%s has no metric %s", pod.Name, series)
}

// caBundle are the CAs that API servers trust at this moment, in PEM.
func (i *installation) caBundle(t *testing.T) []byte {
	t.Helper()
	live, err := shared.Client.AdmissionregistrationV1().MutatingWebhookConfigurations().Get(t.Context(),
		i.releaseNamespace+"."+i.deployment, metav1.GetOptions{})
	require.NoError(t, err)
	require.Len(t, live.Webhooks, 3)
	return live.Webhooks[0].ClientConfig.CABundle
}

// reviewer is a client that talks to one replica as the API server would.
type reviewer struct {
	http.Client
	url string
}

func (i *installation) reviewer(t *testing.T, pod *corev1.Pod) *reviewer {
	t.Helper()
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(i.caBundle(t)))
	transport := &http.Transport{TLSClientConfig: &tls.Config{
		RootCAs: roots, ServerName: i.deployment + "." + i.releaseNamespace + ".svc", MinVersion: tls.VersionTLS13,
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &reviewer{
		Client: http.Client{Transport: transport, Timeout: requestLimit},
		url:    "https://" + net.JoinHostPort(pod.Status.PodIP, webhookPort) + "/inject?timeout=5s",
	}
}

// review has the replica decide about a labelled pod, and reports whether its client must open
// another connection. Any answer but storage for the pod is an error.
func (r *reviewer) review(ctx context.Context, namespace string) (closes bool, err error) {
	body, err := json.Marshal(reviewOf(namespace))
	if err != nil {
		return false, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, strings.NewReader(string(body)))
	if err != nil {
		return false, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := r.Do(request)
	if err != nil {
		return false, err
	}
	defer response.Body.Close()
	var answer admissionv1.AdmissionReview
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return false, fmt.Errorf("the answer is no review: %w", err)
	}
	if answer.Response == nil || !answer.Response.Allowed || len(answer.Response.Patch) == 0 {
		return false, fmt.Errorf("the answer has no storage: %+v", answer.Response)
	}
	return response.Close, nil
}

func reviewOf(namespace string) *admissionv1.AdmissionReview {
	return &admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: admissionv1.SchemeGroupVersion.String(), Kind: "AdmissionReview"},
		Request: &admissionv1.AdmissionRequest{
			UID: uuid.NewUUID(), Namespace: namespace, Operation: admissionv1.Create,
			Kind:     metav1.GroupVersionKind{Version: "v1", Kind: "Pod"},
			Resource: metav1.GroupVersionResource{Version: "v1", Resource: "pods"},
			Object:   runtime.RawExtension{Object: idle("direct")},
		},
	}
}
