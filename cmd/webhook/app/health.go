package app

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// check is one line of /readyz: its error makes the replica not ready, its note is for people.
type check struct {
	name string
	err  func() error
	note func() string
}

// health serves /healthz and /readyz as text with one line a check, so that people see why a
// replica is not ready.
type health struct {
	checks []check
}

// mux returns both paths. /healthz answers as soon as the port is open: restarting helps against
// nothing that /readyz reports.
func (h *health) mux() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", h.ready)
	return mux
}

// gauge returns the result of /readyz as a metric.
func (h *health) gauge() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "pipeline_storage_ready",
		Help: "1 while the replica is ready to answer.",
	}, func() float64 {
		for _, c := range h.checks {
			if c.failure() != nil {
				return 0
			}
		}
		return 1
	})
}

// failure returns why the replica is not ready.
func (c *check) failure() error {
	if c.err == nil {
		return nil
	}
	return c.err()
}

// ready answers 200 when no check fails, and 503 otherwise. The text has every check either way,
// with its reason or note. A kubelet reads the code only.
// Source: Kubernetes, Configure Liveness, Readiness and Startup Probes.
func (h *health) ready(w http.ResponseWriter, _ *http.Request) {
	status := http.StatusOK
	var text strings.Builder
	for _, c := range h.checks {
		line := "ok"
		if err := c.failure(); err != nil {
			status, line = http.StatusServiceUnavailable, err.Error()
		}
		if c.note != nil {
			if note := c.note(); note != "" {
				line += "; " + note
			}
		}
		fmt.Fprintf(&text, "%s: %s\n", c.name, line)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprint(w, text.String())
}

// started returns a check that fails until the process serves.
func started(isServing *atomic.Bool) func() error {
	return func() error {
		if !isServing.Load() {
			return errors.New("the server has not started")
		}
		return nil
	}
}

// filled returns a check that fails until the manager has filled its caches.
func filled(isStarted *atomic.Bool) func() error {
	return func() error {
		if !isStarted.Load() {
			return errors.New("the caches are not filled yet")
		}
		return nil
	}
}

// notClosing returns a check that fails while the process closes.
func notClosing(isClosing *atomic.Bool) func() error {
	return func() error {
		if isClosing.Load() {
			return errors.New("the process is about to end")
		}
		return nil
	}
}
