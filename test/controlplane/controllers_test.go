package controlplane

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// controllerTimeout is far more than a controller needs: what takes longer does not happen.
const controllerTimeout = 30 * time.Second

func TestControllers(t *testing.T) {
	t.Parallel()

	plane := RequireWith(t, Options{Controllers: true})

	client, err := plane.Client()
	require.NoError(t, err)

	t.Run("gives each namespace an account", func(t *testing.T) { givesAccounts(t, plane, client) })
	t.Run("refuses a pod with an account that is not there", func(t *testing.T) {
		refusesUnknownAccount(t, plane, client)
	})
	t.Run("binds a static volume", func(t *testing.T) { bindsStaticVolume(t, plane, client) })
	t.Run("schedules on a node made by hand", func(t *testing.T) { schedules(t, plane, client) })
	t.Run("retains logs", func(t *testing.T) { retainsLogs(t, plane) })
}

func givesAccounts(t *testing.T, plane *ControlPlane, client *http.Client) {
	t.Helper()

	assert.Equal(t, http.StatusOK, status(t, client, plane.Host+"/api/v1/namespaces/default/serviceaccounts/default"),
		"the first account should be there from the start")

	post(t, client, plane.Host+"/api/v1/namespaces",
		`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"fresh"}}`)
	eventually(t, client, plane.Host+"/api/v1/namespaces/fresh/serviceaccounts/default", `"name":"default"`)
	eventually(t, client, plane.Host+"/api/v1/namespaces/fresh/configmaps/kube-root-ca.crt", "BEGIN CERTIFICATE")
}

func refusesUnknownAccount(t *testing.T, plane *ControlPlane, client *http.Client) {
	t.Helper()

	code, body := send(t, client, http.MethodPost, plane.Host+"/api/v1/namespaces/default/pods",
		`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"serviceAccountName":"missing",`+
			`"containers":[{"name":"a","image":"a"}]}}`)

	assert.Equal(t, http.StatusForbidden, code)
	assert.Contains(t, body, `serviceaccount \"missing\" not found`)
}

func bindsStaticVolume(t *testing.T, plane *ControlPlane, client *http.Client) {
	t.Helper()

	post(t, client, plane.Host+"/api/v1/persistentvolumes",
		`{"apiVersion":"v1","kind":"PersistentVolume","metadata":{"name":"static"},"spec":{"accessModes":["ReadWriteMany"],`+
			`"capacity":{"storage":"1Gi"},"storageClassName":"none","nfs":{"server":"192.0.2.1","path":"/"},`+
			`"claimRef":{"namespace":"default","name":"static"}}}`)
	post(t, client, plane.Host+"/api/v1/namespaces/default/persistentvolumeclaims",
		`{"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":"static"},"spec":{`+
			`"accessModes":["ReadWriteMany"],"storageClassName":"none","volumeName":"static",`+
			`"resources":{"requests":{"storage":"1Gi"}}}}`)

	eventually(t, client, plane.Host+"/api/v1/namespaces/default/persistentvolumeclaims/static", `"phase":"Bound"`)
}

func schedules(t *testing.T, plane *ControlPlane, client *http.Client) {
	t.Helper()

	post(t, client, plane.Host+"/api/v1/nodes", `{"apiVersion":"v1","kind":"Node","metadata":{"name":"made"}}`)
	patch(t, client, plane.Host+"/api/v1/nodes/made/status", fmt.Sprintf(
		`{"status":{"allocatable":{"cpu":"4","memory":"8Gi","pods":"110"},"capacity":{"cpu":"4","memory":"8Gi",`+
			`"pods":"110"},`+
			`"conditions":[{"type":"Ready","status":"True","reason":"Made","lastHeartbeatTime":%q}]}}`,
		time.Now().UTC().Format(time.RFC3339)))
	post(t, client, plane.Host+"/api/v1/namespaces/default/pods",
		`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"scheduled"},"spec":{"containers":[{"name":"a","image":"a"}]}}`)

	eventually(t, client, plane.Host+"/api/v1/namespaces/default/pods/scheduled", `"nodeName":"made"`)
}

func retainsLogs(t *testing.T, plane *ControlPlane) {
	t.Helper()

	dir := t.TempDir()
	require.NoError(t, plane.SaveLogs(dir))

	for _, name := range []string{etcd, apiserver, controllerManager, scheduler} {
		assert.FileExists(t, filepath.Join(dir, name+".log"))
		assert.Contains(t, plane.Logs(), "end of the log of "+name)
	}

	text, err := os.ReadFile(filepath.Join(dir, controllerManager+".log"))
	require.NoError(t, err)
	assert.NotEmpty(t, text)

	require.ErrorContains(t, plane.SaveLogs(filepath.Join(dir, "missing")), "save the logs")
}

func TestRevivesKilledAPIServer(t *testing.T) {
	t.Parallel()

	plane := RequireWith(t, Options{Controllers: true})

	client, err := plane.Client()
	require.NoError(t, err)

	const object = `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"%s"}}`

	post(t, client, plane.Host+"/api/v1/namespaces", fmt.Sprintf(object, "before"))
	require.ErrorContains(t, plane.Revive(t.Context(), apiserver), "it runs")
	require.NoError(t, plane.Kill(apiserver))
	require.ErrorContains(t, get(t.Context(), client, plane.Host+"/readyz"), "connection refused")

	require.NoError(t, plane.Revive(t.Context(), apiserver))
	assert.Equal(t, http.StatusOK, status(t, client, plane.Host+"/api/v1/namespaces/before"),
		"etcd should have retained it")

	post(t, client, plane.Host+"/api/v1/namespaces", fmt.Sprintf(object, "after"))
	eventually(t, client, plane.Host+"/api/v1/namespaces/after/serviceaccounts/default", `"name":"default"`)

	text, err := os.ReadFile(plane.settings.file(apiserver + ".log"))
	require.NoError(t, err)
	assert.Equal(t, 2, strings.Count(string(text), "Golang settings"), "both lives should be in one log")
}

func TestKillRequiresRunningPart(t *testing.T) {
	t.Parallel()

	plane := Require(t)

	require.EqualError(t, plane.Kill(scheduler), "this control plane has no kube-scheduler: see Options")
	require.Error(t, plane.Revive(t.Context(), "docker"))
}

func patch(t *testing.T, client *http.Client, url, change string) {
	t.Helper()

	request, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, url, strings.NewReader(change))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/merge-patch+json")

	response, err := client.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusOK, response.StatusCode)
}

// eventually waits until the page at url contains text.
func eventually(t *testing.T, client *http.Client, url, text string) {
	t.Helper()

	require.EventuallyWithT(t, func(t *assert.CollectT) {
		request, err := http.NewRequest(http.MethodGet, url, http.NoBody)
		require.NoError(t, err)

		response, err := client.Do(request)
		require.NoError(t, err)

		defer response.Body.Close()

		var body strings.Builder

		require.NoError(t, response.Write(&body))
		assert.Contains(t, body.String(), text)
	}, controllerTimeout, readyPoll)
}
