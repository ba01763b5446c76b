package parts

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

const (
	lockPoll   = 100 * time.Millisecond
	outputTail = 4096
	keyLength  = 16
	dirMode    = 0o755
	logName    = "build.log"
)

// builder builds parts from the modules in tools into cache.
type builder struct {
	tools string
	cache string
}

// program is a part and its place in the cache.
type program struct {
	part

	name string
	// args are what follows "go build -o FILE".
	args []string
	file string
}

// find returns where the part is, or would be once it is built.
func (b builder) find(ctx context.Context, name string, p part) (program, error) {
	args, err := b.arguments(ctx, p)
	key := ""
	if err == nil {
		key, err = b.key(ctx, p, args)
	}
	if err != nil {
		return program{}, fmt.Errorf("prepare to build %s: %w", name, err)
	}
	return program{part: p, name: name, args: args, file: filepath.Join(b.cache, name+"-"+key, name)}, nil
}

// ensure builds the program if no other process does.
func (b builder) ensure(ctx context.Context, p program) error {
	dir := filepath.Dir(p.file)
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return fmt.Errorf("make a directory for %s: %w; set %s to a directory that can be written to", p.name, err, CacheEnv)
	}
	lock := flock.New(filepath.Join(dir, "lock"))
	if _, err := lock.TryLockContext(ctx, lockPoll); err != nil {
		return fmt.Errorf("wait for the build of %s by another process: %w", p.name, err)
	}
	defer lock.Close()
	if executable(p.file) { // built while this process waited
		return nil
	}
	return b.build(ctx, p)
}

// build puts the program into its place in one step, so that no other process can see half of it.
func (b builder) build(ctx context.Context, p program) error {
	dir := filepath.Dir(p.file)
	// Only the holder of the lock builds, so an old directory is that of a build that was killed.
	temp := filepath.Join(dir, "building")
	defer os.RemoveAll(temp)
	if err := errors.Join(os.RemoveAll(temp), os.Mkdir(temp, dirMode)); err != nil {
		return fmt.Errorf("make a directory for the build of %s: %w", p.name, err)
	}
	linking, err := p.library.environment(ctx, dir)
	if err != nil {
		return fmt.Errorf("build %s: %w", p.name, err)
	}
	built := filepath.Join(temp, p.name)
	command := b.command(ctx, p.module, append([]string{"build", "-o", built}, p.args...)...)
	command.Env = append(command.Env, linking...)
	if err := runLogged(command, filepath.Join(dir, logName)); err != nil {
		return fmt.Errorf("build %s in tools/%s: %w", p.name, p.module, err)
	}
	if err := os.Rename(built, p.file); err != nil {
		return fmt.Errorf("cache the built %s: %w", p.name, err)
	}
	return nil
}

// runLogged runs a build and keeps all of its output in the log if it fails. The error has the end
// of the output, and the log's name in its last line.
func runLogged(command *exec.Cmd, log string) error {
	file, err := os.Create(log)
	if err != nil {
		return fmt.Errorf("make a log: %w", err)
	}
	command.Stdout, command.Stderr = file, file
	failure := errors.Join(command.Run(), file.Close())
	if failure == nil {
		return os.Remove(log)
	}
	text, err := os.ReadFile(log)
	return errors.Join(fmt.Errorf("%w\n%s\nif a module is missing, run \"go mod download\" there with a network",
		failure, tail(string(text))), err, fmt.Errorf("the whole output of the build is in %s", log))
}

// arguments returns what follows "go build -o FILE".
func (b builder) arguments(ctx context.Context, p part) ([]string, error) {
	flags := []string{"-s", "-w"}
	pins, err := b.pins(ctx, p.module)
	if err != nil {
		return nil, err
	}
	for _, s := range p.stamps {
		version, ok := pins[s.module]
		if !ok {
			return nil, fmt.Errorf("tools/%s/go.mod does not require %s: run \"go mod tidy\" there", p.module, s.module)
		}
		flags = append(flags, "-X", s.variable+"="+s.value(version))
	}
	// -buildvcs=false: a commit of this repository must not change a program that does not come
	// from it.
	args := []string{"-trimpath", "-buildvcs=false", "-ldflags", strings.Join(flags, " ")}
	if p.tags != "" {
		args = append(args, "-tags", p.tags)
	}
	return append(args, p.pkg), nil
}

// pins returns the versions that the module requires, by module path.
func (b builder) pins(ctx context.Context, module string) (map[string]string, error) {
	out, err := b.run(ctx, module, "mod", "edit", "-json")
	if err != nil {
		return nil, err
	}
	type pin struct{ Path, Version string }
	var file struct {
		Require []pin
		Replace []struct{ Old, New pin }
	}
	if err := json.Unmarshal(out, &file); err != nil {
		return nil, fmt.Errorf("read the answer of \"go mod edit -json\" in tools/%s: %w", module, err)
	}
	pins := map[string]string{}
	for _, require := range file.Require {
		pins[require.Path] = require.Version
	}
	for _, replace := range file.Replace {
		pins[replace.Old.Path] = replace.New.Version
	}
	return pins, nil
}

// key changes with everything that the program is made from: the module's own files, the Go release
// and the flags.
func (b builder) key(ctx context.Context, p part, args []string) (string, error) {
	version, err := b.run(ctx, p.module, "env", "GOVERSION")
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	fmt.Fprintf(hash, "%s %q %q\n", bytes.TrimSpace(version), args, environment())
	if p.library != nil {
		fmt.Fprintf(hash, "%q\n", *p.library)
	}
	dir := filepath.Join(b.tools, p.module)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", fmt.Errorf("read the module that pins %s: %w", p.pkg, err)
	}
	for _, entry := range entries {
		if !slices.Contains([]string{".mod", ".sum", ".go"}, filepath.Ext(entry.Name())) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			return "", fmt.Errorf("read a pin: %w", err)
		}
		fmt.Fprintf(hash, "%s %d\n%s", entry.Name(), len(text), text)
	}
	return hex.EncodeToString(hash.Sum(nil))[:keyLength], nil
}

// run runs the go command in a directory under tools and returns what it prints.
func (b builder) run(ctx context.Context, module string, args ...string) ([]byte, error) {
	var stderr bytes.Buffer
	command := b.command(ctx, module, args...)
	command.Stderr = &stderr
	stdout, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s in tools/%s: %w\n%s", args[0], module, err, tail(stderr.String()))
	}
	return stdout, nil
}

// command is the go command in a directory under tools.
func (b builder) command(ctx context.Context, module string, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, "go", args...)
	command.Env = slices.Concat(os.Environ(), environment())
	command.Dir = filepath.Join(b.tools, module)
	return command
}

// environment is without what a build must not inherit: flags meant for this repository, a
// workspace, another target.
func environment() []string {
	return []string{
		"GOFLAGS=-mod=readonly", "GOWORK=off", "CGO_ENABLED=0", "GOOS=" + runtime.GOOS, "GOARCH=" + runtime.GOARCH,
	}
}

func tail(text string) string {
	text = strings.TrimSpace(text)
	if len(text) <= outputTail {
		return text
	}
	return "…" + text[len(text)-outputTail:]
}
