package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/pipeline-storage/pipeline-storage/test/parts"
)

// go build accepts import paths, so that bench needs no path of the source.
const module = "github.com/pipeline-storage/pipeline-storage/"

// packages are the programs of this repository that are measured. The others are programs that
// people install.
var packages = map[string]string{
	candidateCopy:       "test/bench/copy",
	candidateImports:    "test/bench/imports",
	candidatePostrender: "cmd/postrender",
}

// launcherPackage is the program that the others are started by. It is built each time, too: its
// own cost is part of every figure.
const launcherPackage = "test/bench/launch"

// program finds or builds the program of one candidate. A program that a flag names is copied;
// those of this repository are built; yq and kustomize come from the cache of pinned tools. The
// path is returned.
func program(ctx context.Context, name string, o options, dir string) (string, error) {
	if path := o.paths[name]; path != "" {
		copied := filepath.Join(dir, name)
		return copied, copyProgram(name, path, copied)
	}
	if pkg, isBuilt := packages[name]; isBuilt {
		return build(ctx, pkg, dir)
	}
	path, err := parts.Path(ctx, name)
	if err != nil {
		return "", fmt.Errorf("the pinned %s: %w (name one with --%s, or leave it out with --only)", name, err, name)
	}
	return path, nil
}

// copyProgram copies a program that a flag names: see [rewrite]. It names the flag in an error.
func copyProgram(name, path, to string) error {
	if err := rewrite(path, to); err != nil {
		return fmt.Errorf("--%s: %w", name, err)
	}
	return nil
}

// build compiles one program as it is released: static, without symbols. Pkg is a path in this
// module. The compiler's output is a part of the error.
func build(ctx context.Context, pkg, dir string) (string, error) {
	path := filepath.Join(dir, filepath.Base(pkg))
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, module+pkg)
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s (run bench inside the repository): %w\n%s", pkg, err, output)
	}
	return path, rewrite(path, path)
}

// rewrite copies a program. The page cache holds a file that a linker wrote in smaller pieces
// than one that was written at once, which costs up to a tenth of the start-up time: compared
// programs must be written in the same way. From and to may be the same file: the text is read
// whole first.
func rewrite(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("read a program: %w", err)
	}
	if err := os.RemoveAll(to); err != nil {
		return fmt.Errorf("remove a program: %w", err)
	}
	if err := os.WriteFile(to, text, 0o755); err != nil {
		return fmt.Errorf("write a program: %w", err)
	}
	return nil
}
