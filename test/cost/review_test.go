//go:build unix

package cost_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/internal/admission"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/test/cost"
)

// What one review may cost, whatever it holds.
const (
	maxCPUOfReview    = 100 * time.Millisecond
	heapPerReviewByte = 8
	heapOfAnyReview   = 16 << 20
	// A review of four times the size may cost so many times as much, and a moment, because short
	// times are measured badly.
	growthOfReview = 4 * 2.5
	reviewMoment   = 20 * time.Millisecond
)

const (
	labeled = `"metadata":{"generateName":"train-","labels":{"pipeline-storage":"enabled"}}`
	// A pod that gets what the profile adds.
	plainPod = `{"apiVersion":"v1","kind":"Pod",` + labeled + `,"spec":{"containers":[{"name":"main"}]}}`
)

// createOf is the review of a pod's creation.
func createOf(pod string) string {
	return `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u-1","kind":{"group":"",` +
		`"version":"v1","kind":"Pod"},"namespace":"ml","operation":"CREATE","object":` + pod + `}}`
}

// newHandler is the webhook's handler for profiles.
func newHandler(t *testing.T, profiles string) *admission.Handler {
	t.Helper()
	c, _, err := storage.LoadForAdmission([]byte(configHead + profiles))
	require.NoError(t, err)
	return &admission.Handler{Config: func() *storage.Config { return c }, Log: logr.Discard()}
}

// fillReview is a list of items of about so many bytes.
func fillReview(size int, item func(i int) string) string { return cost.Fill(size, ",", item) }

// withMeta and withSpec are reviews of a labeled pod with more in its metadata or its spec.
func withMeta(meta string) string {
	return createOf(
		`{"metadata":{"labels":{"pipeline-storage":"enabled"},` + meta + `},"spec":{"containers":[{"name":"main"}]}}`,
	)
}

func withSpec(spec string) string { return createOf(`{` + labeled + `,"spec":{` + spec + `}}`) }

func inContainer(field string) string {
	return withSpec(`"containers":[{"name":"main",` + field + `}]`)
}

func annotation(key, value string) string {
	return withMeta(`"annotations":{"` + key + `":"` + value + `"}`)
}

// names is a list of names in an annotation, joined by commas.
func names(size int) string {
	return fillReview(size, func(i int) string { return "n" + strconv.Itoa(i) })
}

