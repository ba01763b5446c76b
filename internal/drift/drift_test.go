package drift

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	v1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/flowcontrol"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// Restoring the same thing again and again would be a fight with another controller.
func TestPauseGrows(t *testing.T) {
	t.Parallel()
	w := &Watcher{Options: Options{}.complete()}
	var pauses []time.Duration
	for range 8 {
		pauses = append(pauses, w.pause())
		w.repairs++
	}
	minutes := time.Minute
	assert.Equal(t, []time.Duration{
		minutes, 2 * minutes, 4 * minutes, 8 * minutes, 16 * minutes, 32 * minutes,
		time.Hour, time.Hour,
	}, pauses)
}

func TestNothingIsComparedWithoutAFile(t *testing.T) {
	t.Parallel()
	w, err := Add(nil, Options{WebhookConfiguration: "any"})
	require.NoError(t, err)
	assert.Empty(t, w.Note())
}

// TestGaugeIsOneWhileTheWebhooksDiffer also holds that what a cloud excludes is no difference.
func TestGaugeIsOneWhileTheWebhooksDiffer(t *testing.T) { // not parallel: the gauge is the process's
	path := filepath.Join(t.TempDir(), "webhooks.yaml")
	require.NoError(t, os.WriteFile(path, []byte(file), 0o600))
	live := &v1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "own"}}
	live.Webhooks = parse(t, file).Webhooks
	api := fake.NewClientBuilder().WithObjects(live).Build()
	w := &Watcher{
		Options: Options{File: path, WebhookConfiguration: "own"}.complete(), cached: api, live: api,
		limit: flowcontrol.NewFakeAlwaysRateLimiter(),
	}
	gauge := func() float64 {
		w.reconcile(t.Context())
		return scraped(t, "pipeline_storage_webhook_configuration_drift")
	}
	assert.Zero(t, gauge())

	live.Webhooks[0].TimeoutSeconds = new(int32(30))
	require.NoError(t, api.Update(t.Context(), live))
	assert.InDelta(t, 1, gauge(), 0)

	live.Webhooks = parse(t, file).Webhooks
	selector := live.Webhooks[0].NamespaceSelector
	selector.MatchExpressions = append(selector.MatchExpressions, metav1.LabelSelectorRequirement{
		Key: "kubernetes.azure.com/managedby", Operator: metav1.LabelSelectorOpNotIn, Values: []string{"aks"},
	})
	require.NoError(t, api.Update(t.Context(), live))
	assert.Zero(t, gauge())
	assert.Contains(t, w.Note(), "excludes namespaces")
}

// scraped returns what a scrape of the gauge would.
func scraped(t *testing.T, name string) float64 {
	t.Helper()
	families, err := metrics.Registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		if family.GetName() == name {
			return family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}
