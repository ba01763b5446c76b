package cluster

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestRelay has a relay pass messages on, with a delay if requested, and end a connection when the
// other side does.
func TestRelay(t *testing.T) {
	t.Parallel()

	echo, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)

	go func() {
		for {
			connection, err := echo.Accept()
			if err != nil {
				return
			}

			go func() {
				_, _ = io.Copy(connection, connection)
				_ = connection.Close()
			}()
		}
	}()

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)

	r := serveRelay(listener, echo.Addr().String())
	send := func(text string) (string, time.Duration) {
		client, err := net.Dial("tcp", listener.Addr().String())
		if err != nil { // it may be reset as soon as this
			return "", 0
		}
		defer client.Close()

		begun := time.Now()
		_, _ = client.Write([]byte(text))
		closeWrite(client)
		answer, _ := io.ReadAll(client)

		return string(answer), time.Since(begun)
	}

	const delay = 200 * time.Millisecond

	answer, took := send("one")
	assert.Equal(t, "one", answer)
	assert.Less(t, took, delay)

	r.delay.Store(int64(delay))

	answer, took = send("two")
	assert.Equal(t, "two", answer)
	assert.GreaterOrEqual(t, took, delay)

	r.delay.Store(0)
	require.NoError(t, echo.Close())

	answer, _ = send("three")
	assert.Empty(t, answer, "no process listens behind it")

	require.NoError(t, r.close())
	_, err = net.Dial("tcp", listener.Addr().String())
	require.Error(t, err)
}
