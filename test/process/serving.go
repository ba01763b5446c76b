package process

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Loopback is the address at which the programs of tests listen.
const Loopback = "127.0.0.1"

// FreeAddresses returns addresses of Loopback, HOST:PORT, that were free a moment ago.
func FreeAddresses(count int) ([]string, error) {
	var addresses []string
	for range count {
		listener, err := net.Listen("tcp", net.JoinHostPort(Loopback, "0"))
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer listener.Close() // all closed at the end, so that they differ
		addresses = append(addresses, listener.Addr().String())
	}
	return addresses, nil
}

// pages closes the connection after each request, so that a program that is measured has none in between.
var pages = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// Get returns the text of a page. An answer other than 200 is an error with the status and the text.
func Get(ctx context.Context, url string) (string, error) { return GetBy(ctx, pages, url) }

// GetBy is Get by another client.
func GetBy(ctx context.Context, client *http.Client, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", fmt.Errorf("make a request: %w", err)
	}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s: %s", url, response.Status, text)
	}
	return string(text), err
}

// Metrics are what a program exposes, by their names.
type Metrics map[string]*dto.MetricFamily

// ReadMetrics reads http://ADDRESS/metrics.
func ReadMetrics(ctx context.Context, address string) (Metrics, error) {
	text, err := Get(ctx, "http://"+address+"/metrics")
	if err != nil {
		return nil, err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("read the metrics of %s: %w", address, err)
	}
	return families, nil
}

// Sum adds the series that have all of the labels, such as `method="GET"`: of a counter or gauge, or of the _count or
// _sum of a histogram. It is an error when the metric has no series at all.
func (m Metrics) Sum(name string, labels ...string) (total float64, err error) {
	family, part := name, ""
	if end := strings.LastIndexByte(name, '_'); m[name] == nil && end > 0 {
		family, part = name[:end], name[end:]
	}
	series := m[family].GetMetric()
	if len(series) == 0 {
		return 0, fmt.Errorf("there is no metric %s", name)
	}
	for _, s := range series {
		if hasLabels(s, labels) {
			total += map[string]float64{
				"":       s.GetCounter().GetValue() + s.GetGauge().GetValue() + s.GetUntyped().GetValue(),
				"_count": float64(s.GetHistogram().GetSampleCount()), "_sum": s.GetHistogram().GetSampleSum(),
			}[part]
		}
	}
	return total, nil
}

func hasLabels(series *dto.Metric, wanted []string) bool {
	has := map[string]bool{}
	for _, l := range series.GetLabel() {
		has[fmt.Sprintf("%s=%q", l.GetName(), l.GetValue())] = true
	}
	for _, label := range wanted {
		if !has[label] {
			return false
		}
	}
	return true
}
