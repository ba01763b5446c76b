package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pipeline-storage/pipeline-storage/test/benchadmission/reviews"
	"github.com/pipeline-storage/pipeline-storage/test/benchadmission/servers/listen"
	"github.com/pipeline-storage/pipeline-storage/test/latency"
)

const (
	// inFlight is how many requests are under way at any time.
	inFlight = 16
	// connectionsHTTP2 share them over HTTP/2; over HTTP/1.1 each has its own.
	connectionsHTTP2 = 2
)

// dialer is how a server is reached: by TLS 1.3 and exactly one version of HTTP.
type dialer struct {
	address string
	ca      []byte // PEM
	http2   bool
}

func (d dialer) config() *tls.Config {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(d.ca)
	protocol := "http/1.1"
	if d.http2 {
		protocol = "h2"
	}
	return &tls.Config{
		RootCAs: pool, ServerName: listen.Host, MinVersion: tls.VersionTLS13, NextProtos: []string{protocol},
	}
}

// dial opens a connection, with its handshake.
func (d dialer) dial(ctx context.Context) (net.Conn, error) {
	dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: serverTimeout}, Config: d.config()}
	return dialer.DialContext(ctx, "tcp", d.address)
}

// poster sends the requests of one worker, one after the other.
type poster interface {
	// post sends one of the reviews. The body of the answer is valid until the next call.
	post(ctx context.Context, index int) (status int, body []byte, err error)
	close()
}

// posters are those of all workers.
func (d dialer) posters(ctx context.Context, sent []reviews.Review) ([]poster, error) {
	var all []poster
	for number := range inFlight {
		switch {
		case !d.http2:
			c, err := d.dial(ctx)
			if err != nil {
				return all, fmt.Errorf("connect: %w", err)
			}
			all = append(all, &http1{connection: c, reader: bufio.NewReader(c), requests: d.requests(sent)})
		case number%(inFlight/connectionsHTTP2) == 0:
			all = append(all, &http2{url: "https://" + d.address + target, reviews: sent, transport: &http.Transport{
				TLSClientConfig: d.config(), ForceAttemptHTTP2: true, MaxConnsPerHost: 1, ResponseHeaderTimeout: serverTimeout,
			}})
		default:
			share := *all[number-1].(*http2)
			all = append(all, &share)
		}
	}
	return all, nil
}

// target is the path and the query that the API server sends, and header its headers.
// Source: Kubernetes, apiserver/pkg/util/webhook, and client-go's rest.Request.
const target = listen.Path + "?timeout=5s"

var header = http.Header{
	"User-Agent": {"kube-apiserver-admission"}, "Accept": {"application/json, */*"},
	"Content-Type": {"application/json"}, "Accept-Encoding": {"gzip"},
}

// requests are the whole requests over HTTP/1.1, as they are sent.
func (d dialer) requests(sent []reviews.Review) [][]byte {
	all := make([][]byte, len(sent))
	for i, review := range sent {
		var text bytes.Buffer
		fmt.Fprintf(&text, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n", target, d.address, len(review.Body))
		_ = header.Write(&text) // a bytes.Buffer takes everything
		all[i] = append(append(text.Bytes(), "\r\n"...), review.Body...)
	}
	return all
}

// http1 is one connection that is kept alive. It writes requests that are made before, and has no goroutines
// between it and the server: the transport of net/http takes twice the CPU time, which is more than the fastest
// server takes, so that the client would limit it.
type http1 struct {
	connection net.Conn
	reader     *bufio.Reader
	requests   [][]byte
	body       bytes.Buffer
}

func (c *http1) post(_ context.Context, index int) (int, []byte, error) {
	if err := c.connection.SetDeadline(time.Now().Add(serverTimeout)); err != nil {
		return 0, nil, fmt.Errorf("set a deadline: %w", err)
	}
	if _, err := c.connection.Write(c.requests[index]); err != nil {
		return 0, nil, fmt.Errorf("send a review: %w", err)
	}
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return 0, nil, fmt.Errorf("read an answer: %w", err)
	}
	status, text, err := read(response, 1, &c.body)
	if err == nil && response.Close {
		err = fmt.Errorf("the server closes the connection after status %d: %.200s", status, text)
	}
	return status, text, err
}

