package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Supported tries what a node needs and returns in one sentence what the machine does not allow, or
// nil. dir is a directory for trials, group a name for a control group, which is removed again.
func Supported(dir, group string) error {
	if os.Geteuid() != 0 {
		return errors.New("only root can run a node")
	}

	if text, err := os.ReadFile("/proc/self/uid_map"); err != nil || len(strings.Fields(string(text))) != 3 ||
		strings.Fields(string(text))[2] == "1" {
		return errors.New("a node needs users other than root, and this user namespace has none")
	}

	if err := errors.Join(makeGroups(group), Sweep(group)); err != nil {
		return fmt.Errorf("this machine gives its root no control groups: %w", err)
	}

	refused := make(chan error)

	onThread(func() { refused <- tryNamespaces(dir) })

	return <-refused
}

// tryNamespaces needs a thread of its own, which ends then.
func tryNamespaces(dir string) error {
	const wanted = unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC

	if err := unix.Unshare(wanted); err != nil {
		return fmt.Errorf("this machine allows no namespaces: %w", err)
	}

	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("this machine allows no mounts: %w", err)
	}

	for _, name := range []string{"lower", "upper", "work", "merged"} {
		if err := os.MkdirAll(filepath.Join(dir, name), dirMode); err != nil {
			return err
		}
	}

	options := fmt.Sprintf("lowerdir=%s/lower,upperdir=%[1]s/upper,workdir=%[1]s/work", dir)
	if err := unix.Mount("overlay", filepath.Join(dir, "merged"), "overlay", 0, options); err != nil {
		return fmt.Errorf("this kernel has no overlayfs, or not on the file system of %s: %w", dir, err)
	}

	if err := unix.Unmount(filepath.Join(dir, "merged"), 0); err != nil {
		return fmt.Errorf("this machine allows no mounts: %w", err)
	}

	return nil
}
