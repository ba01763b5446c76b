// Package gitops_test runs the commands of docs/gitops.md: the KRM function under real kustomize,
// the command of the Argo CD plugin as Argo CD runs it, and rendering in a pipe. No test here runs
// Argo CD, Flux, kpt or a container.
package gitops_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/pipeline-storage/pipeline-storage/test/parts"
	"github.com/pipeline-storage/pipeline-storage/test/stream"
)

const root = "../.."

// bin is a directory with all programs that the documents name, for $PATH.
var bin string

func TestMain(m *testing.M) {
	code, err := run(context.Background(), m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(ctx context.Context, m *testing.M) (code int, err error) {
	if bin, err = os.MkdirTemp("", "pipeline-storage-gitops-"); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(bin)) }()
	for name, part := range map[string]string{
		"helm": "helm3", "helm4": "helm4", "kustomize": "kustomize",
		"kubectl": "kubectl",
	} {
		program, err := parts.Path(ctx, part)
		if err != nil {
			return 1, err
		}
		if err := os.Symlink(program, filepath.Join(bin, name)); err != nil {
			return 1, err
		}
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(bin, "postrender"), "./cmd/postrender")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return 1, fmt.Errorf("build postrender: %w\n%s", err, out)
	}
	return m.Run(), nil
}

// result is the output of a command.
type result struct {
	stdout, stderr string
	err            error
}

// command runs a program in a directory with the programs of bin in its $PATH, a home directory of
// its own and, of this environment, only env.
func command(t *testing.T, dir string, env []string, name string, args ...string) result {
	t.Helper()
	path := filepath.Join(bin, name)
	if _, err := os.Stat(path); err != nil {
		path = name
	}
	var stdout, stderr bytes.Buffer
	c := exec.CommandContext(t.Context(), path, args...)
	homeDir := t.TempDir()
	c.Dir, c.Stdout, c.Stderr = dir, &stdout, &stderr
	c.Env = append([]string{
		"PATH=" + bin + string(os.PathListSeparator) + os.Getenv("PATH"), "HOME=" + homeDir,
		"HELM_DATA_HOME=" + homeDir, "HELM_CACHE_HOME=" + homeDir, "HELM_CONFIG_HOME=" + homeDir,
	}, env...)
	err := c.Run()
	return result{stdout.String(), stderr.String(), err}
}

// must returns the standard output of a command that has to succeed.
func must(t *testing.T, r result) string {
	t.Helper()
	require.NoError(t, r.err, r.stderr)
	return r.stdout
}

// copied returns a copy of a directory that a test may change.
func copied(t *testing.T, example string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join(root, example))))
	return dir
}

// write writes a file below a directory.
func write(t *testing.T, dir, name, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
}

// objects are those of a stream, by kind, namespace and name.
func objects(t *testing.T, text string) map[string]*unstructured.Unstructured {
	t.Helper()
	all := map[string]*unstructured.Unstructured{}
	for _, object := range stream.Objects(t, text) {
		key := object.GetKind() + "/" + object.GetNamespace() + "/" + object.GetName()
		require.NotContains(t, all, key)
		all[key] = &object
	}
	return all
}
