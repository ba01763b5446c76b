package scale

import (
	"bufio"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/test/cluster"
)

const metricsPort = 8080

// observation is the replicas' metrics at one moment.
type observation struct {
	name     string
	at       time.Time
	replicas []replica
}

// replica is one replica's metrics: the sums by name, and its requests by method.
type replica struct {
	pod      string
	resident float64
	values   map[string]float64
	methods  map[string]float64
}

const requestsTotal = "rest_client_requests_total"

var methodLabel = regexp.MustCompile(`method="([A-Z]+)"`)

func (m *measurement) read(t *testing.T, name string) observation {
	t.Helper()
	o := observation{name: name, at: time.Now()}
	for _, p := range shared.Kubelet.Processes(releaseNamespace) {
		o.replicas = append(o.replicas, readReplica(t, p))
	}
	require.Len(t, o.replicas, 2)
	return o
}

func readReplica(t *testing.T, p cluster.Process) replica {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
		fmt.Sprintf("http://%s:%d/metrics", p.Address, metricsPort), http.NoBody)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, http.StatusOK, response.StatusCode)
	resident, err := p.RSS()
	require.NoError(t, err)
	r := replica{pod: p.Pod, resident: float64(resident), values: map[string]float64{}, methods: map[string]float64{}}
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		r.add(lines.Text())
	}
	require.NoError(t, lines.Err())
	return r
}

// add adds a line of Prometheus' text format.
func (r *replica) add(line string) {
	end := strings.IndexAny(line, "{ ")
	value, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
	if end < 1 || line[0] == '#' || err != nil {
		return
	}
	name := line[:end]
	r.values[name] += value
	if method := methodLabel.FindStringSubmatch(line); method != nil && name == requestsTotal {
		r.methods[method[1]] += value
	}
}

// sum is of all replicas.
func (o observation) sum(name string) float64 {
	total := 0.0
	for _, r := range o.replicas {
		total += r.values[name]
	}
	return total
}

func (o observation) requests() float64 { return o.sum(requestsTotal) }

func (o observation) methods() map[string]float64 {
	all := map[string]float64{}
	for _, r := range o.replicas {
		for method, count := range r.methods {
			all[method] += count
		}
	}
	return all
}
