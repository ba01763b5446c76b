package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// shellProgram is the image's shell.
const shellProgram = "/bin/gosh"

// owned is what stat reports about a path.
type owned struct {
	Path  string `json:"path"`
	User  uint32 `json:"uid"`
	Group uint32 `json:"gid"`
	Mode  string `json:"mode"`
	Error string `json:"error,omitempty"`
}

// identity is what whoami reports.
type identity struct {
	User   int   `json:"uid"`
	Group  int   `json:"gid"`
	Groups []int `json:"groups"`
	// Seccomp is 2 under a filter.
	Seccomp    int `json:"seccomp"`
	NoNewPrivs int `json:"noNewPrivs"`
	// Capabilities are the effective ones, as a hexadecimal number.
	Capabilities string `json:"capabilities"`
	WritableRoot bool   `json:"writableRoot"`
}

func stat(args []string, _ io.Writer) (any, error) {
	var (
		result []owned
		failed []error
	)

	for _, path := range args {
		info, err := os.Stat(path)
		if err != nil {
			result = append(result, owned{Path: path, Error: err.Error()})
			failed = append(failed, err)

			continue
		}

		found := owned{Path: path, Mode: info.Mode().String()}
		if sys, ok := info.Sys().(*syscall.Stat_t); ok {
			found.User, found.Group = sys.Uid, sys.Gid
		}

		result = append(result, found)
	}

	return result, errors.Join(failed...)
}

func whoami([]string, io.Writer) (any, error) {
	groups, err := os.Getgroups()
	if err != nil {
		return nil, err
	}

	who := identity{User: os.Getuid(), Group: os.Getgid(), Groups: groups}

	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return nil, err
	}

	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)

		switch name {
		case "Seccomp":
			who.Seccomp, err = strconv.Atoi(value)
		case "NoNewPrivs":
			who.NoNewPrivs, err = strconv.Atoi(value)
		case "CapEff":
			who.Capabilities = value
		}

		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
	}

	const trial = "/whoami"
	who.WritableRoot = os.WriteFile(trial, nil, fileMode) == nil && os.Remove(trial) == nil

	return who, nil
}

func sleep(args []string, _ io.Writer) (any, error) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()

	if len(args) == 0 {
		<-ctx.Done()

		return nil, nil
	}

	duration, err := time.ParseDuration(args[0])
	if err != nil {
		return nil, fmt.Errorf("how long: %w", err)
	}

	select {
	case <-ctx.Done():
	case <-time.After(duration):
	}

	return nil, nil
}

// initialize is the first process of the node. It mounts what only a process of the node can,
// reports so, and waits for orphans until it is killed.
func initialize([]string) error {
	const flags = syscall.MS_NOSUID | syscall.MS_NODEV | syscall.MS_NOEXEC

	if err := syscall.Mount("proc", "/proc", "proc", flags, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}

	fmt.Fprintln(os.Stdout, "ready")

	if err := os.Stdout.Close(); err != nil {
		return err
	}

	return reap(make(chan os.Signal))
}

// pause holds a pod's namespaces open.
func pause([]string) error {
	ends := make(chan os.Signal, 1)
	signal.Notify(ends, syscall.SIGTERM, os.Interrupt)

	return reap(ends)
}

// reap waits for processes whose parents have ended, until a signal ends it.
func reap(ends <-chan os.Signal) error {
	children := make(chan os.Signal, 1)
	signal.Notify(children, syscall.SIGCHLD)

	for {
		for {
			pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
			if errors.Is(err, syscall.EINTR) {
				continue
			}

			if pid <= 0 || err != nil {
				break
			}
		}

		select {
		case <-children:
		case <-ends:
			return nil
		}
	}
}

// shell runs a script. It drops the arguments of the script, because gosh would read them as more
// scripts.
func shell(args []string) error {
	if len(args) == 0 {
		return errUsage
	}

	if args[0] != "-c" {
		args = args[:1]
	}

	return syscall.Exec(shellProgram, append([]string{shellProgram}, args...), os.Environ())
}

// makeDirectory is mkdir [-p] [-m MODE] PATH.
func makeDirectory(args []string) error {
	mode, parents := os.FileMode(0o755), false

	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		switch {
		case args[0] == "-p":
			parents = true
		case args[0] == "-m" && len(args) > 1:
			bits, err := strconv.ParseUint(args[1], 8, 32)
			if err != nil {
				return fmt.Errorf("the mode: %w", err)
			}

			mode, args = os.FileMode(bits), args[1:]
		default:
			return fmt.Errorf("mkdir %s: %w", args[0], errUsage)
		}

		args = args[1:]
	}

	for _, path := range args {
		if _, err := os.Stat(path); err == nil && parents {
			continue
		}

		create := os.Mkdir
		if parents {
			create = os.MkdirAll
		}

		if err := errors.Join(create(path, mode), os.Chmod(path, mode)); err != nil {
			return err
		}
	}

	return nil
}

// remove is rm [-rf] PATH.
func remove(args []string) error {
	letters, paths := flags(args)

	for _, path := range paths {
		do := os.Remove
		if slices.Contains(letters, "r") {
			do = os.RemoveAll
		}

		if err := do(path); err != nil && (!slices.Contains(letters, "f") || !errors.Is(err, os.ErrNotExist)) {
			return err
		}
	}

	return nil
}
