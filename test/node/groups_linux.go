package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	groupsDir = "/sys/fs/cgroup"
	procsFile = "cgroup.procs"
	// sweepTimeout is how long the kernel may take to release groups whose processes have ended.
	sweepTimeout = 10 * time.Second
)

// hierarchies returns the mounted ones: one in version 2, one for each controller in version 1.
func hierarchies() []string {
	if unified() {
		return []string{groupsDir}
	}

	files, _ := filepath.Glob(filepath.Join(groupsDir, "*", procsFile))

	var dirs []string

	for _, file := range files {
		// Controllers that are mounted together have a link each.
		if dir, err := filepath.EvalSymlinks(filepath.Dir(file)); err == nil && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}

	return dirs
}

// unified reports whether the machine has version 2 only.
func unified() bool {
	var info unix.Statfs_t

	return unix.Statfs(groupsDir, &info) == nil && info.Type == unix.CGROUP2_SUPER_MAGIC
}

func makeGroups(name string) error {
	dirs := hierarchies()
	if len(dirs) == 0 {
		return fmt.Errorf("no control groups are mounted at %s", groupsDir)
	}

	for _, dir := range dirs {
		if err := os.Mkdir(filepath.Join(dir, name), dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
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

// cleanGroups removes the groups of pods.
func cleanGroups(name string) error { return removeGroups(name, false) }

// Sweep removes the control groups of a node that no longer runs. It fails when processes are in
// one.
func Sweep(name string) error { return removeGroups(name, true) }

func removeGroups(name string, all bool) error {
	deadline := time.Now().Add(sweepTimeout)

	for {
		var failed []error

		for _, dir := range hierarchies() {
			failed = append(failed, removeBelow(filepath.Join(dir, name), all))
		}

		err := errors.Join(failed...)
		if err == nil {
			return nil
		}

		if time.Now().After(deadline) {
			return fmt.Errorf("remove the control groups of the node: %w", err)
		}

		time.Sleep(poll)
	}
}

// removeBelow removes what is below a group, the innermost first, and optionally the group.
func removeBelow(dir string, too bool) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}

	failed := []error{err}

	for _, entry := range entries {
		if entry.IsDir() {
			failed = append(failed, removeBelow(filepath.Join(dir, entry.Name()), true))
		}
	}

	if err := errors.Join(failed...); err != nil || !too {
		return err
	}

	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}

	return nil
}

// Groups returns the control groups whose names begin with prefix, as names.
func Groups(prefix string) []string {
	var names []string

	for _, dir := range hierarchies() {
		found, _ := filepath.Glob(filepath.Join(dir, prefix+"*"))
		for _, path := range found {
			if name := filepath.Base(path); !strings.Contains(name, ".") && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}

	slices.Sort(names)

	return names
}
