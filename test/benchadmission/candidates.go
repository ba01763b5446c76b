package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/pipeline-storage/pipeline-storage/test/benchadmission/servers/listen"
)

const module = "github.com/pipeline-storage/pipeline-storage/"

// Names of servers in the report.
const (
	allow       = "allow" // what the others are compared with
	webhookName = "webhook"
)

// candidate is a server that is measured.
type candidate struct {
	name string
	what string
	// pkg is its package, below the module.
	pkg string
	// constant is the answer of a server that repeats no uid; nil for every other server.
	constant string
	// mutates is true when the server's answers must mount the claim.
	mutates bool
}

// candidates, in the order of the tables.
var candidates = []candidate{
	{
		name: "constant", what: "a constant answer from net/http", pkg: "test/benchadmission/servers/constant",
		constant: listen.Constant,
	},
	{name: allow, what: "controller-runtime, allows without decoding the pod", pkg: "test/benchadmission/servers/allow"},
	{
		name: "usual", what: "controller-runtime, decodes, copies, encodes, diffs", pkg: "test/benchadmission/servers/usual",
		mutates: true,
	},
	{name: webhookName, what: "cmd/webhook with everything on", pkg: "cmd/webhook", mutates: true},
}

func candidateNames() []string {
	var names []string
	for _, c := range candidates {
		names = append(names, c.name)
	}
	return names
}

// buildAll finds or builds the programs, by the candidate's name.
func buildAll(ctx context.Context, o options, dir string) (map[string]string, error) {
	programs := map[string]string{}
	for _, c := range o.candidates() {
		path, err := program(ctx, c, o, dir)
		if err != nil {
			return nil, err
		}
		programs[c.name] = path
	}
	return programs, nil
}

func program(ctx context.Context, c candidate, o options, dir string) (string, error) {
	if c.name != webhookName || o.webhook == "" {
		return build(ctx, c, dir)
	}
	path, err := filepath.Abs(o.webhook)
	if err != nil {
		return "", fmt.Errorf("--webhook: %w", err)
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("--webhook: %w", err)
	}
	return path, nil
}

// build compiles one program as the webhook is released: static, without symbols. The toolchain and
// its experiments come from the environment, the same for all.
func build(ctx context.Context, c candidate, dir string) (string, error) {
	path := filepath.Join(dir, c.name)
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, module+c.pkg)
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s (run benchadmission inside the repository): %w\n%s", c.pkg, err, output)
	}
	return path, nil
}

// experiments are those of the toolchain. They decide which encoding/json is measured.
func experiments(ctx context.Context) (string, error) {
	text, err := exec.CommandContext(ctx, "go", "env", "GOEXPERIMENT").Output()
	if err != nil {
		return "", fmt.Errorf("read Go's experiments: %w", err)
	}
	if found := strings.TrimSpace(string(text)); found != "" {
		return found, nil
	}
	return "none", nil
}

// measurePrograms reads the sizes of the programs.
func (b *bench) measurePrograms(r *report) error {
	for name, path := range b.launcher.programs {
		info, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("measure a program: %w", err)
		}
		r.programs[name] = float64(info.Size())
	}
	return nil
}
