package cluster

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/pipeline-storage/pipeline-storage/test/parts"
)

const (
	provisionerModule = "github.com/rancher/local-path-provisioner"
	manifestFile      = "local-path-storage.yaml"
	// hostPathDir is where the controller manager's host-path provisioner makes its directories.
	hostPathDir = "/tmp/hostpath_pv"
)

// copyProvisionerManifest copies the manifest that the provisioner's own project publishes for its users.
func copyProvisionerManifest(ctx context.Context, dir string) error {
	root, err := parts.Repository()
	if err != nil {
		return err
	}
	command := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", provisionerModule)
	command.Dir = filepath.Join(root, "tools", "localpath")
	command.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off")
	module, err := command.Output()
	if err != nil {
		return fmt.Errorf("find the module %s: %w", provisionerModule, err)
	}
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(module)), "deploy", manifestFile))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, manifestFile), text, fileMode)
}

// deployProvisioner creates the objects of the manifest unchanged. It does not wait: the first
// claim does.
func (c *Cluster) deployProvisioner(ctx context.Context) error {
	kubectl, err := parts.Path(ctx, "kubectl")
	if err != nil {
		return err
	}
	command := exec.CommandContext(ctx, kubectl, "--kubeconfig", c.Plane.Kubeconfig, "create", "-f",
		filepath.Join(c.dir, manifestFile))
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("deploy the provisioner: %w\n%s", err, out)
	}
	return nil
}
