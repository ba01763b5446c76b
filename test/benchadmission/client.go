package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/pipeline-storage/pipeline-storage/test/benchadmission/reviews"
	"github.com/pipeline-storage/pipeline-storage/test/benchadmission/servers/listen"
)

const (
	// inFlight is how many requests are under way at any time.
	inFlight = 16
	// connectionsHTTP2 share them over HTTP/2; over HTTP/1.1 each has its own.
	connectionsHTTP2 = 2
	// serverTimeout is the limit for anything that should take milliseconds.
	serverTimeout = 20 * time.Second
)

// client sends the requests of one worker, one after the other. The body that it returns is valid
// until the next call.
type client interface {
	post(ctx context.Context, index int) (status int, body []byte, err error)
	close()
}

// dial opens the connections to a server.
func dial(ctx context.Context, s *server, sent []reviews.Review) ([]client, error) {
	config := s.certificates.client(s.http2)
	if s.http2 {
		return dialHTTP2(ctx, s.address(), config, sent)
	}
	var clients []client
	requests := requests(s.address(), sent)
	for range inFlight {
		c, err := dialHTTP1(ctx, s.address(), config, requests)
		if err != nil {
			closeAll(clients)
			return nil, fmt.Errorf("connect to %s: %w", s.candidate.name, err)
		}
		clients = append(clients, c)
	}
	return clients, nil
}

func closeAll(clients []client) {
	for _, c := range clients {
		c.close()
	}
}

// requests are the whole requests with their headers, as the API server sends them.
// Source: Kubernetes, apiserver/pkg/util/webhook, and client-go's rest.Request.
func requests(address string, sent []reviews.Review) [][]byte {
	const head = "POST %s?timeout=5s HTTP/1.1\r\nHost: %s\r\nUser-Agent: kube-apiserver-admission\r\nContent-Length: " +
		"%d\r\n" +
		"Accept: application/json, */*\r\nContent-Type: application/json\r\nAccept-Encoding: gzip\r\n\r\n"
	all := make([][]byte, len(sent))
	for i, review := range sent {
		all[i] = append(fmt.Appendf(nil, head, listen.Path, address, len(review.Body)), review.Body...)
	}
	return all
}

// http1 is one connection that is kept alive. It is written by hand so that the client's CPU does
// not limit the server's.
type http1 struct {
	connection *tls.Conn
	reader     *bufio.Reader
	requests   [][]byte
	body       bytes.Buffer
}

func dialHTTP1(ctx context.Context, address string, config *tls.Config, requests [][]byte) (*http1, error) {
	raw, err := (&net.Dialer{Timeout: serverTimeout}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	connection := tls.Client(raw, config)
	if err := connection.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, fmt.Errorf("shake hands: %w", err)
	}
	return &http1{connection: connection, reader: bufio.NewReader(connection), requests: requests}, nil
}

func (c *http1) post(_ context.Context, index int) (int, []byte, error) {
	if err := c.connection.SetDeadline(time.Now().Add(serverTimeout)); err != nil {
		return 0, nil, fmt.Errorf("set a deadline: %w", err)
	}
	if _, err := c.connection.Write(c.requests[index]); err != nil {
		return 0, nil, fmt.Errorf("send a review: %w", err)
	}
	status, err := readAnswer(c.reader, &c.body)
	return status, c.body.Bytes(), err
}

func (c *http1) close() { _ = c.connection.Close() }

// http2 is a share of a connection.
type http2 struct {
	transport *http.Transport
	url       string
	reviews   []reviews.Review
	body      bytes.Buffer
}

func dialHTTP2(ctx context.Context, address string, config *tls.Config, sent []reviews.Review) ([]client, error) {
	var clients []client
	for range connectionsHTTP2 {
		transport := &http.Transport{TLSClientConfig: config.Clone(), ForceAttemptHTTP2: true}
		for range inFlight / connectionsHTTP2 {
			clients = append(clients,
				&http2{transport: transport, url: "https://" + address + listen.Path + "?timeout=5s", reviews: sent})
		}
		// The first request opens the connection. Several at once might each open one.
		if _, _, err := clients[len(clients)-1].post(ctx, 0); err != nil {
			closeAll(clients)
			return nil, err
		}
	}
	return clients, nil
}

func (c *http2) post(ctx context.Context, index int) (int, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, serverTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(c.reviews[index].Body))
	if err != nil {
		return 0, nil, fmt.Errorf("make a request: %w", err)
	}
	request.Header = http.Header{
		"User-Agent": {"kube-apiserver-admission"}, "Accept": {"application/json, */*"},
		"Content-Type": {"application/json"}, "Accept-Encoding": {"gzip"},
	}
	response, err := c.transport.RoundTrip(request)
	if err != nil {
		return 0, nil, fmt.Errorf("send a review: %w", err)
	}
	defer response.Body.Close()
	if response.ProtoMajor != 2 {
		return 0, nil, fmt.Errorf("the server speaks %s", response.Proto)
	}
	c.body.Reset()
	if _, err := io.Copy(&c.body, response.Body); err != nil {
		return 0, nil, fmt.Errorf("read an answer: %w", err)
	}
	return response.StatusCode, c.body.Bytes(), nil
}

func (c *http2) close() { c.transport.CloseIdleConnections() }
