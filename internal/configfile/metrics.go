package configfile

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// Each replica reads its own mount, and so counts for itself.
var (
	refused = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "pipeline_storage_config_refused",
		Help: "1 while the configuration file is refused and the one before is in force.",
	})
	reloads = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pipeline_storage_config_reloads_total",
		Help: "Changes of the configuration file that came into force (ok) or were refused.",
	}, []string{"result"})
)

func init() {
	metrics.Registry.MustRegister(refused, reloads)
}
