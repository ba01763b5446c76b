package claims

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

var (
	createdTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pipeline_storage_claims_created_total",
		Help: "Objects that the claims controller created, by kind (StorageClass, PersistentVolume, PersistentVolumeClaim).",
	}, []string{"kind"})
	restoredTotal = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "pipeline_storage_claims_restored_total",
		Help: "PersistentVolumes that were given back to a claim that was deleted and made again.",
	})
	errorsTotal = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "pipeline_storage_claims_errors_total",
		Help: "Requests of the claims controller that the API server did not answer or refused; they are tried again.",
	})
	overlapping = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "pipeline_storage_installations_overlap",
		Help: "1 while the pods of some namespace are selected by another installation as well as by this one, else 0.",
	})
)

// init registers once for the process: a test runs several managers in one.
func init() {
	for _, kind := range []string{kindClass, kindVolume, kindClaim} {
		createdTotal.WithLabelValues(kind)
	}
	metrics.Registry.MustRegister(createdTotal, restoredTotal, errorsTotal, overlapping)
}
