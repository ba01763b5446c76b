package cluster

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
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
}

// newRelay listens on the Service's address, for the API server with this URL.
func newRelay(server string) (*relay, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(kubernetesService, "443"))
	if err != nil {
		return nil, fmt.Errorf("listen for the API server: %w", err)
	}
	return serveRelay(listener, strings.TrimPrefix(server, "https://")), nil
}

func serveRelay(listener net.Listener, target string) *relay {
	r := &relay{listener: listener, target: target}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go r.serve(client)
		}
	}()
	return r
}

func (r *relay) close() error { return r.listener.Close() }

func (r *relay) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", r.target)
	if err != nil {
		if tcp, ok := client.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // resets it, as a node does where no process listens
		}
		return
	}
	defer server.Close()
	var both sync.WaitGroup
	both.Go(func() { pass(server, client, &r.delay) })
	both.Go(func() { pass(client, server, &atomic.Int64{}) })
	both.Wait()
}

// message is what was read at once, and when to write it.
type message struct {
	due  time.Time
	text []byte
}

// pass copies until one side ends. A message is late by the delay that was set when it came, so
// many small messages are not slower than one.
func pass(to, from net.Conn, delay *atomic.Int64) {
	queue := make(chan message, relayQueue)
	var writing sync.WaitGroup
	writing.Go(func() { write(to, from, queue) })
	for {
		buffer := make([]byte, relayBuffer)
		n, err := from.Read(buffer)
		if n > 0 {
			queue <- message{due: time.Now().Add(time.Duration(delay.Load())), text: buffer[:n]}
		}
		if err == nil {
			continue
		}
		close(queue)
		writing.Wait()
		if !errors.Is(err, io.EOF) { // it was reset, and the other side must see that
			_ = to.Close()
		}
		return
	}
}

// write writes messages until there are no more, and then ends that direction of the connection.
func write(to, from net.Conn, queue <-chan message) {
	for m := range queue {
		time.Sleep(time.Until(m.due))
		if _, err := to.Write(m.text); err != nil {
			_ = from.Close() // ends the reading
		}
	}
	closeWrite(to)
}

func closeWrite(connection net.Conn) {
	if tcp, ok := connection.(*net.TCPConn); ok {
		_ = tcp.CloseWrite()
	}
}
