package cluster

import (
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// namespaces returns the ways to start a process in namespaces of its own, the best first. In a
// user namespace an ordinary user is root, but the only user: pods then all run as root.
func namespaces() []*syscall.SysProcAttr {
	const wanted = syscall.CLONE_NEWNET | syscall.CLONE_NEWNS

	byUser := &syscall.SysProcAttr{
		Cloneflags:  wanted | syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		Pdeathsig:   syscall.SIGKILL,
	}

	if os.Getuid() != 0 {
		return []*syscall.SysProcAttr{byUser}
	}

	return []*syscall.SysProcAttr{{Cloneflags: wanted, Pdeathsig: syscall.SIGKILL}, byUser}
}

// lockThread keeps this goroutine on its thread until the function that it returns is called.
func lockThread() (unlock func()) {
	runtime.LockOSThread()

	return runtime.UnlockOSThread
}

// isolate prepares the new namespaces of this process: nothing that is mounted is visible outside,
// state is in memory, and there is a network for pods.
func isolate(state string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("separate the mounts: %w", err)
	}

	if err := unix.Mount("tmpfs", state, "tmpfs", 0, "mode=0755"); err != nil {
		return fmt.Errorf("mount a directory for the state: %w", err)
	}

	// What the provisioner creates must not reach the disk.
	if err := os.MkdirAll(hostPathDir, dirMode); err == nil {
		if err := unix.Mount("tmpfs", hostPathDir, "tmpfs", 0, "mode=0755"); err != nil {
			return fmt.Errorf("mount a directory for the volumes of the host: %w", err)
		}
	}

	return newBridge()
}
