package certificates

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// expiry is set whenever another certificate is served. The chart has an alert on it.
var expiry = prometheus.NewGauge(prometheus.GaugeOpts{
	Name: "pipeline_storage_certificate_expiry_seconds",
	Help: "Unix time at which the certificate that is served expires.",
})

func init() {
	metrics.Registry.MustRegister(expiry)
}
