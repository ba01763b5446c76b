package controlplane

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/test/parts"
)

// abandonEnv makes the test program start a control plane, print its processes and die.
const abandonEnv = "PIPELINE_STORAGE_TEST_ABANDON"

func TestMain(m *testing.M) {
	if os.Getenv(abandonEnv) != "" {
		abandon()
	}

	os.Exit(m.Run())
}

func abandon() {
	plane, err := Start(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}

	fmt.Println(plane.dir)

	for _, p := range plane.processes {
		fmt.Println(p.cmd.Process.Pid)
	}

	// Kill, not Exit: nothing in this program may get the chance to clean up.
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)

	select {}
}

func TestControlPlane(t *testing.T) {
	t.Parallel()

	plane, err := Start(t.Context())
	require.NoError(t, err)

	client, err := plane.Client()
	require.NoError(t, err)

	t.Run("stores objects", func(t *testing.T) { storesObjects(t, plane, client) })
	t.Run("serves the version that the module pins", func(t *testing.T) { servesPinnedVersion(t, plane, client) })
	t.Run("kubeconfig works for Helm", func(t *testing.T) { kubeconfigWorks(t, plane) })
	t.Run("refuses a request without the certificate", func(t *testing.T) { refusesAnonymous(t, plane) })
	t.Run("shares nothing with another", func(t *testing.T) { sharesNothing(t, client, plane) })

	pids := pidsOf(plane)
	require.Len(t, pids, len(stages))
	assert.Contains(t, plane.Logs(), "end of the log of kube-apiserver")

	require.NoError(t, plane.Stop())

	for _, pid := range pids {
		require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH, "process %d should not exist", pid)
	}

	assert.NoDirExists(t, plane.dir)
	require.NoError(t, plane.Stop(), "a second Stop should do nothing")
}

func storesObjects(t *testing.T, plane *ControlPlane, client *http.Client) {
	t.Helper()

	const claim = `{"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":"data"},"spec":{` +
		`"accessModes":["ReadWriteMany"],"resources":{"requests":{"storage":"1Gi"}}}}`

	// First, because the default namespace must exist at once.
	post(t, client, plane.Host+"/api/v1/namespaces/default/persistentvolumeclaims", claim)

	post(t, client, plane.Host+"/api/v1/namespaces",
		`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"made"}}`)
	post(t, client, plane.Host+"/api/v1/namespaces/made/persistentvolumeclaims", claim)

	const podSpec = `{"containers":[{"name":"a","image":"a"}]}`

	post(t, client, plane.Host+"/api/v1/namespaces/made/pods",
		`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":`+podSpec+`}`)
	post(t, client, plane.Host+"/apis/apps/v1/namespaces/made/deployments",
		`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a"},"spec":{`+
			`"selector":{"matchLabels":{"app":"a"}},`+
			`"template":{"metadata":{"labels":{"app":"a"}},"spec":`+podSpec+`}}}`)

	assert.Contains(t, read(t, client, plane.Host+"/api/v1/namespaces/made/persistentvolumeclaims/data"),
		`"phase":"Pending"`)
}

func servesPinnedVersion(t *testing.T, plane *ControlPlane, client *http.Client) {
	t.Helper()

	var served struct{ Major, Minor, GitVersion string }

	require.NoError(t, json.Unmarshal([]byte(read(t, client, plane.Host+"/version")), &served))

	out, err := exec.CommandContext(t.Context(), parts.Require(t, "kube-apiserver")["kube-apiserver"],
		"--version").Output()
	require.NoError(t, err)
	assert.Equal(t, "Kubernetes "+served.GitVersion, strings.TrimSpace(string(out)))

	if os.Getenv(parts.AssetsEnv) != "" {
		return // that directory has a version of its own, and this was it
	}

	pins, err := os.ReadFile("../../tools/controlplane/go.mod")
	require.NoError(t, err)

	_, rest, found := strings.Cut(string(pins), "\tk8s.io/kubernetes ")
	require.True(t, found)

	pinned, _, _ := strings.Cut(rest, "\n")

	assert.Equal(t, pinned, served.GitVersion)
	assert.Contains(t, pinned, "v"+served.Major+"."+served.Minor+".")
}

func kubeconfigWorks(t *testing.T, plane *ControlPlane) {
	t.Helper()

	for name, helm := range parts.Require(t, "helm3", "helm4") {
		command := exec.CommandContext(t.Context(), helm, "list", "--kubeconfig", plane.Kubeconfig)
		out, err := command.CombinedOutput()
		require.NoError(t, err, "%s: %s", name, out)
		assert.Contains(t, string(out), "NAMESPACE", name)
	}
}

func refusesAnonymous(t *testing.T, plane *ControlPlane) {
	t.Helper()

	client, err := plane.Client()
	require.NoError(t, err)

	transport, ok := client.Transport.(*http.Transport)
	require.True(t, ok)

	transport.TLSClientConfig.Certificates = nil

	assert.Equal(t, http.StatusUnauthorized, status(t, client, plane.Host+"/version"))
}

func sharesNothing(t *testing.T, client *http.Client, one *ControlPlane) {
	t.Helper()

	two := Require(t)
	other, err := two.Client()
	require.NoError(t, err)

	const made = "/api/v1/namespaces/made"

	assert.Equal(t, http.StatusOK, status(t, client, one.Host+made))
	assert.Equal(t, http.StatusNotFound, status(t, other, two.Host+made))

	require.ErrorContains(t, get(t.Context(), client, two.Host+made), "unknown authority",
		"each should have a CA of its own")
}

