// Package chart_test holds the chart and config/ to their promises, with both Helms, Kustomize and a real API server.
//
// No controller runs beside the API server: a Deployment has no pods, and a policy has no status.
package chart_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/pipeline-storage/pipeline-storage/test/controlplane"
	"github.com/pipeline-storage/pipeline-storage/test/parts"
)

const (
	root  = "../.."
	chart = root + "/charts/pipeline-storage"
)

// What TestMain prepares once for all tests.
var (
	helm3, helm4 tool
	// server is a client's configuration for an administrator.
	server  *rest.Config
	typed   kubernetes.Interface
	objects dynamic.Interface
)

// tool is one Helm.
type tool struct {
	name, program string
	env           []string
}

func TestMain(m *testing.M) {
	code, err := runTests(context.Background(), m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func runTests(ctx context.Context, m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "pipeline-storage-chart-")
	if err != nil {
		return 1, fmt.Errorf("make a directory for Helm: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	plane, err := controlplane.Start(ctx)
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, plane.Stop()) }()

	server = &rest.Config{
		Host: plane.Host, QPS: -1,
		TLSClientConfig: rest.TLSClientConfig{CAData: plane.CA, CertData: plane.Cert, KeyData: plane.Key},
	}
	if typed, err = kubernetes.NewForConfig(server); err != nil {
		return 1, fmt.Errorf("make a client: %w", err)
	}
	if objects, err = dynamic.NewForConfig(server); err != nil {
		return 1, fmt.Errorf("make a client: %w", err)
	}
	if helm3, err = newTool(ctx, "helm3", dir, plane.Kubeconfig); err != nil {
		return 1, err
	}
	if helm4, err = newTool(ctx, "helm4", dir, plane.Kubeconfig); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// newTool gives a Helm a home of its own.
func newTool(ctx context.Context, name, dir, kubeconfig string) (tool, error) {
	program, err := parts.Path(ctx, name)
	if err != nil {
		return tool{}, err
	}
	home := filepath.Join(dir, name)
	if err := os.MkdirAll(home, 0o755); err != nil {
		return tool{}, fmt.Errorf("make a home for %s: %w", name, err)
	}
	return tool{name: name, program: program, env: []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "KUBECONFIG=" + kubeconfig,
		"HELM_DATA_HOME=" + filepath.Join(home, "data"),
		"HELM_CACHE_HOME=" + filepath.Join(home, "cache"),
		"HELM_CONFIG_HOME=" + filepath.Join(home, "config"),
	}}, nil
}

// run returns what a command prints, and its error with what it prints as one.
func (h tool) run(ctx context.Context, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	command := exec.CommandContext(ctx, h.program, args...)
	command.Env, command.Stdout, command.Stderr = h.env, &stdout, &stderr
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s%s", h.name, strings.Join(args, " "), err, &stdout, &stderr)
	}
	return stdout.String(), nil
}

// must runs a command that has to work.
func (h tool) must(t *testing.T, args ...string) string {
	t.Helper()
	out, err := h.run(t.Context(), args...)
	require.NoError(t, err)
	return out
}

// withBoth runs a test with either Helm.
func withBoth(t *testing.T, test func(t *testing.T, h tool)) {
	t.Helper()
	for _, h := range []tool{helm3, helm4} {
		t.Run(h.name, func(t *testing.T) {
			t.Parallel()
			test(t, h)
		})
	}
}

// valueSets are the files of values by name: those of the tests, and the one that the chart has for large clusters.
func valueSets(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("testdata/values/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	sets := map[string]string{"ha": chart + "/values-ha.yaml"}
	for _, file := range files {
		sets[strings.TrimSuffix(filepath.Base(file), ".yaml")] = file
	}
	return sets
}