func (c *http1) close() { _ = c.connection.Close() }

// http2 is a share of a connection.
type http2 struct {
	transport *http.Transport
	url       string
	reviews   []reviews.Review
	body      bytes.Buffer
}

func (c *http2) post(ctx context.Context, index int) (int, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(c.reviews[index].Body))
	if err != nil {
		return 0, nil, fmt.Errorf("make a request: %w", err)
	}
	request.Header = header
	response, err := c.transport.RoundTrip(request)
	if err != nil {
		return 0, nil, fmt.Errorf("send a review: %w", err)
	}
	return read(response, 2, &c.body)
}

func (c *http2) close() { c.transport.CloseIdleConnections() }

// read reads an answer into body, which it empties first.
func read(response *http.Response, protocol int, body *bytes.Buffer) (int, []byte, error) {
	defer response.Body.Close()
	body.Reset()
	if _, err := body.ReadFrom(response.Body); err != nil {
		return 0, nil, fmt.Errorf("read an answer: %w", err)
	}
	if response.ProtoMajor != protocol {
		return 0, nil, fmt.Errorf("the server speaks %s", response.Proto)
	}
	return response.StatusCode, body.Bytes(), nil
}

// load is how requests are sent to one server. Check gets every answer.
type load struct {
	posters []poster
	check   func(index, status int, body []byte) error
	reviews int
}

// schedule returns which request a client sends next, and when after the begin of the load it is due. The load
// ends for the client when more is false.
type schedule func(client, sent int) (number int, due time.Duration, more bool)

// closed keeps every client busy for a period: each sends its next request when it has its answer. It sends one at
// least.
func (l load) closed(ctx context.Context, period time.Duration) (requests int, elapsed time.Duration, err error) {
	begun := time.Now()
	latencies, err := l.send(ctx, begun, func(client, sent int) (int, time.Duration, bool) {
		elapsed := time.Since(begun)
		return client + sent, elapsed, sent == 0 || elapsed < period
	})
	return latencies.Count(), time.Since(begun), err
}

// paced sends requests at a rate per second, however long the answers take, and returns the latencies of each client.
// The latency of a request that had to wait for a free client begins when the request was due.
func (l load) paced(ctx context.Context, period time.Duration, rate float64) (latency.Series, error) {
	var next atomic.Int64
	return l.send(ctx, time.Now(), func(int, int) (int, time.Duration, bool) {
		number := next.Add(1) - 1
		due := time.Duration(float64(number) / rate * float64(time.Second))
		return int(number), due, due < period
	})
}

// send runs one goroutine for every client, and returns the latencies of each.
func (l load) send(ctx context.Context, begun time.Time, next schedule) (latency.Series, error) {
	failures, latencies := make([]error, len(l.posters)), make(latency.Series, len(l.posters))
	var all sync.WaitGroup
	for client := range l.posters {
		all.Go(func() {
			for failures[client] == nil {
				number, due, more := next(client, len(latencies[client]))
				if !more {
					return
				}
				from := begun.Add(due)
				if early := time.Until(from); early > 0 {
					time.Sleep(early)
					from = time.Now() // the timer's own delay is not the server's
				}
				failures[client] = l.one(ctx, l.posters[client], number%l.reviews)
				latencies[client] = append(latencies[client], time.Since(from))
			}
		})
	}
	all.Wait()
	return latencies, errors.Join(failures...)
}

// one sends one review and checks the answer.
func (l load) one(ctx context.Context, c poster, index int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	status, body, err := c.post(ctx, index)
	if err != nil {
		return err
	}
	return l.check(index, status, body)
}
