package webhook

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
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

	"github.com/pipeline-storage/pipeline-storage/test/cluster"
)

// Ports of a replica, as the chart has them by default.
const (
	webhookPort = 9443
	metricsPort = 8080
	healthPort  = 8081
)

// requestTimeout is how long a working replica may take for an answer on a busy machine.
const requestTimeout = 10 * time.Second

// plain makes each request by a new connection, as a kubelet does.
var plain = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: requestTimeout}

// get sends a request to a replica over plain HTTP.
func get(ctx context.Context, p cluster.Process, port int, path string) (status int, text string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address(p, port)+path, http.NoBody)
	if err != nil {
		return 0, "", err
	}
	response, err := plain.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), err
}

func address(p cluster.Process, port int) string {
	return net.JoinHostPort(p.Address.String(), strconv.Itoa(port))
}

// metric reads the sum of a metric's series from a replica. Those that have it without labels are
// exact.
func metric(ctx context.Context, p cluster.Process, name string) (float64, error) {
	status, text, err := get(ctx, p, metricsPort, "/metrics")
	if err != nil || status != http.StatusOK {
		return 0, fmt.Errorf("read the metrics of %s: %d, %w", p.Pod, status, err)
	}
	return sum(text, name)
}

// sum adds the series of a metric in Prometheus' text format.
func sum(text, name string) (total float64, err error) {
	found := false
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		rest, ok := strings.CutPrefix(lines.Text(), name)
		if !ok || rest == "" || rest[0] != ' ' && rest[0] != '{' {
			continue
		}
		value, err := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64)
		if err != nil {
			return 0, fmt.Errorf("read the metric %s: %w", name, err)
		}
		found, total = true, total+value
	}
	if !found {
		return 0, fmt.Errorf("there is no metric %s", name)
	}
	return total, nil
}

// caBundle are the CAs that API servers trust at this moment.
func (s *site) caBundle(ctx context.Context) ([]*x509.Certificate, error) {
	live, err := s.liveWebhook(ctx)
	if err != nil {
		return nil, err
	}
	var all []*x509.Certificate
	for text := live.ClientConfig.CABundle; ; {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return all, nil
		}
		one, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("read the caBundle: %w", err)
		}
		all = append(all, one)
	}
}

// trusting is how a client that trusts only the CAs connects to the Service.
func trusting(roots []*x509.Certificate) *tls.Config {
	pool := x509.NewCertPool()
	for _, one := range roots {
		pool.AddCert(one)
	}
	return &tls.Config{
		RootCAs: pool, ServerName: serviceHost, MinVersion: tls.VersionTLS13,
		NextProtos: []string{"http/1.1"},
	}
}

// direct is a client that talks to one replica as the API server would.
type direct struct {
	*http.Client
	url string
}

func (s *site) direct(t *testing.T, p cluster.Process) *direct {
	t.Helper()
	roots, err := s.caBundle(t.Context())
	require.NoError(t, err)
	transport := &http.Transport{TLSClientConfig: trusting(roots)}
	t.Cleanup(transport.CloseIdleConnections)
	return &direct{
		Client: &http.Client{Transport: transport, Timeout: requestTimeout},
		url:    "https://" + address(p, webhookPort) + "/inject?timeout=5s",
	}
}

// reply is what a replica answers to a body.
type reply struct {
	status int
	review *admissionv1.AdmissionReview
	// closes reports that the client must open another connection.
	closes bool
}

func (d *direct) post(ctx context.Context, contentType string, body []byte) (*reply, error) {
	return d.send(ctx, http.MethodPost, contentType, bytes.NewReader(body))
}

func (d *direct) send(ctx context.Context, method, contentType string, body io.Reader) (*reply, error) {
	request, err := http.NewRequestWithContext(ctx, method, d.url, body)
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	response, err := d.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	r := &reply{status: response.StatusCode, closes: response.Close, review: &admissionv1.AdmissionReview{}}
	if err := json.Unmarshal(text, r.review); err != nil {
		return nil, fmt.Errorf("the answer is no review: %w: %.200s", err, text)
	}
	if r.review.Response == nil {
		return nil, fmt.Errorf("the answer has no response: %.200s", text)
	}
	return r, nil
}
