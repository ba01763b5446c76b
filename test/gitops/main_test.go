// Package gitops_test runs the commands of docs/gitops.md: the KRM function under real kustomize,
// the command of the Argo CD plugin as Argo CD runs it, and rendering in a pipe. No test here runs
// Argo CD, Flux, kpt or a container.
package gitops_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/pipeline-storage/pipeline-storage/test/controlplane"
	"github.com/pipeline-storage/pipeline-storage/test/parts"
	"github.com/pipeline-storage/pipeline-storage/test/stream"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

const root = "../.."

// No test needs the control plane, so none is started.
func TestMain(m *testing.M) { os.Exit(suite.Main(m, controlplane.Options{})) }

// shell has all programs that the documents name, in a directory.
func shell(t *testing.T, dir string, env ...string) suite.Shell {
	t.Helper()
	programs := parts.Require(t, "helm3", "helm4", "kustomize", "kubectl")
	programs["helm"], programs["postrender"] = programs["helm3"], suite.Program(t, "cmd/postrender")
	return suite.Shell{Dir: dir, Env: env, Programs: programs}
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
