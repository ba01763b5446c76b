// Package parts gives the tests the real programs that they run: both Helms, Kustomize, the control
// plane, the linters.
//
// Each program is built once, from the Go module that pins it under tools/, and cached in a
// directory under a name that changes with the pin. Nothing is downloaded but Go modules, so the
// checksum database vouches for all of it.
//
// The first build of the control plane takes longer than the time that "go test" allows by default.
// Build ahead:
//
//	go run ./test/parts/cmd/parts helm3 helm4 etcd kube-apiserver
package parts

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	// CacheEnv names the directory for the built parts, in place of the user's cache directory.
	CacheEnv = "PIPELINE_STORAGE_CACHE"
	// AssetsEnv names a directory with an etcd and a kube-apiserver to use as they are, as envtest
	// does.
	AssetsEnv = "KUBEBUILDER_ASSETS"

	modulePath = "github.com/pipeline-storage/pipeline-storage"
)

// Names returns the name of every part, sorted.
func Names() []string {
	return slices.Sorted(maps.Keys(table))
}

// Path returns the absolute path of the program called name and builds it first if the cache has
// none for this pin. Many processes may call it at the same time: one of them builds and the others
// wait for it.
func Path(ctx context.Context, name string) (string, error) {
	wanted, ok := table[name]
	if !ok {
		return "", fmt.Errorf("there is no part %q: use one of %s", name, strings.Join(Names(), ", "))
	}

	if dir := os.Getenv(AssetsEnv); dir != "" && wanted.asset {
		return asset(dir, name)
	}

	b, err := newBuilder()
	if err != nil {
		return "", err
	}

	return b.path(ctx, name, wanted)
}

// Require returns the paths of the named parts by name. A part that cannot be built fails the test,
// it never skips it: a skipped test would look like a proof.
func Require(tb testing.TB, names ...string) map[string]string {
	tb.Helper()

	paths := make(map[string]string, len(names))

	for _, name := range names {
		path, err := Path(tb.Context(), name)
		if err != nil {
			tb.Fatalf("this test needs the program %s: %v", name, err)
		}

		paths[name] = path
	}

	return paths
}

func asset(dir, name string) (string, error) {
	path, err := filepath.Abs(filepath.Join(dir, name))
	if err != nil {
		return "", fmt.Errorf("find %s in the directory that %s names: %w", name, AssetsEnv, err)
	}

	if !executable(path) {
		return "", fmt.Errorf("%s names %s, which holds no program %s: put it there, or unset %s to have it built",
			AssetsEnv, dir, name, AssetsEnv)
	}

	return path, nil
}

func newBuilder() (builder, error) {
	root, err := repository()
	if err != nil {
		return builder{}, err
	}

	cache, err := cacheDir()
	if err != nil {
		return builder{}, err
	}

	return builder{tools: filepath.Join(root, "tools"), cache: cache}, nil
}

func cacheDir() (string, error) {
	base := os.Getenv(CacheEnv)
	if base == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("find a directory for the built parts: %w; set %s to one", err, CacheEnv)
		}

		base = filepath.Join(user, "pipeline-storage")
	}

	dir, err := filepath.Abs(filepath.Join(base, "parts"))
	if err != nil {
		return "", fmt.Errorf("find the directory that %s names: %w", CacheEnv, err)
	}

	return dir, nil
}

// repository finds this repository's directory above the working directory, which "go test" sets to
// the package's own.
func repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the repository: %w", err)
	}

	for start := dir; ; dir = filepath.Dir(dir) {
		if isModule(filepath.Join(dir, "go.mod"), modulePath) {
			return dir, nil
		}

		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no directory above %s is the module %s: run inside a clone of it", start, modulePath)
		}
	}
}

func isModule(file, path string) bool {
	text, err := os.ReadFile(file)

	return err == nil && slices.Contains(strings.Split(string(text), "\n"), "module "+path)
}

func executable(path string) bool {
	info, err := os.Stat(path)

	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}
