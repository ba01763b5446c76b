package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC
	sysctlDir  = "/run/sysctl"
)

// sysctls are values of the whole kernel that the kubelet sets when they differ. It sees files with
// the values that it wants.
var sysctls = map[string]string{
	"vm.overcommit_memory":      "1",
	"vm.panic_on_oom":           "0",
	"kernel.panic":              "10",
	"kernel.panic_on_oops":      "1",
	"kernel.keys.root_maxkeys":  "1000000",
	"kernel.keys.root_maxbytes": "25000000",
}

// The main goroutine has the main thread for itself: that one stands for the whole process in /proc, so it must not
// enter a namespace, and it cannot end.
func init() { runtime.LockOSThread() }

// isolate starts the first process of the node, in namespaces that this thread gets for it. The thread must not be
// used for anything else.
func (n *Node) isolate(first *exec.Cmd) error {
	if err := unix.Unshare(namespaces); err != nil {
		return fmt.Errorf("make namespaces for the node: %w", err)
	}
	if err := unix.Sethostname([]byte(n.options.Name)); err != nil {
		return fmt.Errorf("name the node: %w", err)
	}
	for _, m := range n.mounts() {
		if err := m.do(); err != nil {
			return err
		}
	}
	if err := enterRoot(n.options.Dir); err != nil {
		return fmt.Errorf("enter the root of the node: %w", err)
	}
	return first.Start()
}

// mount has the arguments of mount(2).
type mount struct {
	source, target, kind string
	flags                uintptr
	data                 string
}

func (m mount) do() error {
	if err := unix.Mount(m.source, m.target, m.kind, m.flags, m.data); err != nil {
		return fmt.Errorf("mount %s for the node: %w", m.target, err)
	}
	return nil
}

// mounts make the root file system.
func (n *Node) mounts() []mount {
	root := n.options.Dir
	all := []mount{
		{"", "/", "", unix.MS_REC | unix.MS_PRIVATE, ""},
		{root, root, "", unix.MS_BIND, ""},
		{"/sys", n.Path("/sys"), "", unix.MS_BIND | unix.MS_REC, ""},
		{"/dev", n.Path("/dev"), "", unix.MS_BIND | unix.MS_REC, ""},
		{"tmpfs", n.Path("/dev/shm"), "tmpfs", 0, "mode=0755"},
		{"tmpfs", n.Path("/run"), "tmpfs", 0, "mode=0755"},
		{n.podLogs(), n.Path(podLogs), "", unix.MS_BIND, ""},
	}
	for _, dir := range n.visibleDirs() {
		all = append(all,
			mount{dir, n.Path(dir), "", unix.MS_BIND | unix.MS_REC, ""},
			mount{"", n.Path(dir), "", unix.MS_BIND | unix.MS_REMOUNT | unix.MS_RDONLY, ""})
	}
	return all
}

// enterRoot makes a directory the root of this mount namespace. The kubelet shares mounts with containers.
func enterRoot(dir string) error {
	if err := os.Chdir(dir); err != nil {
		return err
	}
	// The old root ends up above the new one, and is unmounted.
	if err := unix.PivotRoot(".", "."); err != nil {
		return err
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return err
	}
	return errors.Join(os.Chdir("/"), mount{"", "/", "", unix.MS_REC | unix.MS_SHARED, ""}.do())
}

// mountKernel mounts /proc, which only a process of the node can do, and hides sysctls there.
func (n *Node) mountKernel(ctx context.Context) error {
	if _, err := n.Run(ctx, "/bin/mount", "-t", "proc", "-o", "nosuid,nodev,noexec", "proc", "/proc"); err != nil {
		return err
	}
	return n.Within(func() error {
		if err := os.MkdirAll(sysctlDir, dirMode); err != nil {
			return err
		}
		for name, value := range sysctls {
			file, target := filepath.Join(sysctlDir, name), filepath.Join("/proc/sys", strings.ReplaceAll(name, ".", "/"))
			if err := os.WriteFile(file, []byte(value+"\n"), fileMode); err != nil {
				return err
			}
			if _, err := os.Stat(target); err != nil {
				continue // this kernel has no such value
			}
			if err := (mount{file, target, "", unix.MS_BIND, ""}).do(); err != nil {
				return err
			}
		}
		return nil
	})
}

// enter moves this thread into the node. It must not be used for anything else after.
func (n *Node) enter() error {
	first, err := n.first()
	if err != nil {
		return err
	}
	descriptor, err := unix.PidfdOpen(first, 0)
	if err != nil {
		return fmt.Errorf("enter the node: %w", err)
	}
	defer unix.Close(descriptor)
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("enter the node: %w", err)
	}
	if err := unix.Setns(descriptor, namespaces); err != nil {
		return fmt.Errorf("enter the node: %w", err)
	}
	return nil
}

// TryOverlay returns why nothing can be mounted by overlayfs below a directory, or nil. It changes the mount namespace
// of this process for a moment.
func TryOverlay(dir string) error {
	for _, name := range []string{"lower", "upper", "work", "merged"} {
		if err := os.MkdirAll(filepath.Join(dir, name), dirMode); err != nil {
			return err
		}
	}
	merged := filepath.Join(dir, "merged")
	options := fmt.Sprintf("lowerdir=%s/lower,upperdir=%[1]s/upper,workdir=%[1]s/work", dir)
	if err := unix.Mount("overlay", merged, "overlay", 0, options); err != nil {
		return fmt.Errorf("this kernel has no overlayfs, or not on the file system of %s: %w", dir, err)
	}
	return unix.Unmount(merged, 0)
}
