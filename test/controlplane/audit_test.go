package controlplane

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestAudit sends a request, kills the API server, sends another one, and finds both.
func TestAudit(t *testing.T) {
	t.Parallel()

	plane := RequireWith(t, Options{AuditLog: true})
	client, err := plane.Client()
	require.NoError(t, err)

	request := func(name string) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodDelete,
			fmt.Sprintf("%s/api/v1/namespaces/default/persistentvolumeclaims/%s", plane.Host, name), http.NoBody)
		require.NoError(t, err)
		request.Header.Set("Impersonate-User", "auditor")
		request.Header.Set("Impersonate-Group", "system:masters")

		response, err := client.Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, http.StatusNotFound, response.StatusCode)
	}

	request("first")
	require.NoError(t, plane.Kill(apiserver))
	require.NoError(t, plane.Revive(t.Context(), apiserver))
	request("second")

	var names []string

	require.Eventually(t, func() bool {
		events, err := plane.Audit()
		require.NoError(t, err)

		names = nil

		for _, event := range events {
			if event.Verb == "delete" && event.Object.Resource == "persistentvolumeclaims" {
				assert.Equal(t, "admin", event.User.Username)
				assert.Equal(t, "auditor", event.Actor())
				assert.Equal(t, http.StatusNotFound, event.Status.Code)

				names = append(names, event.Object.Name)
			}
		}

		return len(names) >= 2
	}, time.Minute, readyPoll)
	assert.Equal(t, []string{"first", "second"}, names)

	without := RequireWith(t, Options{})
	_, err = without.Audit()
	require.ErrorContains(t, err, "it is not enabled")
}
