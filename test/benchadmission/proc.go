package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
)

// rss is the memory of a process, in bytes.
func rss(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("read the memory of a server: %w", err)
	}
	return parseRSS(string(text))
}

// parseRSS finds VmRSS in the text of /proc/PID/status.
func parseRSS(status string) (float64, error) {
	for line := range strings.Lines(status) {
		fields := strings.Fields(line)
		if len(fields) == 3 && fields[0] == "VmRSS:" && fields[2] == "kB" {
			kibibytes, err := strconv.ParseUint(fields[1], 10, 64)
			if err != nil {
				return 0, fmt.Errorf("read the memory of a server: %w", err)
			}
			return float64(kibibytes << 10), nil
		}
	}
	return 0, errors.New("read the memory of a server: its /proc/PID/status has no VmRSS in kB")
}

// parseMetric finds the value of a metric in Prometheus' text format. Labels may be any; the first
// line counts.
func parseMetric(text, name string) (float64, error) {
	for line := range strings.Lines(text) {
		rest, found := strings.CutPrefix(line, name)
		if !found || rest == "" || !strings.ContainsAny(rest[:1], " {\n") {
			continue
		}
		fields := strings.Fields(rest[strings.LastIndexByte(rest, '}')+1:])
		if len(fields) == 0 {
			return 0, fmt.Errorf("metric %s has no value", name)
		}
		value, err := strconv.ParseFloat(fields[0], 64)
		if err != nil {
			return 0, fmt.Errorf("metric %s: %w", name, err)
		}
		return value, nil
	}
	return 0, fmt.Errorf("there is no metric %s", name)
}

// metric reads one metric from a server.
func metric(ctx context.Context, url, name string) (float64, error) {
	text, err := get(ctx, url)
	if err != nil {
		return 0, err
	}
	return parseMetric(text, name)
}

// plain requests metrics and readiness, without TLS and over connections that are closed after each
// request.
var plain = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// get returns the text of a page, or an error unless it was answered with 200.
func get(ctx context.Context, url string) (string, error) {
	//nolint:gosec // an address that launcher chose
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", fmt.Errorf("make a request: %w", err)
	}
	response, err := plain.Do(request) //nolint:gosec // the same
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return "", fmt.Errorf("GET %s: %w", url, err)
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("GET %s: %s: %s", url, response.Status, text)
	}
	return string(text), nil
}
