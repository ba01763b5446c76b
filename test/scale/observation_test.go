package scale

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/test/process"
)

const requestsTotal = "rest_client_requests_total"

// observation is the replicas' metrics at one moment.
type observation struct {
	name     string
	at       time.Time
	replicas []replica
}

// replica is one replica's memory in bytes, and its metrics.
type replica struct {
	pod      string
	resident int64
	process.Metrics
}

func (m *measurement) read(t *testing.T, name string) observation {
	t.Helper()
	o := observation{name: name, at: time.Now()}
	for _, r := range m.webhook.Replicas {
		metrics, err := process.ReadMetrics(t.Context(), r.Metrics)
		require.NoError(t, err)
		used, err := r.Usage()
		require.NoError(t, err)
		o.replicas = append(o.replicas, replica{pod: r.Pod, resident: used.Resident, Metrics: metrics})
	}
	return o
}

// sum is of all replicas, and 0 for a metric that none has yet.
func (o observation) sum(name string, labels ...string) float64 {
	total := 0.0
	for _, r := range o.replicas {
		value, _ := r.Sum(name, labels...)
		total += value
	}
	return total
}

func (o observation) requests() float64 { return o.sum(requestsTotal) }
