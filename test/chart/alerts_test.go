package chart_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionapi "k8s.io/api/admission/v1"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/pipeline-storage/pipeline-storage/test/parts"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

// alertTests are the unit tests of the rules, in the format of "promtool test rules".
const alertTests = "testdata/alerts.yaml"

// testAlerts runs unit tests of the rules that the chart renders.
func testAlerts(t *testing.T, tests []byte, values ...string) (string, error) {
	t.Helper()
	rule := one(
		t,
		render(t, "storage", append([]string{"--set", "metrics.prometheusRule.enabled=true"}, values...)...),
		"PrometheusRule",
	)
	rules, err := yaml.Marshal(rule.Object["spec"])
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "rules.yaml"), rules, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "alerts.yaml"), tests, 0o600))
	program := parts.Require(t, "promql")["promql"]
	out, err := exec.CommandContext(t.Context(), program, "test", filepath.Join(dir, "alerts.yaml")).
		CombinedOutput()
	return string(out), err
}

func TestAlertsFireWhenTheyShould(t *testing.T) {
	t.Parallel()
	for file, values := range map[string][]string{
		alertTests:                    nil,
		"testdata/alerts-ignore.yaml": {"--set", "webhook.failurePolicy=Ignore"},
	} {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			tests, err := os.ReadFile(file)
			require.NoError(t, err)
			out, err := testAlerts(t, tests, values...)
			require.NoError(t, err, out)
		})
	}
}

// A tool that accepts everything would prove nothing.
func TestAlertTestsFailWhereAnAlertDiffers(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(alertTests)
	require.NoError(t, err)
	const fires = "{eval_time: 15m, alertname: PipelineStorageWebhookDrift, exp_alerts: [{exp_labels: {severity: " +
		"critical}}]}"
	for name, instead := range map[string]string{
		"another label": strings.Replace(fires, "severity: critical", "severity: warning", 1),
		"no alert":      strings.Replace(fires, "[{exp_labels: {severity: critical}}]", "[]", 1),
		"too early":     strings.Replace(fires, "15m", "14m", 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, string(text), fires)
			out, err := testAlerts(t, []byte(strings.Replace(string(text), fires, instead, 1)))
			require.Error(t, err)
			assert.Contains(t, out, "the MutatingWebhookConfiguration was changed: PipelineStorageWebhookDrift at 1")
		})
	}
}

func TestEveryAlertHasTests(t *testing.T) {
	t.Parallel()
	var content struct {
		Tests []struct {
			Cases []struct {
				Alert    string `json:"alertname"`
				Expected []any  `json:"exp_alerts"`
			} `json:"alert_rule_test"`
		}
	}
	readYAML(t, alertTests, &content)
	firing, silent := map[string]bool{}, map[string]bool{}
	for _, test := range content.Tests {
		for _, c := range test.Cases {
			if len(c.Expected) > 0 {
				firing[c.Alert] = true
			} else {
				silent[c.Alert] = true
			}
		}
	}
	rule := one(t, render(t, "storage", "--set", "metrics.prometheusRule.enabled=true"), "PrometheusRule")
	for _, r := range rulesIn(t, rule) {
		assert.True(t, firing[r.Alert], "%s has no test in which it fires", r.Alert)
		assert.True(t, silent[r.Alert], "%s has no test in which it does not fire", r.Alert)
	}
}

// Who pages whom: what any pod of the network can cause must not.
func TestAlertsThatPage(t *testing.T) {
	t.Parallel()
	var pages []string
	all := render(t, "storage", "--set", "metrics.prometheusRule.enabled=true")
	for _, r := range rulesIn(t, one(t, all, "PrometheusRule")) {
		if r.Labels["severity"] == "critical" {
			pages = append(pages, strings.TrimPrefix(r.Alert, "PipelineStorage"))
		}
	}
	assert.Equal(
		t,
		[]string{
			"Down",
			"Errors",
			"CallsFail",
			"OutOfMemory",
			"WebhookDrift",
			"WebhookRestored",
			"CertificateExpires",
			"Overlap",
		},
		pages,
	)
}

// watched is the name of the webhook, by which the API server's metrics have it.
const watched = "storage.pipeline-storage.io"

