package admission

import (
	"cmp"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
)

// What is counted in addition to the reasons of pkg/inject.
const (
	reasonIgnored = "Ignored" // something else than the creation of a pod
	reasonError   = "Error"   // an error within the webhook
	// What only a client that is no API server causes, or one that is cut off: no review, or too
	// large a body.
	reasonUnreadable = "Unreadable"
	// More requests at once than the limits allow, or a client that has gone.
	reasonOverloaded = "Overloaded"
	// A namespace that the cache does not have yet.
	reasonUnknownNamespace = "UnknownNamespace"
	// A labeled pod that has more of something than is read.
	reasonOverLimit inject.Reason = "OverLimit"
)

// codeUnknownNamespace is the code of a review that a replica cannot decide about yet. It makes the
// client try again, as 503 does.
const codeUnknownNamespace = http.StatusTooManyRequests

// reasonsOfCodes are the reasons of what was not decided about.
var reasonsOfCodes = map[int]string{
	http.StatusBadRequest:            reasonUnreadable,
	http.StatusRequestEntityTooLarge: reasonUnreadable,
	http.StatusServiceUnavailable:    reasonOverloaded,
	codeUnknownNamespace:             reasonUnknownNamespace,
	http.StatusInternalServerError:   reasonError,
}

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

	// counters has one counter for each reason of countedReasons, so that no request makes a new
	// one or waits for another's.
	counters = map[string]prometheus.Counter{}
)

// countedReasons are the reasons of an admission. A test compares them with the constants here and
// in pkg/inject.
var countedReasons = []inject.Reason{
	inject.ReasonInjected, inject.ReasonAlreadyMounted, inject.ReasonNotSelected, inject.ReasonExcluded,
	inject.ReasonWindows, inject.ReasonMirrorPod, inject.ReasonConflict, inject.ReasonInvalid,
	reasonIgnored, reasonError, reasonUnreadable, reasonOverloaded, reasonUnknownNamespace, reasonOverLimit,
}

func init() {
	for _, reason := range countedReasons {
		counters[string(reason)] = admissions.WithLabelValues(string(reason))
	}
	metrics.Registry.MustRegister(admissions, duration, panics)
}

// observe counts an answer by its reason, or by its code where nothing was decided. A new code
// without a reason of its own counts as ignored.
func observe(a *answer, took time.Duration) {
	reason := string(a.reason)
	if reason == "" {
		reason = cmp.Or(reasonsOfCodes[a.code], reasonIgnored)
	}
	counter, ok := counters[reason]
	if !ok { // pkg/inject has it and countedReasons has not
		counter = admissions.WithLabelValues(reason)
	}
	counter.Inc()
	duration.Observe(took.Seconds())
}
