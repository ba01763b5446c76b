package suite

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// Metrics is what a program exposes in Prometheus' text format.
type Metrics string

// ReadMetrics reads the metrics of a replica.
func (r *Replica) ReadMetrics(ctx context.Context) (Metrics, error) {
	status, text, err := Fetch(ctx, "http://"+r.Metrics+"/metrics")
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("read the metrics of %s: %d", r.Pod, status)
	}
	return Metrics(text), err
}

// Sum adds the series of a metric that have all of the labels, such as `method="GET"`. It is an error when the
// metric has no series at all.
func (m Metrics) Sum(name string, labels ...string) (total float64, err error) {
	found := false
	for line := range strings.Lines(string(m)) {
		series, ok := strings.CutPrefix(strings.TrimSpace(line), name)
		if !ok || series == "" || series[0] != ' ' && series[0] != '{' {
			continue
		}
		found = true
		end := strings.LastIndexByte(series, ' ')
		if !containsAll(series[:end], labels) {
			continue
		}
		value, err := strconv.ParseFloat(series[end+1:], 64)
		if err != nil {
			return 0, fmt.Errorf("read the metric %s: %w", name, err)
		}
		total += value
	}
	if !found {
		return 0, fmt.Errorf("there is no metric %s", name)
	}
	return total, nil
}

func containsAll(text string, parts []string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}
