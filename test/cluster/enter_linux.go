package cluster

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// separate has a process start in a network and a mount namespace of its own.
func separate(attributes *syscall.SysProcAttr) error {
	attributes.Cloneflags = syscall.CLONE_NEWNET | syscall.CLONE_NEWNS
	return nil
}

// isolate prepares the new namespaces of this process: no mount is visible outside, state is in memory, and what the
// controller manager's host-path provisioner creates does not reach the disk.
func isolate(state string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("separate the mounts: %w", err)
	}
	for _, dir := range []string{state, hostPathDir} {
		err := os.MkdirAll(dir, dirMode)
		if err == nil {
			err = unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=0755")
		}
		if err != nil {
			return fmt.Errorf("mount a directory for the state: %w", err)
		}
	}
	return newNetwork()
}

// newNetwork brings the loopback device up and gives it the addresses of the node and of the Service of the API
// server, so that pods reach both here.
func newNetwork() error {
	loopback, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find the loopback device: %w", err)
	}
	failed := []error{netlink.LinkSetUp(loopback)}
	for _, address := range []string{nodeAddress.String(), kubernetesService} {
		failed = append(failed, netlink.AddrAdd(loopback, &netlink.Addr{IPNet: &net.IPNet{
			IP: net.ParseIP(address), Mask: net.CIDRMask(32, 32),
		}}))
	}
	if err := errors.Join(failed...); err != nil {
		return fmt.Errorf("configure the loopback device: %w", err)
	}
	return nil
}
