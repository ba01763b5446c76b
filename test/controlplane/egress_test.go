package controlplane

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/test/process"
)

// connect requests a connection from the proxy, as the API server does.
func connect(t *testing.T, dir, address string) (connection net.Conn, status int) {
	t.Helper()
	connection, err := net.Dial("unix", filepath.Join(dir, "egress"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = connection.Close() })
	_, err = fmt.Fprintf(connection, "CONNECT %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", address)
	require.NoError(t, err)
	reader := bufio.NewReader(connection)
	response, err := http.ReadResponse(reader, nil)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return connection, response.StatusCode
}

func TestEgressPassesBothWays(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e, err := newEgress(dir)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, e.close()) })
	listener, err := net.Listen("tcp", net.JoinHostPort(process.Loopback, "0"))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, listener.Close()) })
	go func() { // answers what it gets
		for {
			served, err := listener.Accept()
			if err != nil {
				return
			}
			message := make([]byte, len("there and back"))
			_, _ = io.ReadFull(served, message)
			_, _ = served.Write(message)
			_ = served.Close()
		}
	}()
	_, status := connect(t, dir, "10.96.0.7:443")
	assert.Equal(t, http.StatusBadGateway, status, "it has no route")
	(&ControlPlane{egress: e}).Route("10.96.0.7:443", listener.Addr().String())
	for _, address := range []string{"10.96.0.7:443", listener.Addr().String()} {
		connection, status := connect(t, dir, address)
		require.Equal(t, http.StatusOK, status, address)
		_, err := io.WriteString(connection, "there and back")
		require.NoError(t, err)
		back := make([]byte, len("there and back"))
		_, err = io.ReadFull(connection, back)
		require.NoError(t, err)
		assert.Equal(t, "there and back", string(back), address)
	}
}
