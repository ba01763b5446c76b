package claims

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/pipeline-storage/pipeline-storage/internal/kube"
)

// The leader counts; the other replicas report 0. docs/operations.md has a table of all metrics,
// which a test compares with the code.
var (
	createdTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pipeline_storage_claims_created_total",
		Help: "Objects that the claims controller created, by kind (StorageClass, PersistentVolume, PersistentVolumeClaim).",
	}, []string{"kind"})
	reboundTotal = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "pipeline_storage_claims_rebound_total",
		Help: "Released PersistentVolumes that were re-bound to a recreated claim.",
	})
	errorsTotal = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "pipeline_storage_claims_errors_total",
		Help: "Requests of the claims controller that the API server did not answer or refused; they are tried again.",
	})
)

// init registers once for the process: a test runs several managers in one.
func init() {
	for _, kind := range []string{kube.KindStorageClass, kube.KindVolume, kube.KindClaim} {
		createdTotal.WithLabelValues(kind)
	}
	metrics.Registry.MustRegister(createdTotal, reboundTotal, errorsTotal)
}
