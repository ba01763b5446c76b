// Package listen is what the servers of the benchmark share in addition to the measured handler:
// their flags, the TLS settings and the count of their allocations.
package listen

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/pflag"
)

// Where reviews are sent to.
const (
	Host = "127.0.0.1"
	Path = "/inject"
)

// Constant is the answer of the server that does nothing else. Its uid is that of no request.
const Constant = `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1",` +
	`"response":{"uid":"00000000-0000-0000-0000-000000000000","allowed":true}}`

const requestTimeout = 10 * time.Second

// Options are the flags of a server.
type Options struct {
	// Port of 127.0.0.1 that serves reviews.
	Port int
	// Certificates is a directory with tls.crt and tls.key.
	Certificates string
	// HTTP2 offers HTTP/2 instead of HTTP/1.1.
	HTTP2 bool
	// Metrics is the address of a plain HTTP server that serves the count of allocations.
	Metrics string
}

// Parse reads the flags of the program, whose names are those of cmd/webhook, and those that it has defined itself.
func Parse() Options {
	var o Options
	pflag.IntVar(&o.Port, "port", 9443, "port of 127.0.0.1")
	pflag.StringVar(&o.Certificates, "certificate-dir", "", "directory with tls.crt and tls.key")
	pflag.BoolVar(&o.HTTP2, "http2", false, "offer HTTP/2 instead of HTTP/1.1")
	pflag.StringVar(&o.Metrics, "metrics-bind-address", "127.0.0.1:8080", "address of the count of allocations")
	pflag.Parse()
	return o
}

// TLS sets what cmd/webhook sets too: TLS 1.3, and one version of HTTP.
func (o Options) TLS(config *tls.Config) {
	config.MinVersion = tls.VersionTLS13
	config.NextProtos = []string{"http/1.1"}
	if o.HTTP2 {
		config.NextProtos = []string{"h2"}
	}
}

// Run serves the allocations beside serve, which is the measured server, until serve fails or the
// program gets a signal to end.
func (o Options) Run(serve func() error) error {
	ended := make(chan error, 2)
	go func() { ended <- serve() }()
	go func() { ended <- o.allocations() }()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	select {
	case <-stop:
		return nil
	case err := <-ended:
		return err
	}
}

// allocations serves the count under the name that Prometheus' Go collector gives it.
func (o Options) allocations() error {
	mux := http.NewServeMux()
	mux.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) {
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		fmt.Fprintf(w, "go_memstats_mallocs_total %d\n", stats.Mallocs)
	})
	server := http.Server{Addr: o.Metrics, Handler: mux, ReadHeaderTimeout: requestTimeout}
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the allocations: %w", err)
	}
	return nil
}

// Address is where reviews are served.
func (o Options) Address() string { return net.JoinHostPort(Host, strconv.Itoa(o.Port)) }