// hostileReviews are reviews of a size in which one field that a stranger fills is as large as the review.
var hostileReviews = map[string]func(size int) string{
	"spaces":             func(n int) string { return strings.Repeat(" ", n) },
	"no JSON":            func(n int) string { return strings.Repeat("\xff", n) },
	"lists in lists":     func(n int) string { return strings.Repeat("[", n) },
	"objects in objects": func(n int) string { return strings.Repeat(`{"a":`, n/5) },
	"the kind":           func(n int) string { return `{"kind":"` + strings.Repeat("\x7f", n) + `"}` },
	"the uid": func(n int) string {
		return strings.Replace(createOf(plainPod), "u-1", strings.Repeat("\x7f", n), 1)
	},
	"the operation": func(n int) string {
		return strings.Replace(createOf(plainPod), "CREATE", strings.Repeat("C", n), 1)
	},
	"the namespace": func(n int) string {
		return strings.Replace(createOf(plainPod), `"ml"`, `"`+strings.Repeat("m", n)+`"`, 1)
	},
	"unknown fields":   func(n int) string { return withMeta(fillReview(n, cost.Numbered(`"x%d":{}`))) },
	"one unknown name": func(n int) string { return withMeta(`"` + strings.Repeat(`\u0061`, n/6) + `":7`) },
	"an unknown list":  func(n int) string { return withSpec(`"x":[` + fillReview(n, cost.Same(`{}`)) + `]`) },
	"managed fields": func(n int) string {
		return withMeta(`"managedFields":[{"fieldsV1":{` + fillReview(n, cost.Numbered(`"f:x%d":{}`)) + `}}]`)
	},
	"another object": func(n int) string {
		review := createOf(`{"x":[` + fillReview(n, cost.Same("null")) + `]}`)
		return strings.Replace(review, `"kind":"Pod"}`, `"kind":"Report"}`, 1)
	},
	"an object of another type": func(n int) string { return createOf(`[` + fillReview(n, cost.Same(`{}`)) + `]`) },
	"the pod's name":            func(n int) string { return withMeta(`"name":"` + strings.Repeat("a", n) + `"`) },
	"the pod's generated name": func(n int) string {
		return withMeta(`"generateName":"` + strings.Repeat(`\u00e4`, n/6) + `"`)
	},

	"labels": func(n int) string {
		return withMeta(`"labels":{"pipeline-storage":"enabled",` + fillReview(n, cost.Numbered(`"%d":""`)) + `}`)
	},
	"one label": func(n int) string {
		return withMeta(`"labels":{"pipeline-storage":"enabled","a":"` + strings.Repeat("a", n) + `"}`)
	},
	"annotations": func(n int) string {
		return withMeta(`"annotations":{` + fillReview(n, cost.Numbered(`"%d":""`)) + `}`)
	},
	"our annotations": func(n int) string {
		return withMeta(`"annotations":{` + fillReview(n, cost.Numbered(`"%d.pipeline-storage.io/a":""`)) + `}`)
	},
	"empty annotations": func(n int) string {
		return withMeta(`"annotations":{` + fillReview(n, cost.Same(`"":""`)) + `}`)
	},
	"an escaped annotation": func(n int) string {
		return annotation("a", strings.Repeat(`\u0061`, n/6))
	},
	"null annotations": func(n int) string {
		return withMeta(`"annotations":{` + fillReview(n, cost.Numbered(`"%d":null`)) + `}`)
	},
	"profiles": func(n int) string { return annotation("pipeline-storage.io/profiles", names(n)) },
	"the same profiles": func(n int) string {
		return annotation("pipeline-storage.io/profiles", fillReview(n, cost.Same("default")))
	},
	"no profiles": func(n int) string {
		return annotation("pipeline-storage.io/profiles", strings.Repeat(",", n))
	},
	"a mount path": func(n int) string {
		return annotation("pipeline-storage.io/mount-path", strings.Repeat("/a", n/2))
	},
	"an odd mount path": func(n int) string {
		return annotation("pipeline-storage.io/mount-path", strings.Repeat("/..", n/3))
	},
	"a sub-path": func(n int) string {
		return annotation("pipeline-storage.io/sub-path", strings.Repeat("a/", n/2))
	},
	"placeholders": func(n int) string {
		return annotation("pipeline-storage.io/sub-path", strings.Repeat("{{a}}", n/5))
	},
	"read-only": func(n int) string {
		return annotation("pipeline-storage.io/read-only", strings.Repeat("x", n))
	},
	"container names": func(n int) string { return annotation("pipeline-storage.io/containers", names(n)) },
	"excluded names":  func(n int) string { return annotation("pipeline-storage.io/exclude-containers", names(n)) },
	"injected names":  func(n int) string { return annotation("pipeline-storage.io/injected", names(n)) },
	"odd injected names": func(n int) string {
		return annotation("pipeline-storage.io/injected", fillReview(n, cost.Same("A")))
	},

	"containers":      func(n int) string { return withSpec(`"containers":[` + fillReview(n, cost.Same(`{}`)) + `]`) },
	"null containers": func(n int) string { return withSpec(`"containers":[` + fillReview(n, cost.Same(`null`)) + `]`) },
	"init containers": func(n int) string { return withSpec(`"initContainers":[` + fillReview(n, cost.Same(`{}`)) + `]`) },
	"named containers": func(n int) string {
		return withSpec(`"containers":[` + fillReview(n, cost.Numbered(`{"name":"c%d"}`)) + `]`)
	},
	"many containers and names": func(n int) string {
		return createOf(`{"metadata":{"labels":{"pipeline-storage":"enabled"},` +
			`"annotations":{"pipeline-storage.io/exclude-containers":"` +
			fillReview(min(n/2, 4000), func(i int) string { return "n" + strconv.Itoa(i) }) + `"}},"spec":{"containers":[` +
			fillReview(min(n/2, 12_000), cost.Numbered(`{"name":"c%d"}`)) + `],"x":"` +
			strings.Repeat("x", max(0, n-16_000)) + `"}}`)
	},
	"one container's name": func(n int) string {
		return withSpec(`"containers":[{"name":"` + strings.Repeat("c", n) + `"}]`)
	},
	"mounts": func(n int) string {
		return inContainer(`"volumeMounts":[` + fillReview(n, cost.Same(`{}`)) + `]`)
	},
	"null mounts": func(n int) string {
		return inContainer(`"volumeMounts":[` + fillReview(n, cost.Same(`null`)) + `]`)
	},
	"nested mounts": func(n int) string {
		return inContainer(`"volumeMounts":[` + fillReview(n, cost.Numbered(`{"name":"a","mountPath":"/data/%d"}`)) + `]`)
	},
	"mounts and volumes": func(n int) string {
		return withSpec(`"volumes":[` +
			fillReview(min(n/3, 50_000), cost.Numbered(`{"name":"v%d","persistentVolumeClaim":{"claimName":"c"}}`)) +
			`],"containers":[{"volumeMounts":[` +
			fillReview(min(n/3, 300_000), cost.Numbered(`{"name":"w%d","mountPath":"/m"}`)) +
			`]}],"x":"` + strings.Repeat("x", max(0, n-350_000)) + `"`)
	},
	"volumes of our names": func(n int) string {
		return withSpec(`"volumes":[` +
			fillReview(min(n/3, 80_000),
				cost.Numbered(`{"name":"pipeline-storage-%d","persistentVolumeClaim":{"claimName":"c"}}`)) +
			`],"containers":[{"volumeMounts":[` + fillReview(
			min(n/3, 300_000), cost.Numbered(`{"name":"w%d","mountPath":"/data"}`),
		) +
			`]}],"x":"` + strings.Repeat("x", max(0, n-380_000)) + `"`)
	},
	"mount paths": func(n int) string {
		return inContainer(`"volumeMounts":[{"mountPath":"` + strings.Repeat("/..", n/3) + `"}]`)
	},
	"devices":   func(n int) string { return inContainer(`"volumeDevices":[` + fillReview(n, cost.Same(`{}`)) + `]`) },
	"variables": func(n int) string { return inContainer(`"env":[` + fillReview(n, cost.Same(`{}`)) + `]`) },
	"own variables": func(n int) string {
		return inContainer(`"env":[` + fillReview(n, cost.Same(`{"name":"DATA","value":"/data"}`)) + `]`)
	},
	"one variable": func(n int) string {
		return inContainer(`"env":[{"name":"A","value":"` + strings.Repeat("a", n) + `"}]`)
	},
	"ports": func(n int) string { return inContainer(`"ports":[` + fillReview(n, cost.Same(`{}`)) + `]`) },
	"volumes": func(n int) string {
		return withSpec(`"volumes":[` + fillReview(n, cost.Same(`{}`)) + `],"containers":[{}]`)
	},
	"node selector": func(n int) string {
		return withSpec(`"nodeSelector":{` + fillReview(n, cost.Numbered(`"%d":""`)) + `},"containers":[{}]`)
	},
	"affinity": func(n int) string {
		return withSpec(`"containers":[{}],` +
			`"affinity":{"podAntiAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":[` +
			fillReview(n, cost.Same(`{"labelSelector":{"matchLabels":{"a":"b"}},"topologyKey":"a"}`)) + `]}}`)
	},
	"affinity of 60 KB": func(n int) string {
		return withSpec(`"containers":[{}],` +
			`"affinity":{"podAntiAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":[` +
			fillReview(min(n, 60_000), cost.Same(`{"labelSelector":{"matchLabels":{"a":"b"}},"topologyKey":"a"}`)) +
			`]}},"x":"` +
			strings.Repeat("x", max(0, n-60_000)) + `"`)
	},
	"spread": func(n int) string {
		return withSpec(
			`"containers":[{}],"topologySpreadConstraints":[` + fillReview(min(n, 60_000), cost.Same(`{}`)) + `],"x":"` +
				strings.Repeat("x", max(0, n-60_000)) + `"`,
		)
	},
	"security context": func(n int) string {
		return withSpec(`"securityContext":{` + fillReview(n, cost.Numbered(`"%d":{}`)) + `},"containers":[{}]`)
	},
	"repeated lists": func(n int) string { return withSpec(fillReview(n, cost.Same(`"containers":[{},{},{}]`))) },
	"text behind it": func(n int) string { return createOf(plainPod) + strings.Repeat("{}", n/2) },
}

