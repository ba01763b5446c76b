// Package helm_test runs the post-renderer under real Helm 3 and Helm 4 against a real API server.
//
// No controller runs beside the API server: what Helm creates stays as it is, and hooks end because
// a test ends them.
package helm_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/pipeline-storage/pipeline-storage/plugin"
	"github.com/pipeline-storage/pipeline-storage/test/controlplane"
	"github.com/pipeline-storage/pipeline-storage/test/parts"
)

// What TestMain prepares once for all tests.
var (
	helm3, helm4 tool
	cluster      dynamic.Interface
	// postrenderer is the program under test, for a shell pipe.
	postrenderer string
	kubeconfig   string
)

func TestMain(m *testing.M) {
	code, err := runTests(context.Background(), m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func runTests(ctx context.Context, m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "pipeline-storage-helm-")
	if err != nil {
		return 1, fmt.Errorf("make a directory for Helm: %w", err)
	}
	defer os.RemoveAll(dir)

	plane, err := controlplane.Start(ctx)
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, plane.Stop()) }()
	kubeconfig = plane.Kubeconfig

	config := &rest.Config{
		Host: plane.Host, QPS: -1,
		TLSClientConfig: rest.TLSClientConfig{CAData: plane.CA, CertData: plane.Cert, KeyData: plane.Key},
	}
	cluster, err = dynamic.NewForConfig(config)
	if err != nil {
		return 1, fmt.Errorf("make a client: %w", err)
	}
	if err := installRayCluster(ctx, config); err != nil {
		return 1, err
	}
	if err := prepareHelm(ctx, dir); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// prepareHelm builds the post-renderer and gives each Helm a home directory of its own: a Helm 4
// plugin makes Helm 3 complain.
func prepareHelm(ctx context.Context, dir string) error {
	staged := filepath.Join(dir, "pipeline-storage")
	host := plugin.Host()
	if err := plugin.Stage(ctx, staged, "", host); err != nil {
		return err
	}
	postrenderer = filepath.Join(staged, "bin", "postrender-"+host.OS+"-"+host.Arch)

	var err error
	if helm3, err = newTool(ctx, "helm3", dir); err != nil {
		return err
	}
	helm3.renderer = postrenderer

	if helm4, err = newTool(ctx, "helm4", dir); err != nil {
		return err
	}
	helm4.renderer = "pipeline-storage"
	for _, plugin := range []string{staged, filepath.Join("testdata", "copy")} {
		if r := helm4.run(ctx, "plugin", "install", plugin); r.err != nil {
			return fmt.Errorf("install the plugin %s: %w\n%s", plugin, r.err, r.stderr)
		}
	}
	return nil
}

func newTool(ctx context.Context, name, dir string) (tool, error) {
	program, err := parts.Path(ctx, name)
	if err != nil {
		return tool{}, err
	}
	homeDir := filepath.Join(dir, name)
	if err := os.MkdirAll(homeDir, 0o755); err != nil {
		return tool{}, fmt.Errorf("make a home for %s: %w", name, err)
	}
	return tool{name: name, program: program, env: []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + homeDir, "KUBECONFIG=" + kubeconfig,
		"HELM_DATA_HOME=" + filepath.Join(homeDir, "data"),
		"HELM_CACHE_HOME=" + filepath.Join(homeDir, "cache"),
		"HELM_CONFIG_HOME=" + filepath.Join(homeDir, "config"),
	}}, nil
}
