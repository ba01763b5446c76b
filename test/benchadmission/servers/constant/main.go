// Command constant answers every review with the same bytes: the least that a webhook over net/http
// and TLS can cost. It reads the whole request, as every webhook must.
package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/pipeline-storage/pipeline-storage/test/benchadmission/servers/listen"
)

func main() {
	o := listen.Parse()
	if err := o.Run(func() error { return serve(o) }); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(o listen.Options) error {
	pair, err := tls.LoadX509KeyPair(filepath.Join(o.Certificates, "tls.crt"), filepath.Join(o.Certificates, "tls.key"))
	if err != nil {
		return fmt.Errorf("read the certificate: %w", err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{pair}}
	o.TLS(config)
	listener, err := tls.Listen("tcp", o.Address(), config)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc(listen.Path, allow)
	// The limits are those of controller-runtime's server.
	server := http.Server{
		Handler: mux, MaxHeaderBytes: 1 << 20, IdleTimeout: 90 * time.Second,
		ReadHeaderTimeout: 32 * time.Second,
	}
	return fmt.Errorf("serve: %w", server.Serve(listener))
}

func allow(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, listen.Constant) // a client that has disconnected needs no answer
}