// reviewProfiles are configurations that read all there is of a pod.
var reviewProfiles = []string{
	"profiles: [{name: default}]\n",
	"profiles: [{name: default, env: DATA, fsGroup: 1, colocate: true, mount: {subPath: \"{pod.name}\"}}, {name: " +
		"models, colocate: true, default: true, mount: {path: /models}}]\n",
}

// TestCostOfReviewGrowsWithSize measures what a review costs at four sizes, for every field that a stranger
// can fill.
func TestCostOfReviewGrowsWithSize(t *testing.T) {
	var handlers []http.Handler
	for _, profiles := range reviewProfiles {
		handlers = append(handlers, newHandler(t, profiles))
	}
	for name, review := range hostileReviews {
		t.Run(name, func(t *testing.T) {
			last := make([]time.Duration, len(handlers))
			for size := admission.MaxBody / 64; size <= admission.MaxBody; size *= 4 {
				body := review(size - 1000)
				require.LessOrEqual(t, len(body), admission.MaxBody)
				for i, h := range handlers {
					most, enough := maxCPUOfReview, time.Duration(0)
					if last[i] > 0 {
						most = min(most, time.Duration(growthOfReview*float64(last[i]))+reviewMoment)
					}
					if size == admission.MaxBody { // no larger one is compared with it
						enough = most
					}
					took, heap := costOf(t, h, body, enough)
					assert.Less(t, took, most, "%d bytes, after %s at a fourth, profiles %d", len(body), last[i], i)
					assert.Less(t, heap, uint64(heapPerReviewByte*len(body)+heapOfAnyReview), "%d bytes", len(body))
					last[i] = took
				}
			}
		})
	}
}

