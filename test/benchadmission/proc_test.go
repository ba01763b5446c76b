package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseRSS(t *testing.T) {
	size, err := parseRSS("VmHWM:\t   30000 kB\nVmRSS:\t   20480 kB\nRssAnon:\t    8192 kB\n")

	require.NoError(t, err)
	assert.InDelta(t, 20<<20, size, 0)
}

func TestParseRSSRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"a zombie, which has none": "Name:\tx\nState:\tZ (zombie)\n",
		"another unit":             "VmRSS:\t20 MB\n",
		"no number":                "VmRSS:\tmany kB\n",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseRSS(text)
			assert.ErrorContains(t, err, "read the memory of a server")
		})
	}
}

func TestRSSOfThisProcess(t *testing.T) {
	size, err := rss(os.Getpid())

	require.NoError(t, err)
	assert.Greater(t, size, float64(1<<20))
}

const metrics = `# HELP go_memstats_mallocs_total Total number of heap objects allocated.
# TYPE go_memstats_mallocs_total counter
go_memstats_mallocs_total_before 1
go_memstats_mallocs_total 1.234567e+06
leader_election_master_status{name="a b"} 1
broken_total
wrong_total many
`

func TestParseMetric(t *testing.T) {
	for name, want := range map[string]float64{"go_memstats_mallocs_total": 1234567, "leader_election_master_status": 1} {
		value, err := parseMetric(metrics, name)
		require.NoError(t, err)
		assert.InDelta(t, want, value, 0)
	}
}

func TestParseMetricRefuses(t *testing.T) {
	for name, want := range map[string]string{
		"go_memstats_frees_total": "there is no metric go_memstats_frees_total",
		"wrong_total":             "metric wrong_total: ",
		"broken_total":            "metric broken_total has no value",
	} {
		_, err := parseMetric(metrics, name)
		assert.ErrorContains(t, err, want)
	}
}

func TestGetReturnsServerMessage(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "not yet", http.StatusServiceUnavailable)
	}))
	defer server.Close()

	_, err := metric(t.Context(), server.URL, mallocs)

	assert.ErrorContains(t, err, "503 Service Unavailable: not yet")
}