func TestRetriesOtherPorts(t *testing.T) {
	t.Parallel()

	for _, taken := range []int{0, 1} { // etcd's port and the API server's
		t.Run(stages[taken][0].name, func(t *testing.T) {
			t.Parallel()

			other := takenPort(t)
			calls := -1

			plane, err := start(t.Context(), Options{}, func() (int, error) {
				calls++
				if calls == taken {
					return other, nil
				}

				return freePort()
			})
			require.NoError(t, err)
			require.NoError(t, plane.Stop())
			assert.Equal(t, 2*len(stages), calls+1, "the first choice of ports should fail and the second do")
		})
	}
}

func TestFailsWithoutFreePort(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())

	other := takenPort(t)
	_, err := start(t.Context(), Options{}, func() (int, error) { return other, nil })

	require.ErrorIs(t, err, errPortTaken)
	require.ErrorContains(t, err, "end of the log of etcd")

	left, err := os.ReadDir(os.TempDir())
	require.NoError(t, err)
	assert.Empty(t, left, "no attempt should leave a directory behind")
}

func TestReportsLogOfEndedPart(t *testing.T) {
	dir := t.TempDir()
	script := "#!/bin/sh\necho \"the disk is on fire\" >&2\nexit 3\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "etcd"), []byte(script), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "kube-apiserver"), []byte(script), 0o755))
	t.Setenv(parts.AssetsEnv, dir)

	_, err := Start(t.Context())

	require.ErrorContains(t, err, "etcd ended: exit status 3")
	require.ErrorContains(t, err, "the disk is on fire")
	assert.Equal(t, 1, strings.Count(err.Error(), "the disk is on fire"), "once is enough")
}

func TestStopReportsDeadPart(t *testing.T) {
	t.Parallel()

	plane, err := Start(t.Context())
	require.NoError(t, err)

	server := plane.processes[1]
	require.NoError(t, server.cmd.Process.Kill())
	<-server.done

	require.ErrorContains(t, plane.Stop(), "kube-apiserver ended: signal: killed")
	assert.NoDirExists(t, plane.dir)
}

func TestStartEndsWithContext(t *testing.T) {
	t.Parallel()

	ctx, cancel := context.WithCancel(t.Context())

	// The port is chosen after the parts are found: the last moment before the start.
	plane, err := start(ctx, Options{}, func() (int, error) {
		cancel()

		return freePort()
	})

	require.ErrorIs(t, err, context.Canceled)
	assert.Nil(t, plane)
}

func TestSweepRetainsDirectoriesInUse(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())

	plane, err := newControlPlane()
	require.NoError(t, err)

	sweep(os.TempDir())
	assert.DirExists(t, plane.dir)

	require.NoError(t, plane.lock.Close())
	sweep(os.TempDir())
	assert.NoDirExists(t, plane.dir)
}

func TestCertificates(t *testing.T) {
	t.Parallel()

	keys, err := newPKI("", "")
	require.NoError(t, err)

	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(keys.ca))

	_, err = parse(t, keys.serving).Verify(x509.VerifyOptions{Roots: roots, DNSName: loopback})
	require.NoError(t, err)

	admin := parse(t, keys.cert)
	_, err = admin.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	require.NoError(t, err)
	assert.Equal(t, []string{"system:masters"}, admin.Subject.Organization)

	_, err = admin.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	require.Error(t, err, "the client must not be able to pose as a server")
}

func parse(t *testing.T, text []byte) *x509.Certificate {
	t.Helper()

	block, rest := pem.Decode(text)
	require.NotNil(t, block)
	require.Empty(t, rest)

	cert, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)

	return cert
}

func post(t *testing.T, client *http.Client, url, object string) {
	t.Helper()

	code, body := send(t, client, http.MethodPost, url, object)
	require.Equal(t, http.StatusCreated, code, "%s", body)
}

func read(t *testing.T, client *http.Client, url string) string {
	t.Helper()

	code, body := send(t, client, http.MethodGet, url, "")
	require.Equal(t, http.StatusOK, code, "%s", body)

	return body
}

func status(t *testing.T, client *http.Client, url string) int {
	t.Helper()

	code, _ := send(t, client, http.MethodGet, url, "")

	return code
}

func send(t *testing.T, client *http.Client, method, url, object string) (code int, body string) {
	t.Helper()

	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(object))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/json")

	response, err := client.Do(request)
	require.NoError(t, err)

	defer response.Body.Close()

	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)

	return response.StatusCode, string(text)
}

// takenPort returns a port that something listens on until the test ends.
func takenPort(t *testing.T) int {
	t.Helper()

	listener, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, listener.Close()) })

	address, ok := listener.Addr().(*net.TCPAddr)
	require.True(t, ok)

	return address.Port
}

func pidsOf(plane *ControlPlane) []int {
	pids := make([]int, 0, len(plane.processes))
	for _, p := range plane.processes {
		pids = append(pids, p.cmd.Process.Pid)
	}

	return pids
}

// running is false for a zombie too: a process that adopts orphans may be slow to reap them, or
// never do it.
func running(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}

	_, state, _ := strings.Cut(string(stat), ") ")

	return !strings.HasPrefix(state, "Z")
}
