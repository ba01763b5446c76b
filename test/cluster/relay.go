package cluster

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// kubernetesService is the address of the Service of the API server, the first of the Services'
	// range.
	kubernetesService = "10.96.0.1"
	relayBuffer       = 32 << 10
	relayQueue        = 256
)

// relay does for the Service of the API server what a kube-proxy does, and can be slow.
type relay struct {
	listener net.Listener
	target   string
	delay    atomic.Int64

	mutex       sync.Mutex
	connections map[net.Conn]bool
	ended       bool
}

// newRelay listens on the Service's address, which it gives to this network namespace.
func newRelay(target string) (*relay, error) {
	if err := addService(kubernetesService); err != nil {
		return nil, err
	}

	listener, err := net.Listen("tcp", net.JoinHostPort(kubernetesService, "443"))
	if err != nil {
		return nil, fmt.Errorf("listen for the API server: %w", err)
	}

	return serveRelay(listener, target), nil
}

func serveRelay(listener net.Listener, target string) *relay {
	r := &relay{listener: listener, target: target, connections: map[net.Conn]bool{}}
	go r.accept()

	return r
}

func (r *relay) accept() {
	for {
		client, err := r.listener.Accept()
		if err != nil {
			return
		}

		go r.serve(client)
	}
}

func (r *relay) serve(client net.Conn) {
	defer r.forget(client)

	if !r.track(client) {
		return
	}

	server, err := net.Dial("tcp", r.target)
	if err != nil {
		reset(client) // as a node does where no process listens

		return
	}

	defer r.forget(server)

	if !r.track(server) {
		return
	}

	var both sync.WaitGroup

	both.Go(func() { r.pass(server, client, true) })
	both.Go(func() { r.pass(client, server, false) })
	both.Wait()
}

// pass copies until one side ends. A message is late by the delay that was set when it came, so
// many small messages are not slower than one.
func (r *relay) pass(to, from net.Conn, late bool) {
	type message struct {
		due  time.Time
		text []byte
	}

	queue := make(chan message, relayQueue)

	var writing sync.WaitGroup

	writing.Go(func() {
		for m := range queue {
			time.Sleep(time.Until(m.due))

			if _, err := to.Write(m.text); err != nil {
				_ = from.Close() // ends the reading
			}
		}

		closeWrite(to)
	})

	for {
		buffer := make([]byte, relayBuffer)

		n, err := from.Read(buffer)
		if n > 0 {
			m := message{text: buffer[:n]}
			if late {
				m.due = time.Now().Add(time.Duration(r.delay.Load()))
			}

			queue <- m
		}

		if err != nil {
			close(queue)
			writing.Wait()

			if !errors.Is(err, io.EOF) { // it was reset, and the other side must see that
				_ = to.Close()
			}

			return
		}
	}
}

func closeWrite(connection net.Conn) {
	if tcp, ok := connection.(*net.TCPConn); ok {
		_ = tcp.CloseWrite()
	}
}

func reset(connection net.Conn) {
	if tcp, ok := connection.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
}

func (r *relay) track(connection net.Conn) bool {
	r.mutex.Lock()
	defer r.mutex.Unlock()

	r.connections[connection] = true

	return !r.ended
}

func (r *relay) forget(connection net.Conn) {
	r.mutex.Lock()
	defer r.mutex.Unlock()

	delete(r.connections, connection)

	_ = connection.Close()
}

func (r *relay) close() error {
	r.mutex.Lock()
	defer r.mutex.Unlock()

	r.ended = true

	for connection := range r.connections {
		_ = connection.Close()
	}

	return r.listener.Close()
}
