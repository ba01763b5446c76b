package cluster

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/pipeline-storage/pipeline-storage/test/parts"
)

// helmTimeout is how long Helm waits for a release to be ready.
const helmTimeout = "2m"

// Helm is a real Helm with a home directory of its own and the rights of an administrator.
type Helm struct {
	// Name is helm3 or helm4.
	Name string

	program string
	env     []string
}

// Helm returns the Helm called helm3 or helm4.
func (c *Cluster) Helm(ctx context.Context, name string) (*Helm, error) {
	program, err := parts.Path(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("find a Helm: %w", err)
	}

	homeDir := filepath.Join(c.dir, name)
	if err := os.MkdirAll(homeDir, dirMode); err != nil {
		return nil, fmt.Errorf("make a home for %s: %w", name, err)
	}

	return &Helm{Name: name, program: program, env: []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + homeDir, "KUBECONFIG=" + c.Plane.Kubeconfig,
		"HELM_DATA_HOME=" + filepath.Join(homeDir, "data"),
		"HELM_CACHE_HOME=" + filepath.Join(homeDir, "cache"),
		"HELM_CONFIG_HOME=" + filepath.Join(homeDir, "config"),
	}}, nil
}

// Run runs a Helm command and returns what it prints. The error has Helm's message about a failure.
func (h *Helm) Run(ctx context.Context, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer

	command := exec.CommandContext(ctx, h.program, args...)
	command.Env, command.Stdout, command.Stderr = h.env, &stdout, &stderr

	if err := command.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s %s: %w\n%s", h.Name, strings.Join(args, " "), err, &stderr)
	}

	return stdout.String(), nil
}

// Install installs a chart into a namespace, which it creates if it is missing, and waits until it
// is ready. Each value is either KEY=VALUE, for --set, or a flag as Helm takes it, such as
// --values=FILE.
func (h *Helm) Install(ctx context.Context, chart, release, namespace string, values ...string) (string, error) {
	return h.Run(ctx, append([]string{"install", release, chart, "--create-namespace"}, common(namespace, values)...)...)
}

// Upgrade upgrades a release as Install installs it.
func (h *Helm) Upgrade(ctx context.Context, chart, release, namespace string, values ...string) (string, error) {
	return h.Run(ctx, append([]string{"upgrade", release, chart}, common(namespace, values)...)...)
}

// Uninstall removes a release and waits until its objects are deleted.
func (h *Helm) Uninstall(ctx context.Context, release, namespace string) (string, error) {
	return h.Run(ctx, "uninstall", release, "--namespace", namespace, "--wait", "--timeout", helmTimeout)
}

func common(namespace string, values []string) []string {
	args := []string{"--namespace", namespace, "--wait", "--timeout", helmTimeout}

	for _, value := range values {
		if !strings.HasPrefix(value, "-") {
			args = append(args, "--set")
		}

		args = append(args, value)
	}

	return args
}
