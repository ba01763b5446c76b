package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/test/benchadmission/reviews"
)

func TestReadAnswer(t *testing.T) {
	const next = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext"
	for name, test := range map[string]struct {
		text, body string
		status     int
	}{
		"with a length": {"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\ncontent-length:  5\r\n\r\nhello", "hello", 200},
		"in chunks": {
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
			"hello", 200,
		},
		"without a body":           {"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", "", 204},
		"of a server in trouble":   {"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nno", "no", 503},
		"of a server of few words": {"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", "ok", 200},
	} {
		t.Run(name, func(t *testing.T) {
			reader, body := bufio.NewReader(strings.NewReader(test.text+next)), bytes.NewBufferString("before")

			status, err := readAnswer(reader, body)
			require.NoError(t, err)
			assert.Equal(t, test.status, status)
			assert.Equal(t, test.body, body.String())

			_, err = readAnswer(reader, body)
			require.NoError(t, err, "nothing of the first may be left in front of the second")
			assert.Equal(t, "next", body.String())
		})
	}
}

func TestReadAnswerRefuses(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"another protocol":      {"SSH-2.0-x\r\n", `it begins with "SSH-2.0-x"`},
		"another version":       {"HTTP/1.0 200 OK\r\n\r\n", `it begins with "HTTP/1.0 200 OK"`},
		"an invalid status":     {"HTTP/1.1 OK\r\n\r\n", "it begins with"},
		"an invalid head":       {"HTTP/1.1 200 OK\r\nhello\r\n\r\n", `its head has the line "hello"`},
		"an invalid length":     {"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "its head has the line"},
		"a truncated body":      {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", "EOF"},
		"a body that is packed": {"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", "its body is in gzip"},
		"truncated chunks":      {"HTTP/1.1 200 OK\r\n\r\n3\r\nhel\r\n", "EOF"},
		"a trailer":             {"HTTP/1.1 200 OK\r\n\r\n0\r\na: b\r\n\r\n", "it has a trailer"},
		"a connection that closes": {
			"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno",
			"closes the connection after status 400: no",
		},
		"nothing": {"", "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := readAnswer(bufio.NewReader(strings.NewReader(test.text)), &bytes.Buffer{})
			assert.ErrorContains(t, err, test.want)
		})
	}
}

// A net/http server sends short bodies with their length and long ones in chunks.
func TestPostToNetHTTP(t *testing.T) {
	sent := small(t)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		assert.Equal(t, "application/json", r.Header.Get("Content-Type"))
		_, _ = w.Write(text[:10])
		if r.URL.Query().Get("timeout") == "5s" {
			_, _ = w.Write(text[10:])
		}
	}))
	defer server.Close()
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	config := &tls.Config{RootCAs: pool, ServerName: "example.com", MinVersion: tls.VersionTLS13}
	address := server.Listener.Addr().String()
	whole := requests(address, []reviews.Review{sent})[0]
	short := bytes.Replace(whole, []byte("timeout=5s"), []byte("timeout=1s"), 1)
	c, err := dialHTTP1(t.Context(), address, config, [][]byte{whole, short})
	require.NoError(t, err)
	defer c.close()

	for index, want := range []string{string(sent.Body), string(sent.Body[:10]), string(sent.Body)} {
		status, body, err := c.post(t.Context(), index%2)
		require.NoError(t, err)
		assert.Equal(t, http.StatusOK, status)
		assert.Equal(t, want, string(body))
	}
}
