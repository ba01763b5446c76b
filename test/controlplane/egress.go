package controlplane

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
)

// egress is the way of the API server to webhooks: this proxy makes the connections to the virtual
// address of a Service, which nothing listens on.
//
// Source: KEP-1281, "Network Proxy".
type egress struct {
	// config is the file for the API server's --egress-selector-config-file.
	config string

	server *http.Server
	mutex  sync.Mutex
	routes map[string][]string
	next   atomic.Uint64
}

const egressConfig = `apiVersion: apiserver.k8s.io/v1beta1
kind: EgressSelectorConfiguration
egressSelections:
- name: cluster
  connection:
    proxyProtocol: HTTPConnect
    transport: {uds: {udsName: %q}}
`

// newEgress serves the proxy on a socket in dir.
func newEgress(dir string) (*egress, error) {
	e := &egress{config: filepath.Join(dir, "egress.yaml"), routes: map[string][]string{}}
	e.server = &http.Server{Handler: e, ReadHeaderTimeout: startTimeout}
	socket := filepath.Join(dir, "egress")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return nil, fmt.Errorf("listen for the API server's calls: %w", err)
	}
	go func() { _ = e.server.Serve(listener) }()
	if err := os.WriteFile(e.config, fmt.Appendf(nil, egressConfig, socket), privateFile); err != nil {
		return nil, fmt.Errorf("write the egress configuration: %w", err)
	}
	return e, nil
}

func (e *egress) close() error { return e.server.Close() }

// Route sends the API server's connections to an address of a Service, such as "10.96.0.7:443", to the
// addresses of processes on loopback, in turn. Without any, a connection is refused.
func (c *ControlPlane) Route(service string, to ...string) {
	c.egress.mutex.Lock()
	defer c.egress.mutex.Unlock()
	c.egress.routes[service] = to
}

// target returns where a connection to an address goes. An address on loopback, which a test may
// register a webhook by, needs no route.
func (e *egress) target(address string) (string, bool) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	if host, _, err := net.SplitHostPort(address); err == nil && (host == "localhost" || net.ParseIP(host).IsLoopback()) {
		return address, true
	}
	to := e.routes[address]
	if len(to) == 0 {
		return "", false
	}
	return to[e.next.Add(1)%uint64(len(to))], true
}

// ServeHTTP answers CONNECT by a connection to the target.
func (e *egress) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	target, found := e.target(r.Host)
	if !found {
		http.Error(w, "no process serves "+r.Host, http.StatusBadGateway)
		return
	}
	server, err := (&net.Dialer{}).DialContext(r.Context(), "tcp", target)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer server.Close()
	client, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer client.Close()
	if _, err := io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		return
	}
	join(client, server)
}

// join copies both ways and returns when one side has ended.
func join(client, server net.Conn) {
	ended := make(chan struct{}, 2)
	pass := func(to, from net.Conn) {
		// The wrappers keep io.Copy from splice(2), which stalls on Unix sockets on some kernels.
		_, _ = io.Copy(struct{ io.Writer }{to}, struct{ io.Reader }{from})
		ended <- struct{}{}
	}
	go pass(server, client)
	go pass(client, server)
	<-ended
}
