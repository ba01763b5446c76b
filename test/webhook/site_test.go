package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

// requestTimeout is how long a working replica may take for an answer on a busy machine.
const requestTimeout = 10 * time.Second

// site is an installation, with clients of an administrator.
type site struct {
	*suite.Webhook
	Client  kubernetes.Interface
	Dynamic dynamic.Interface
}

// install installs the chart with testdata/values.yaml.
func install(t *testing.T, wanted suite.Installation) *site {
	t.Helper()

	wanted.Helm = append([]string{"--values=testdata/values.yaml"}, wanted.Helm...)
	return &site{
		Webhook: suite.InstallWebhook(t.Context(), t, wanted), Client: suite.Kubernetes(t), Dynamic: suite.Dynamic(t),
	}
}

// installOwn installs the chart for one test, in a namespace of its own. It serves the namespaces with the
// labels that it returns, and ends with the test. helm are more arguments for Helm.
func installOwn(t *testing.T, release string, replicas int, helm ...string) (s *site, served map[string]string) {
	t.Helper()

	namespace := newNamespace(t, "storage-"+release, nil)
	s = install(t, suite.Installation{
		Release: release, Namespace: namespace, Replicas: replicas, Helm: append(helm, serving(namespace)),
	})
	t.Cleanup(s.Stop)
	return s, map[string]string{"installation": namespace}
}

// serving is the argument for Helm of an installation that serves the namespaces with this value of a label.
func serving(installation string) string {
	const selector = `--set-json=namespaceSelector={"matchLabels":{"installation":%q},"matchExpressions":[]}`
	return fmt.Sprintf(selector, installation)
}

func newNamespace(t *testing.T, prefix string, labels map[string]string) string {
	t.Helper()

	return suite.Namespace(t, suite.Kubernetes(t), prefix, labels)
}

// owner is the value of the label of objects that the installation manages.
func (s *site) owner() string { return s.Namespace + "." + s.Release }

// configuration is the name of the MutatingWebhookConfiguration.
func (s *site) configuration() string { return s.Namespace + "." + s.Name }

// live reads the webhook as API servers have it.
func (s *site) live(ctx context.Context) (*admissionregistrationv1.MutatingWebhook, error) {
	live, err := s.Client.AdmissionregistrationV1().MutatingWebhookConfigurations().
		Get(ctx, s.configuration(), metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	if len(live.Webhooks) != 3 || live.Webhooks[0].Name != webhookName {
		return nil, fmt.Errorf("the configuration %s has other webhooks than %s", live.Name, webhookName)
	}
	return &live.Webhooks[0], nil
}

// caBundle are the CAs that API servers trust at this moment.
func (s *site) caBundle(ctx context.Context) ([]*x509.Certificate, error) {
	live, err := s.live(ctx)
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
func (s *site) trusting(roots []*x509.Certificate) *tls.Config {
	pool := x509.NewCertPool()
	for _, one := range roots {
		pool.AddCert(one)
	}
	return &tls.Config{
		RootCAs: pool, ServerName: s.Name + "." + s.Namespace + ".svc", MinVersion: tls.VersionTLS13,
		NextProtos: []string{"http/1.1"},
	}
}

// direct is a client that talks to one replica as the API server would: with the Service's name and the
// live CAs.
type direct struct {
	*http.Client
	url string
}

func (s *site) direct(t *testing.T, replica *suite.Replica) *direct {
	t.Helper()

	roots, err := s.caBundle(t.Context())
	require.NoError(t, err)
	transport := &http.Transport{TLSClientConfig: s.trusting(roots)}
	t.Cleanup(transport.CloseIdleConnections)
	return &direct{
		Client: &http.Client{Transport: transport, Timeout: requestTimeout},
		url:    "https://" + replica.Reviews + "/inject?timeout=5s",
	}
}

func (d *direct) post(ctx context.Context, body []byte) (*admissionv1.AdmissionResponse, error) {
	return d.send(ctx, http.MethodPost, jsonType, bytes.NewReader(body))
}

// send returns the response of the review with which the replica answers, whatever the request is.
func (d *direct) send(
	ctx context.Context, method, contentType string, body io.Reader,
) (*admissionv1.AdmissionResponse, error) {
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
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer is %s: %.200s", response.Status, text)
	}
	var review admissionv1.AdmissionReview
	if err := json.Unmarshal(text, &review); err != nil {
		return nil, fmt.Errorf("the answer is no review: %w: %.200s", err, text)
	}
	if review.Response == nil {
		return nil, fmt.Errorf("the answer has no response: %.200s", text)
	}
	return review.Response, nil
}
