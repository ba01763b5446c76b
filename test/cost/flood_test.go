//go:build unix

package cost_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/internal/admission"
)

// flooded is a server with the limits of this package, and what its clients need.
type flooded struct {
	address string
	tls     *tls.Config
}

func newFlooded(t *testing.T) *flooded {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	h := newHandler(t, "profiles: [{name: default}]\n")
	server, limited := admission.NewServer(
		h, &tls.Config{Certificates: []tls.Certificate{certificate(t)}, MinVersion: tls.VersionTLS13}, listener, h.Log,
	)
	var serving sync.WaitGroup
	serving.Go(func() { assert.ErrorIs(t, server.Serve(limited), http.ErrServerClosed) })
	t.Cleanup(func() {
		require.NoError(t, server.Close())
		serving.Wait()
	})
	trusting := &tls.Config{InsecureSkipVerify: true} //nolint:gosec // the test's own server
	return &flooded{listener.Addr().String(), trusting}
}

// certificate has a key of the kind that the webhook makes for itself.
func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// client returns an HTTP client at an address of its own.
func (f *flooded) client(address string) *http.Client {
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	return &http.Client{
		Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: f.tls, DialContext: dialer.DialContext},
	}
}

// hold opens a connection, sends a text, and returns when the server closes it or the context ends.
func (f *flooded) hold(ctx context.Context, text string) {
	connection, err := (&tls.Dialer{Config: f.tls}).DialContext(ctx, "tcp", f.address)
	if err != nil {
		return
	}
	defer connection.Close()
	stop := context.AfterFunc(ctx, func() { _ = connection.Close() })
	defer stop()
	if _, err := io.WriteString(connection, text); err == nil {
		_, _ = io.Copy(io.Discard, connection)
	}
}

// TestSlowBodiesKeepNoOtherClientOut holds connections that send most of a body and stop, more of
// them than the server takes. Meanwhile it sends reviews from another address.
func TestSlowBodiesKeepNoOtherClientOut(t *testing.T) {
	for name, text := range map[string]string{
		"almost whole bodies": "POST /inject HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: " +
			"1048000\r\n\r\n" +
			strings.Repeat(" ", 1_000_000),
		"bodies of one byte": "POST /inject HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: " +
			strconv.Itoa(admission.MaxBody) + "\r\n\r\n ",
		"headers": "POST /inject HTTP/1.1\r\nHost: x\r\n",
		"nothing": "",
	} {
		t.Run(name, func(t *testing.T) {
			f := newFlooded(t)
			client := f.client("127.0.0.2")
			_, err := f.admit(t.Context(), client)
			require.NoError(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			var attackers sync.WaitGroup
			for i := range 540 {
				attackers.Go(func() {
					// Handshakes of this process's own clients must not take all of its processors.
					for pause := time.Duration(5*i) * time.Millisecond; ctx.Err() == nil; pause = time.Second {
						select {
						case <-time.After(pause):
							f.hold(ctx, text)
						case <-ctx.Done():
						}
					}
				})
			}
			defer func() {
				cancel()
				attackers.Wait()
			}()
			defer debug.SetMemoryLimit(debug.SetMemoryLimit(256 << 20)) // the chart's
			var most time.Duration
			var heap uint64
			for begun := time.Now(); time.Since(begun) < 4*time.Second; {
				start := time.Now()
				answer, err := f.admit(t.Context(), client)
				require.NoError(t, err)
				require.Contains(t, answer, `"uid":"u-1","allowed":true`)
				most = max(most, time.Since(start))
				heap = max(heap, heapInUse())
				time.Sleep(20 * time.Millisecond)
			}
			t.Logf("slowest admission %s, heap %d MiB", most, heap>>20)
			// The client gives up after 5 s, as an API server does. test/e2e measures how long an
			// admission takes, where the attackers do not share the process.
			assert.Less(t, heap, uint64(256<<20), "with the 540 clients of this process")
		})
	}
}

func (f *flooded) admit(ctx context.Context, client *http.Client) (string, error) {
	request, err := http.NewRequestWithContext(
		ctx, http.MethodPost, "https://"+f.address+"/inject", strings.NewReader(createOf(plainPod)),
	)
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return "", fmt.Errorf("ask for an admission: %w", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return string(text), err
}

func heapInUse() uint64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapInuse
}
