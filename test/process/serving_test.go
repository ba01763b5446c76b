package process

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSumsSeriesOfAMetric(t *testing.T) {
	t.Parallel()
	metrics := metricsOf(t, "# TYPE requests counter\nrequests{code=\"200\",method=\"GET\"} 2\n"+
		"requests{code=\"200\",method=\"PUT\"} 1e+1\nrequests_failed 7\n# TYPE up gauge\nup{name=\"a b\"} 1\n"+
		"# TYPE time histogram\ntime_bucket{le=\"1\"} 2\ntime_bucket{le=\"+Inf\"} 3\ntime_sum 7.5\ntime_count 3\n")
	cases := map[string]struct {
		name   string
		labels []string
		want   float64
	}{
		"all series, and no other metric that begins alike": {"requests", nil, 12},
		"series with a label":                               {"requests", []string{`code="200"`, `method="PUT"`}, 10},
		"no series with a label":                            {"requests", []string{`method="POST"`}, 0},
		"a metric without a type":                           {"requests_failed", nil, 7},
		"a gauge":                                           {"up", []string{`name="a b"`}, 1},
		"how often a duration was measured":                 {"time_count", nil, 3},
		"all durations":                                     {"time_sum", nil, 7.5},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sum, err := metrics.Sum(tc.name, tc.labels...)
			require.NoError(t, err)
			assert.InDelta(t, tc.want, sum, 0)
		})
	}
	_, err := metrics.Sum("request")
	require.ErrorContains(t, err, "there is no metric request")
}

func metricsOf(t *testing.T, text string) Metrics {
	t.Helper()
	metrics, err := ReadMetrics(t.Context(), serve(t, http.StatusOK, text))
	require.NoError(t, err)
	return metrics
}

func serve(t *testing.T, status int, text string) (address string) {
	t.Helper()
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}))
	t.Cleanup(page.Close)
	return page.Listener.Addr().String()
}

func TestReportsMetricsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	_, err := ReadMetrics(t.Context(), serve(t, http.StatusOK, "wrong_total many\n"))
	require.ErrorContains(t, err, "read the metrics of "+Loopback)
	_, err = ReadMetrics(t.Context(), serve(t, http.StatusServiceUnavailable, "not yet"))
	require.ErrorContains(t, err, "503 Service Unavailable: not yet")
	addresses, err := FreeAddresses(2)
	require.NoError(t, err)
	assert.NotEqual(t, addresses[0], addresses[1])
	_, err = Get(t.Context(), "http://"+addresses[0])
	require.ErrorContains(t, err, "connection refused")
}

func TestNamesCopiesOfLogsByPath(t *testing.T) {
	t.Parallel()
	roots := []string{"/run/logs/pods", "/run/logs"}
	assert.Equal(t, "a_0.log", copyName("/run/logs/pods/a/0.log", roots))
	assert.Equal(t, "kubelet.log", copyName("/run/logs/kubelet.log", roots))
	assert.Equal(t, "etcd.log", copyName("/tmp/plane/etcd.log", roots))
}
