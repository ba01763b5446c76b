package drift

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// Each replica compares for itself; only the leader repairs, and so counts.
var (
	drifted = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "pipeline_storage_webhook_configuration_drift",
		Help: "1 while the live MutatingWebhookConfiguration differs from the webhooks that were installed, else 0.",
	})
	repairs = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "pipeline_storage_webhook_configuration_repairs_total",
		Help: "How often this replica restored the webhooks of the MutatingWebhookConfiguration.",
	})
)

func init() {
	metrics.Registry.MustRegister(drifted, repairs)
}
