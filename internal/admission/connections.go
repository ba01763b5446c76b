package admission

import (
	"crypto/tls"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
)

// maxConnections is how many connections a replica holds at once. Each takes up to 64 KiB. An API
// server opens one for each admission that it has in flight.
const maxConnections = 512

// Timeouts of a connection. The first also limits the TLS handshake.
const (
	headerTimeout = 5 * time.Second
	// idleTimeout is longer than an API server's own of 90 s, so that the API server is the one to close: a review
	// that is sent while the other end closes fails, and net/http sends no POST again.
	// Source: k8s.io/apimachinery/pkg/util/net/http.go, SetOldTransportDefaults; net/http, shouldRetryRequest.
	idleTimeout  = 2 * time.Minute
	writeTimeout = 5 * time.Second
	maxHeader    = 16 << 10
)

// NewServer returns a server for the handler with the limits of this package, and the listener to
// serve it on. The server takes no more than 512 connections: a further one takes the place of
// another, so that a client that opens connections and sends nothing cannot keep an API server out.
// golang.org/x/net/netutil would let it wait instead.
func NewServer(
	handler http.Handler, config *tls.Config, listener net.Listener, to logr.Logger,
) (*http.Server, net.Listener) {
	c := &connections{Listener: listener, max: maxConnections, open: map[*connection]struct{}{}}
	return &http.Server{
		Handler: handler, TLSConfig: config, ConnState: c.changed,
		ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog: log.New(&errorLog{to: to}, "", 0),
	}, tls.NewListener(c, config)
}

// errorLog is for what net/http logs, such as a failed handshake.
type errorLog struct {
	to      logr.Logger
	limiter logLimiter
}

// Write implements [io.Writer].
func (l *errorLog) Write(line []byte) (int, error) {
	if l.limiter.allows() {
		l.to.Info("server: " + shortened(strings.TrimSpace(string(line)), maxLogged))
	}
	return len(line), nil
}

// logLimiter lets a line a second pass: any client that reaches the port can cause lines.
type logLimiter struct{ last atomic.Int64 }

func (l *logLimiter) allows() bool {
	now, last := time.Now().UnixNano(), l.last.Load()
	return now-last >= int64(time.Second) && l.last.CompareAndSwap(last, now)
}

// connections is a listener that holds a limited number of connections.
type connections struct {
	net.Listener
	max  int
	mu   sync.Mutex
	open map[*connection]struct{}
}

// connection is one of them.
type connection struct {
	net.Conn
	all     *connections
	address string
	// since is when its state last changed.
	since time.Time
	// isBusy reports whether it has sent the first byte of a request that is not answered yet.
	isBusy bool
}

// Accept waits for the next connection, for which another one may have to go.
func (c *connections) Accept() (net.Conn, error) {
	accepted, err := c.Listener.Accept()
	if err != nil {
		return nil, err
	}
	one := &connection{Conn: accepted, all: c, address: hostOf(accepted.RemoteAddr().String()), since: time.Now()}
	c.mu.Lock()
	var victim *connection
	if len(c.open) >= c.max {
		victim = c.victim()
		delete(c.open, victim)
	}
	c.open[one] = struct{}{}
	c.mu.Unlock()
	if victim != nil {
		_ = victim.Conn.Close()
	}
	return one, nil
}

// victim is, of the address with the most connections, one that waits for a request, or else the
// one that has been busy for the longest.
func (c *connections) victim() *connection {
	count := map[string]int{}
	for one := range c.open {
		count[one.address]++
	}
	var victim *connection
	for one := range c.open {
		if victim == nil || one.goesBefore(victim, count) {
			victim = one
		}
	}
	return victim
}

func (c *connection) goesBefore(other *connection, count map[string]int) bool {
	switch {
	case count[c.address] != count[other.address]:
		return count[c.address] > count[other.address]
	case c.isBusy != other.isBusy:
		return other.isBusy
	}
	return c.since.Before(other.since)
}

// Close implements [net.Conn].
func (c *connection) Close() error {
	c.all.mu.Lock()
	delete(c.all.open, c)
	c.all.mu.Unlock()
	return c.Conn.Close()
}

// changed notes the state of a connection. It is the server's ConnState.
func (c *connections) changed(of net.Conn, state http.ConnState) {
	secure, ok := of.(*tls.Conn)
	if !ok {
		return
	}
	one, ok := secure.NetConn().(*connection)
	if !ok {
		return
	}
	c.mu.Lock()
	one.isBusy, one.since = state == http.StateActive, time.Now()
	c.mu.Unlock()
}
