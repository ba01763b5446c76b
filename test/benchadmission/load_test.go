package main

import (
	"bufio"
	"context"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/test/benchadmission/reviews"
	"github.com/pipeline-storage/pipeline-storage/test/latency"
)

// stub answers without a server.
type stub struct {
	takes time.Duration
	err   error
	sent  []int
}

func (s *stub) post(_ context.Context, index int) (int, []byte, error) {
	time.Sleep(s.takes)
	s.sent = append(s.sent, index)
	return http.StatusOK, nil, s.err
}

func (s *stub) close() {}

func good(int, int, []byte) error { return nil }

func TestClosedLoadSendsReviewsInTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := &stub{takes: time.Millisecond}, &stub{takes: time.Millisecond}

		l := load{posters: []poster{first, second}, check: good, reviews: 3}

		requests, elapsed, err := l.closed(t.Context(), 5*time.Millisecond)

		require.NoError(t, err)
		assert.Equal(t, 10, requests)
		assert.Equal(t, 5*time.Millisecond, elapsed)
		assert.Equal(t, []int{0, 1, 2, 0, 1}, first.sent)
		assert.Equal(t, []int{1, 2, 0, 1, 2}, second.sent)
	})
}

func TestLoadEndsWithFirstError(t *testing.T) {
	for name, test := range map[string]struct {
		poster *stub
		check  func(int, int, []byte) error
	}{
		"when a request fails":  {&stub{err: errors.New("torn")}, good},
		"when an answer is bad": {&stub{}, func(int, int, []byte) error { return errors.New("torn") }},
	} {
		t.Run(name, func(t *testing.T) {
			l := load{posters: []poster{test.poster}, check: test.check, reviews: 1}

			_, _, err := l.closed(t.Context(), time.Minute)
			require.EqualError(t, err, "torn")

			_, err = l.paced(t.Context(), time.Minute, 1000)
			require.EqualError(t, err, "torn")
			assert.Len(t, test.poster.sent, 2)
		})
	}
}

func TestPacedLoadKeepsItsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun, sent := time.Now(), &stub{takes: time.Millisecond}

		latencies, err := load{posters: []poster{sent}, check: good, reviews: 1}.paced(t.Context(), 100*time.Millisecond, 500)

		require.NoError(t, err)
		assert.Equal(t, latency.Series{slices.Repeat([]time.Duration{time.Millisecond}, 50)}, latencies)
		assert.Equal(t, 99*time.Millisecond, time.Since(begun))
	})
}

// One client that needs 10 ms a request cannot send one each 5 ms: each request waits 5 ms longer
// than the one before.
func TestPacedLoadCountsTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &stub{takes: 10 * time.Millisecond}

		latencies, err := load{posters: []poster{slow}, check: good, reviews: 1}.paced(t.Context(), 20*time.Millisecond, 200)

		require.NoError(t, err)
		assert.Equal(t,
			latency.Series{{10 * time.Millisecond, 15 * time.Millisecond, 20 * time.Millisecond, 25 * time.Millisecond}},
			latencies)
	})
}

func TestLoadStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	_, _, err := load{posters: []poster{&stub{}}, check: good, reviews: 1}.closed(ctx, time.Minute)

	assert.ErrorIs(t, err, context.Canceled)
}

// A net/http server sends short bodies with their length and long ones in chunks.
func TestPostToNetHTTP(t *testing.T) {
	for _, isHTTP2 := range []bool{false, true} {
		sent := small(t)
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			text, err := io.ReadAll(r.Body)
			assert.NoError(t, err)
			assert.Equal(t, "/inject?timeout=5s", r.URL.String())
			for name, value := range header {
				assert.Equal(t, value, r.Header[name])
			}
			assert.Equal(t, sent.Body, append(text, sent.Body[len(text):]...))
			_, _ = w.Write(text)
		}))
		server.EnableHTTP2 = isHTTP2
		server.StartTLS()
		defer server.Close()
		short := reviews.Review{Body: sent.Body[:10]}
		d := dialer{
			address: server.Listener.Addr().String(), http2: isHTTP2,
			ca: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
		}
		posters, err := d.posters(t.Context(), []reviews.Review{sent, short})
		require.NoError(t, err)
		require.Len(t, posters, inFlight)

		for index, want := range []string{string(sent.Body), string(short.Body), string(sent.Body)} {
			status, body, err := posters[index].post(t.Context(), index%2)
			require.NoError(t, err)
			assert.Equal(t, http.StatusOK, status)
			assert.Equal(t, want, string(body))
		}
		for _, p := range posters {
			p.close()
		}
	}
}

func TestPostRefuses(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"another protocol": {"SSH-2.0-x\r\n", "malformed HTTP"},
		"a truncated body": {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", "EOF"},
		"truncated chunks": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n", "EOF"},
		"another version":  {"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", "the server speaks HTTP/2.0"},
		"a connection that closes": {
			"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno",
			"closes the connection after status 400: no",
		},
		"nothing": {"", "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			own, other := net.Pipe()
			go func() {
				_, _ = other.Read(make([]byte, 1))
				_, _ = io.WriteString(other, test.text)
				_ = other.Close()
			}()
			_, _, err := (&http1{connection: own, reader: bufio.NewReader(own), requests: [][]byte{{0}}}).post(t.Context(), 0)
			assert.ErrorContains(t, err, test.want)
		})
	}
}
