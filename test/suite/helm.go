package suite

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pipeline-storage/pipeline-storage/test/parts"
)

// helmTimeout is how long Helm waits for a release to be ready.
const helmTimeout = "2m"

// Unvalidated leaves out Helm's own validation, half of its CPU time. The API server validates the same objects.
const Unvalidated = "--disable-openapi-validation"

// HelmCLI is a real Helm with a home directory of its own and the rights of an administrator.
type HelmCLI struct {
	// Name is helm3 or helm4.
	Name string
	// Program is its path.
	Program string
	// Env is its whole environment.
	Env []string
}

// Result is the output of a command.
type Result struct {
	Stdout, Stderr string
	// Err has the command and its standard error.
	Err error
}

// Helm returns the Helm called helm3 or helm4, for the shared control plane. All tests of a package
// share its home directory, so a plugin that one of them installs is there for all.
func Helm(tb testing.TB, name string) *HelmCLI {
	tb.Helper()
	helm, err := NewHelm(tb.Context(), name, filepath.Join(shared.dir.Path, name), Plane(tb).Kubeconfig)
	if err != nil {
		tb.Fatal(err)
	}
	return helm
}

// BothHelms runs a test with Helm 3 and with Helm 4, in parallel.
func BothHelms(t *testing.T, test func(t *testing.T, helm *HelmCLI)) {
	t.Helper()
	for _, name := range []string{"helm3", "helm4"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, Helm(t, name))
		})
	}
}

// NewHelm returns the Helm called helm3 or helm4 with a home directory, which it makes.
func NewHelm(ctx context.Context, name, home, kubeconfig string) (*HelmCLI, error) {
	program, err := parts.Path(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("find a Helm: %w", err)
	}
	if err := os.MkdirAll(home, dirMode); err != nil {
		return nil, fmt.Errorf("make a home for %s: %w", name, err)
	}
	env := append([]string{
		"PATH=" + os.Getenv("PATH"), "KUBECONFIG=" + kubeconfig,
		"GOGC=400", // a run ends before its garbage counts
	}, homeEnv(home)...)
	return &HelmCLI{Name: name, Program: program, Env: env}, nil
}

// homeEnv is what leads Helm and kubectl to a home directory.
func homeEnv(home string) []string {
	return []string{
		"HOME=" + home,
		"HELM_DATA_HOME=" + filepath.Join(home, "data"),
		"HELM_CACHE_HOME=" + filepath.Join(home, "cache"),
		"HELM_CONFIG_HOME=" + filepath.Join(home, "config"),
	}
}

// Run runs a Helm command.
func (h *HelmCLI) Run(ctx context.Context, args ...string) Result {
	command := exec.CommandContext(ctx, h.Program, args...)
	command.Env = h.Env
	return result(command, h.Name+" "+strings.Join(args, " "))
}

// Output runs a Helm command and returns its standard output.
func (h *HelmCLI) Output(ctx context.Context, args ...string) (string, error) {
	r := h.Run(ctx, args...)
	return r.Stdout, r.Err
}

// Must runs a Helm command that has to succeed and returns its standard output.
func (h *HelmCLI) Must(tb testing.TB, args ...string) string {
	tb.Helper()
	return h.Run(tb.Context(), args...).Must(tb)
}

// Fails runs a Helm command that has to fail and returns its standard error.
func (h *HelmCLI) Fails(tb testing.TB, args ...string) string {
	tb.Helper()
	r := h.Run(tb.Context(), args...)
	if r.Err == nil {
		tb.Fatalf("%s %s succeeds:\n%s", h.Name, strings.Join(args, " "), r.Stdout)
	}
	return r.Stderr
}

// Must returns the standard output of a command that has to succeed.
func (r Result) Must(tb testing.TB) string {
	tb.Helper()
	if r.Err != nil {
		tb.Fatalf("%v\n%s", r.Err, r.Stdout)
	}
	return r.Stdout
}

func result(command *exec.Cmd, name string) Result {
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	err := command.Run()
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", name, err, &stderr)
	}
	return Result{Stdout: stdout.String(), Stderr: stderr.String(), Err: err}
}

// Install installs a chart into a namespace, which it creates if it is missing, and waits until it
// is ready. Each value is either KEY=VALUE, for --set, or a flag as Helm takes it, such as
// --values=FILE.
func (h *HelmCLI) Install(ctx context.Context, chart, release, namespace string, values ...string) (string, error) {
	args := append([]string{"install", release, chart, "--create-namespace"}, common(namespace, values)...)
	return h.Output(ctx, args...)
}

// Upgrade upgrades a release as Install installs it.
func (h *HelmCLI) Upgrade(ctx context.Context, chart, release, namespace string, values ...string) (string, error) {
	return h.Output(ctx, append([]string{"upgrade", release, chart}, common(namespace, values)...)...)
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