// costOf is the least CPU time of three runs, because the collector runs beside some, and the heap that one run
// takes. Where less than enough ends the runs, there are up to six.
func costOf(t *testing.T, h http.Handler, body string, enough time.Duration) (time.Duration, uint64) {
	t.Helper()
	least, heap := time.Hour, uint64(0)
	runs := 3
	if enough > 0 {
		runs = 6
	}
	for run := 0; run < runs && least >= enough; run++ {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/inject", strings.NewReader(body))
		request.Header.Set("Content-Type", "application/json")
		recorder := &discard{header: http.Header{}}
		var took time.Duration
		took, heap = cost.Of(func() { h.ServeHTTP(recorder, request) })
		least = min(least, took)
	}
	return least, heap
}

// discard is an answer that is not read.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header            { return d.header }
func (d *discard) Write(text []byte) (int, error) { return len(text), nil }
func (d *discard) WriteHeader(int)                {}

// TestHostileFieldsAreNamed keeps the list in step with what the reader reads.
func TestHostileFieldsAreNamed(t *testing.T) {
	for _, field := range []string{
		"labels", "annotations", "containers", "init containers", "mounts", "devices", "variables", "ports", "volumes",
		"node selector",
		"affinity", "spread", "security context",
	} {
		assert.Contains(t, hostileReviews, field, "no hostile review fills %s", field)
	}
}
