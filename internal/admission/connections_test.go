package admission

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// An API server's client has the timeout of net/http's default transport.
func TestAPIServerClosesIdleConnectionsFirst(t *testing.T) {
	t.Parallel()
	client, ok := http.DefaultTransport.(*http.Transport)
	require.True(t, ok)
	assert.Greater(t, idleTimeout, client.IdleConnTimeout)
}
