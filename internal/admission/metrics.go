package admission

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
)

// What is counted beside the reasons of pkg/inject.
const (
	reasonIgnored = "Ignored" // something else than the creation of a pod
	reasonError   = "Error"   // no review, or an error within the webhook
)

var (
	admissions = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pipeline_storage_admissions_total",
		Help: "Answered reviews by the reason of the decision.",
	}, []string{"reason"})
	duration = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "pipeline_storage_admission_duration_seconds",
		Help:    "Time from the request's header to the answer.",
		Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .1, 1, 5},
	})
	panics = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "pipeline_storage_admission_panics_total",
		Help: "Reviews that were answered with an error because of a panic.",
	})

	// counters has one counter for each reason there is, so that no request makes a new one or waits for another's.
	counters = map[string]prometheus.Counter{}
)

func init() {
	for _, reason := range []inject.Reason{
		inject.ReasonInjected, inject.ReasonAlreadyMounted, inject.ReasonNotSelected, inject.ReasonExcluded,
		inject.ReasonWindows, inject.ReasonMirrorPod, inject.ReasonConflict, inject.ReasonInvalid, reasonIgnored, reasonError,
	} {
		counters[string(reason)] = admissions.WithLabelValues(string(reason))
	}
	metrics.Registry.MustRegister(admissions, duration, panics)
}

func observe(a *answer, took time.Duration) {
	reason := string(a.reason)
	switch {
	case a.code != 0 && a.code != http.StatusForbidden:
		reason = reasonError
	case reason == "":
		reason = reasonIgnored
	}
	counters[reason].Inc()
	duration.Observe(took.Seconds())
}
