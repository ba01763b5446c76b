package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
)

const (
	groupsDir = "/sys/fs/cgroup"
	// sweepTimeout is how long the kernel may take to release groups whose processes have ended.
	sweepTimeout = 10 * time.Second
	sweepPoll    = 20 * time.Millisecond
)

// Supported returns in one sentence what a node needs and this machine does not allow, or nil. group is a name for a
// control group, which is removed again. TryOverlay completes it, in a mount namespace of the caller's own.
func Supported(group string) error {
	if os.Geteuid() != 0 {
		return errors.New("only root can run a node")
	}
	text, err := os.ReadFile("/proc/self/uid_map")
	if fields := strings.Fields(string(text)); err != nil || len(fields) != 3 || fields[2] == "1" {
		return errors.New("a node needs users other than root, and this user namespace has none")
	}
	if err := errors.Join(makeGroups(group), Sweep(group)); err != nil {
		return fmt.Errorf("this machine gives its root no control groups: %w", err)
	}
	return nil
}

// hierarchies returns the mounted ones: one in version 2, one for each controller in version 1.
func hierarchies() []string {
	if _, err := os.Stat(filepath.Join(groupsDir, "cgroup.controllers")); err == nil {
		return []string{groupsDir}
	}
	var dirs []string
	files, _ := filepath.Glob(filepath.Join(groupsDir, "*", "cgroup.procs"))
	for _, file := range files {
		// Controllers that are mounted together have a link each.
		if dir, err := filepath.EvalSymlinks(filepath.Dir(file)); err == nil && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

func makeGroups(name string) error {
	dirs := hierarchies()
	if len(dirs) == 0 {
		return fmt.Errorf("no control groups are mounted at %s", groupsDir)
	}
	for _, dir := range dirs {
		if err := os.MkdirAll(filepath.Join(dir, name), dirMode); err != nil {
			return fmt.Errorf("make a control group: %w", err)
		}
		// In version 1 these begin empty, and nothing can run then.
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			text, err := os.ReadFile(filepath.Join(dir, file))
			if err != nil {
				continue
			}
			if err := os.WriteFile(filepath.Join(dir, name, file), text, fileMode); err != nil {
				return fmt.Errorf("prepare a control group: %w", err)
			}
		}
	}
	return nil
}

// Sweep removes the control groups of a node that no longer runs. It fails when processes are in
// one.
func Sweep(name string) error {
	var failed error
	_ = wait.PollUntilContextTimeout(context.Background(), sweepPoll, sweepTimeout, true,
		func(context.Context) (bool, error) {
			failed = nil
			for _, dir := range hierarchies() {
				failed = errors.Join(failed, removeGroup(filepath.Join(dir, name)))
			}
			return failed == nil, nil
		})
	if failed != nil {
		return fmt.Errorf("remove the control groups of the node: %w", failed)
	}
	return nil
}

// removeGroup removes a group and all below, the innermost first.
func removeGroup(dir string) error {
	var groups []string
	_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			groups = append(groups, path)
		}
		return nil // an error means that the group does not exist, or not any more
	})
	var failed error
	for _, group := range slices.Backward(groups) {
		if err := os.Remove(group); !errors.Is(err, fs.ErrNotExist) {
			failed = errors.Join(failed, err)
		}
	}
	return failed
}

// Groups returns the control groups whose names begin with prefix, as paths.
func Groups(prefix string) []string {
	var all []string
	for _, dir := range hierarchies() {
		found, _ := filepath.Glob(filepath.Join(dir, prefix+"*"))
		all = append(all, found...)
	}
	return all
}

// Process is a process of a pod, as the machine sees it.
type Process struct {
	PID int
	// Name is that of its program, cut off after 15 letters.
	Name string
}

// Processes returns the processes of a pod without the one that holds its namespaces. A pod without any is an error.
func (n *Node) Processes(pod types.UID) ([]Process, error) {
	var all []Process
	groups, _ := filepath.Glob("/proc/[0-9]*/cgroup")
	for _, group := range groups {
		text, err := os.ReadFile(group)
		if err != nil || !strings.Contains(string(text), podGroup(pod)+"/") {
			continue // it has ended meanwhile, or is another's
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(group)))
		if err != nil {
			return nil, err
		}
		name, err := os.ReadFile(filepath.Join(filepath.Dir(group), "comm"))
		if p := (Process{PID: pid, Name: strings.TrimSpace(string(name))}); err == nil && p.Name != "pause" {
			all = append(all, p)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("the pod %s does not run", pod)
	}
	return all, nil
}

func podGroup(pod types.UID) string { return "pod" + string(pod) }

// Memory returns the bytes that the kernel counts for a pod, all its containers together, with the page cache.
func (n *Node) Memory(pod types.UID) (int64, error) {
	for _, dir := range hierarchies() {
		// The path depends on the pod's quality of service, the file on the version.
		for _, pattern := range []string{"", "*"} {
			files, _ := filepath.Glob(filepath.Join(dir, n.options.Group, "kubepods", pattern, podGroup(pod), "memory.*"))
			for _, file := range files {
				if name := filepath.Base(file); name != "memory.current" && name != "memory.usage_in_bytes" {
					continue
				}
				text, err := os.ReadFile(file)
				if err != nil {
					return 0, fmt.Errorf("read the memory of the pod %s: %w", pod, err)
				}
				return strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
			}
		}
	}
	return 0, fmt.Errorf("the pod %s has no control group: it does not run", pod)
}
