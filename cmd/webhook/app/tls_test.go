package app

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestServesTLS13Only has clients of either version connect with the configuration that serves
// reviews.
func TestServesTLS13Only(t *testing.T) {
	t.Parallel()
	certified := httptest.NewTLSServer(http.NotFoundHandler())
	certified.Close()
	config := (&server{options: &Options{}}).tls()
	config.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		return &certified.TLS.Certificates[0], nil
	}
	connect := func(version uint16) error {
		client, served := net.Pipe()
		defer client.Close()
		go func() {
			defer served.Close()
			_ = tls.Server(served, config).Handshake() // the client has its error, too
		}()
		return tls.Client(client, &tls.Config{
			MaxVersion:         version,
			InsecureSkipVerify: true, //nolint:gosec // the test's own server
		}).HandshakeContext(t.Context())
	}
	require.NoError(t, connect(tls.VersionTLS13))
	assert.ErrorContains(t, connect(tls.VersionTLS12), "protocol version")
}
