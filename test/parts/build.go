package parts

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
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
)

// builder builds parts from the modules in tools into cache.
type builder struct {
	tools string
	cache string
}

// path returns the path of the part, after building it if it does not exist yet.
func (b builder) path(ctx context.Context, name string, p part) (string, error) {
	args, err := b.arguments(ctx, p)
	if err != nil {
		return "", fmt.Errorf("prepare to build %s: %w", name, err)
	}

	key, err := b.key(ctx, p, args)
	if err != nil {
		return "", fmt.Errorf("prepare to build %s: %w", name, err)
	}

	dir := filepath.Join(b.cache, name+"-"+key)
	file := filepath.Join(dir, name)

	if executable(file) {
		return file, nil
	}

	if err := os.MkdirAll(dir, dirMode); err != nil {
		return "",
			fmt.Errorf("make a directory for %s: %w; set %s to a directory that can be written to", name, err, CacheEnv)
	}

	lock := flock.New(filepath.Join(dir, "lock"))
	if _, err := lock.TryLockContext(ctx, lockPoll); err != nil {
		return "", fmt.Errorf("wait for the build of %s by another process: %w", name, err)
	}
	defer lock.Close()

	if executable(file) { // built while this process waited
		return file, nil
	}

	return file, b.build(ctx, p, args, file)
}

// build puts the program at file in one step, so that no other process can see half of it.
func (b builder) build(ctx context.Context, p part, args []string, file string) error {
	temp, err := tempDir(filepath.Dir(file))
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)

	built := filepath.Join(temp, filepath.Base(file))
	args = append([]string{"build", "-o", built}, args...)

	linking, err := p.library.environment(ctx, filepath.Dir(file))
	if err != nil {
		return fmt.Errorf("build %s: %w", filepath.Base(file), err)
	}

	if _, err := b.runWith(ctx, linking, p.module, args...); err != nil {
		return fmt.Errorf("build %s: %w; if a module is missing, run \"go mod download\" in tools/%s with a network",
			filepath.Base(file), err, p.module)
	}

	if err := os.Rename(built, file); err != nil {
		return fmt.Errorf("cache the built %s: %w", filepath.Base(file), err)
	}

	return nil
}

// tempDir makes a directory for a build and removes those of builds that were killed. Only the
// holder of the lock may call it, so no live build can own one of them.
func tempDir(dir string) (string, error) {
	const prefix = "building-"

	dead, err := filepath.Glob(filepath.Join(dir, prefix+"*"))
	if err != nil {
		return "", fmt.Errorf("list the remains of earlier builds: %w", err)
	}

	for _, old := range dead {
		if err := os.RemoveAll(old); err != nil {
			return "", fmt.Errorf("remove the remains of an earlier build: %w", err)
		}
	}

	temp, err := os.MkdirTemp(dir, prefix)
	if err != nil {
		return "", fmt.Errorf("make a directory for the build: %w", err)
	}

	return temp, nil
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

		if err := hashFile(hash, filepath.Join(dir, entry.Name())); err != nil {
			return "", err
		}
	}

	return hex.EncodeToString(hash.Sum(nil))[:keyLength], nil
}

func hashFile(hash io.Writer, path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read a pin: %w", err)
	}

	fmt.Fprintf(hash, "%s %d\n%s", filepath.Base(path), len(text), text)

	return nil
}

// run runs the go command in a directory under tools and returns what it prints.
func (b builder) run(ctx context.Context, module string, args ...string) ([]byte, error) {
	return b.runWith(ctx, nil, module, args...)
}

// runWith is run with additional variables in the environment.
func (b builder) runWith(ctx context.Context, more []string, module string, args ...string) ([]byte, error) {
	var stdout, stderr bytes.Buffer

	command := exec.CommandContext(ctx, "go", args...)
	command.Env = slices.Concat(os.Environ(), environment(), more)
	command.Dir = filepath.Join(b.tools, module)
	command.Stdout = &stdout
	command.Stderr = &stderr

	if err := command.Run(); err != nil {
		return nil, fmt.Errorf("go %s in tools/%s: %w\n%s", args[0], module, err, tail(stderr.String()))
	}

	return stdout.Bytes(), nil
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
