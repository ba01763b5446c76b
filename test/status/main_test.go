// Package status runs kubectl pipeline-storage status, as a program and through the real kubectl,
// on a real control plane in which everything that it reports has really happened.
package status

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/pipeline-storage/pipeline-storage/test/controlplane"
	"github.com/pipeline-storage/pipeline-storage/test/parts"
)

// shared is what the tests use, one after the other: a control plane, and a directory with kubectl and the plugin.
var shared struct {
	plane *controlplane.ControlPlane
	path  string
}

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "pipeline-storage-status-")
	if err != nil {
		return failed(err)
	}
	defer os.RemoveAll(dir)
	if shared.path, err = programs(dir); err != nil {
		return failed(err)
	}
	return m.Run()
}

// start gives a test a control plane of its own: what happens in one cannot be undone.
func start(t *testing.T) {
	t.Helper()
	shared.plane = controlplane.RequireWith(t, controlplane.Options{Controllers: true})
}

func failed(err error) int {
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// programs makes a PATH with kubectl and the plugin, and nothing else.
func programs(dir string) (string, error) {
	kubectl, err := parts.Path(context.Background(), "kubectl")
	if err != nil {
		return "", err
	}
	if err := os.Symlink(kubectl, filepath.Join(dir, "kubectl")); err != nil {
		return "", err
	}
	build := exec.Command(
		"go", "build", "-p", "2", "-o", filepath.Join(dir, "kubectl-pipeline_storage"),
		"../../cmd/kubectl-pipeline_storage",
	)
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the plugin: %w\n%s", err, out)
	}
	return dir, nil
}
