package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/pipeline-storage/pipeline-storage/test/parts"
)

const module = "github.com/pipeline-storage/pipeline-storage/"

// packages are the programs of this repository that are measured.
var packages = map[string]string{
	candidateCopy:       "test/bench/copy",
	candidateImports:    "test/bench/imports",
	candidatePostrender: "cmd/postrender",
}

// launcherPackage is the program that the others are started by.
const launcherPackage = "test/bench/launch"

// program finds or builds the program of one candidate.
func program(ctx context.Context, name string, o options, dir string) (string, error) {
	if path := o.paths[name]; path != "" {
		return given(name, path)
	}
	if pkg, ours := packages[name]; ours {
		return build(ctx, pkg, dir)
	}
	path, err := parts.Path(ctx, name)
	if err != nil {
		return "", fmt.Errorf("the pinned %s: %w (name one with --%s, or leave it out with --only)", name, err, name)
	}
	return path, nil
}

// given is a program that a flag names. Candidates run in directories of their own, so its path is made absolute.
func given(name, path string) (string, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("--%s=%s: %w", name, path, err)
	}
	if _, err := os.Stat(absolute); err != nil {
		return "", fmt.Errorf("--%s: %w", name, err)
	}
	return absolute, nil
}

// build compiles one program as it is released: static, without symbols.
func build(ctx context.Context, pkg, dir string) (string, error) {
	path := filepath.Join(dir, filepath.Base(pkg))
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, module+pkg)
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s (run bench inside the repository): %w\n%s", pkg, err, output)
	}
	return path, nil
}
