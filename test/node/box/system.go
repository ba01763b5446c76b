package main

import (
	"context"
	"errors"
	"io"
	"math"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

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
	result, failed := []owned{}, []error{}
	for _, path := range args {
		found := owned{Path: path}
		info, err := os.Stat(path)
		if err != nil {
			found.Error = err.Error()
			failed = append(failed, err)
		} else if sys, ok := info.Sys().(*syscall.Stat_t); ok {
			found.User, found.Group, found.Mode = sys.Uid, sys.Gid, info.Mode().String()
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
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return nil, err
	}
	fields := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		fields[name] = strings.TrimSpace(value)
	}
	seccomp, wrong := strconv.Atoi(fields["Seccomp"])
	noNewPrivs, alsoWrong := strconv.Atoi(fields["NoNewPrivs"])
	const trial = "/whoami"
	return identity{
		User: os.Getuid(), Group: os.Getgid(), Groups: groups,
		Seccomp: seccomp, NoNewPrivs: noNewPrivs, Capabilities: fields["CapEff"],
		WritableRoot: os.WriteFile(trial, nil, fileMode) == nil && os.Remove(trial) == nil,
	}, errors.Join(wrong, alsoWrong)
}

func sleep(args []string, _ io.Writer) (any, error) {
	duration, err := durationAt(args, 0, math.MaxInt64)
	ctx, stop := untilSignal()
	defer stop()
	if err == nil {
		wait(ctx, duration)
	}
	return nil, err
}

// durationAt reads an argument that may be missing.
func durationAt(args []string, i int, missing time.Duration) (time.Duration, error) {
	if i >= len(args) {
		return missing, nil
	}
	return time.ParseDuration(args[i])
}

// untilSignal returns a context that ends with the signal that a kubelet sends.
func untilSignal() (ctx context.Context, stop func()) {
	return signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
}

func wait(ctx context.Context, duration time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(duration):
	}
}

// pause is process 1 of a pod or of the node: it holds the namespaces open and waits for orphans.
func pause([]string, io.Writer) (any, error) {
	children := make(chan os.Signal, 1)
	signal.Notify(children, syscall.SIGCHLD)
	ctx, stop := untilSignal()
	defer stop()
	for {
		select {
		case <-children:
			for pid := 1; pid > 0; { // one signal may be for many
				pid, _ = syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
			}
		case <-ctx.Done():
			return nil, nil
		}
	}
}