// TestAPIServerHasTheMetrics compares the metrics of a real API server with those of the alerts: names,
// labels and values.
func TestAPIServerHasTheMetrics(t *testing.T) {
	t.Parallel()
	refusing := httptest.NewTLSServer(http.HandlerFunc(refuse))
	t.Cleanup(refusing.Close)
	namespace := newNamespace(t, nil)
	for name, c := range map[string]struct {
		policy admissionv1.FailurePolicyType
		call   admissionv1.WebhookClientConfig
	}{
		"refuses":    {admissionv1.Fail, clientConfig(refusing)},
		"fails":      {admissionv1.Fail, admissionv1.WebhookClientConfig{URL: new("https://127.0.0.1:1/")}},
		"fails-open": {admissionv1.Ignore, admissionv1.WebhookClientConfig{URL: new("https://127.0.0.1:1/")}},
	} {
		watch(t, namespace, name, c.policy, c.call)
	}
	want := []string{
		`apiserver_admission_webhook_rejection_count{error_type="no_error",` +
			`name="` + watched + `",operation="CREATE",rejection_code="403",type="admit"}`,
		`apiserver_admission_webhook_rejection_count{error_type="calling_webhook_error",` +
			`name="` + watched + `",operation="CREATE",rejection_code="503",type="admit"}`,
		`apiserver_admission_webhook_fail_open_count{name="` + watched + `",type="admit"}`,
		`apiserver_admission_webhook_admission_duration_seconds_bucket{name="` + watched + `",operation="CREATE",` +
			`rejected="true",type="admit",le="1"}`,
	}
	var got []string
	assert.Eventually(t, func() bool {
		for _, name := range []string{"refuses", "fails", "fails-open"} {
			createProbe(t, namespace, name)
		}
		got = seriesOf(t, watched)
		return !slices.ContainsFunc(want, func(s string) bool { return !slices.Contains(got, s) })
	}, 30*time.Second, 100*time.Millisecond, "the API server should have the metrics")
	assert.Subset(t, got, want)
}

// refuse answers a review as the webhook answers for a pod that it cannot give storage.
func refuse(w http.ResponseWriter, r *http.Request) {
	var review admissionapi.AdmissionReview
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	review.Response = &admissionapi.AdmissionResponse{
		UID:    review.Request.UID,
		Result: &metav1.Status{Code: http.StatusForbidden},
	}
	_ = json.NewEncoder(w).Encode(review)
}

func clientConfig(server *httptest.Server) admissionv1.WebhookClientConfig {
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	return admissionv1.WebhookClientConfig{URL: new(server.URL), CABundle: ca}
}

// watch makes a webhook of the watched name for the pods of a namespace that are called as the case is.
func watch(
	t *testing.T,
	namespace, name string,
	policy admissionv1.FailurePolicyType,
	call admissionv1.WebhookClientConfig,
) {
	t.Helper()
	configurations := webhookConfigurations(t)
	none := admissionv1.SideEffectClassNone
	made, err := configurations.Create(t.Context(), &admissionv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: namespace + "." + name},
		Webhooks: []admissionv1.MutatingWebhook{{
			Name: watched, ClientConfig: call, FailurePolicy: &policy, SideEffects: &none,
			AdmissionReviewVersions: []string{"v1"},
			NamespaceSelector:       &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}},
			ObjectSelector:          &metav1.LabelSelector{MatchLabels: map[string]string{"case": name}},
			Rules: []admissionv1.RuleWithOperations{{
				Operations: []admissionv1.OperationType{admissionv1.Create},
				Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
			}},
		}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, configurations.Delete(context.WithoutCancel(t.Context()), made.Name, metav1.DeleteOptions{}))
	})
}

// createProbe creates a pod in a dry run. The metrics have whether it was admitted.
func createProbe(t *testing.T, namespace, name string) {
	t.Helper()
	_, _ = suite.Kubernetes(t).CoreV1().Pods(namespace).Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"case": name}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "none"}}},
	}, dryRun)
}

// seriesOf returns the series about a webhook, without their values.
func seriesOf(t *testing.T, webhook string) (found []string) {
	t.Helper()
	text, err := suite.Kubernetes(t).Discovery().RESTClient().Get().AbsPath("/metrics").DoRaw(t.Context())
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, `name="`+webhook+`"`) {
			found = append(found, line[:strings.LastIndex(line, " ")])
		}
	}
	return found
}
