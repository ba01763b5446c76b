package overlap

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// overlapping is set by each replica for itself: alert on the maximum.
var overlapping = prometheus.NewGauge(prometheus.GaugeOpts{
	Name: "pipeline_storage_installations_overlap",
	Help: "1 while the pods of some namespace are selected by another installation as well as by this one, else 0.",
})

func init() {
	metrics.Registry.MustRegister(overlapping)
}
