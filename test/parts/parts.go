// Package parts gives the tests the real programs that they run: both Helms, Kustomize, the control
// plane, the linters.
//
// Each program is built once, from the Go module that pins it under tools/, and cached in a
// directory under a name that changes with the pin. Nothing is downloaded but Go modules, so the
// checksum database vouches for all of it.
//
// The first build of the control plane takes longer than the time that "go test" allows by default.
// Build ahead: make parts.
package parts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
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

// Path returns the absolute path of the program called name and builds it first if the cache has none for this
// pin. Many processes may call it at the same time: one of them builds and the others wait for it.
func Path(ctx context.Context, name string) (string, error) {
	paths, err := Paths(ctx, name)
	return paths[name], err
}

// Paths is [Path] for several programs. It returns their paths by name.
func Paths(ctx context.Context, names ...string) (map[string]string, error) {
	built, err := Build(ctx, io.Discard, names...)
	paths := make(map[string]string, len(built))
	for _, program := range built {
		paths[program.Name] = program.Path
	}
	return paths, err
}

// Require returns the paths of the named parts by name. A part that cannot be built fails the test,
// it never skips it: a skipped test would look like a proof.
func Require(tb testing.TB, names ...string) map[string]string {
	tb.Helper()
	paths, err := Paths(tb.Context(), names...)
	if err != nil {
		tb.Fatalf("this test needs the program %s: %v", strings.Join(names, ", "), err)
	}
	return paths
}

// locate returns where the program called name is, or would be once it is built.
func (b builder) locate(ctx context.Context, name string) (program, error) {
	wanted, ok := table[name]
	if !ok {
		return program{}, fmt.Errorf("there is no part %q: use one of %s", name, strings.Join(Names(), ", "))
	}
	if dir := os.Getenv(AssetsEnv); dir != "" && wanted.asset {
		file, err := asset(dir, name)
		return program{name: name, file: file}, err
	}
	return b.find(ctx, name, wanted)
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
	root, err := Repository()
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

// Compile builds a program of this repository as it is released, static and without symbols, into a file. The
// package is relative to the repository, such as "cmd/webhook". It is linked once, however many packages of tests
// ask for it: "go run" keeps what it runs.
func Compile(ctx context.Context, pkg, file string) error {
	root, err := Repository()
	if err = errors.Join(err, os.MkdirAll(filepath.Dir(file), dirMode)); err != nil {
		return err
	}
	command := exec.CommandContext(ctx, "go", "run", "-exec=cp -f", "-trimpath", "-ldflags=-s -w", "./"+pkg, file)
	command.Dir, command.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", pkg, err, out)
	}
	return nil
}

// Repository finds this repository's directory above the working directory, which "go test" sets to
// the package's own.
func Repository() (string, error) {
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
