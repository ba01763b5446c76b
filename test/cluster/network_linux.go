package cluster

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

const (
	bridgeName = "pods"
	podDevice  = "eth0"
	linkPolls  = 5000
)

// links numbers the ends of pods at the bridge.
var links atomic.Int64

// newBridge brings the loopback device up and makes the bridge that all pods are at.
func newBridge() error {
	loopback, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find the loopback device: %w", err)
	}

	if err := netlink.LinkSetUp(loopback); err != nil {
		return fmt.Errorf("bring the loopback device up: %w", err)
	}

	attributes := netlink.NewLinkAttrs()
	attributes.Name = bridgeName

	bridge := &netlink.Bridge{LinkAttrs: attributes}
	if err := netlink.LinkAdd(bridge); err != nil {
		return fmt.Errorf("make a bridge for the pods: %w", err)
	}

	if err := addAddress(netlink.AddrAdd, bridge, gateway); err != nil {
		return err
	}

	if err := netlink.LinkSetUp(bridge); err != nil {
		return fmt.Errorf("bring the bridge for the pods up: %w", err)
	}

	// One pod as a trial: where links between namespaces are not allowed, the run must learn it
	// before a test does.
	trial, err := newSandbox(gateway.Next())
	if err != nil {
		return err
	}

	return trial.close()
}

func addAddress(add func(netlink.Link, *netlink.Addr) error, link netlink.Link, address netip.Addr) error {
	network := &net.IPNet{
		IP: address.AsSlice(), Mask: net.CIDRMask(podNetwork.Bits(), podNetwork.Addr().BitLen()),
	}
	if err := add(link, &netlink.Addr{IPNet: network}); err != nil {
		return fmt.Errorf("give the address %s: %w", address, err)
	}

	return nil
}

// addService gives the address of a Service to the loopback device of this network namespace, so
// that pods reach it here.
func addService(address string) error {
	loopback, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find the loopback device: %w", err)
	}

	to, err := netlink.ParseAddr(address + "/32")
	if err != nil {
		return err
	}

	if err := netlink.AddrAdd(loopback, to); err != nil {
		return fmt.Errorf("give the address %s: %w", address, err)
	}

	return nil
}

// sandbox is the network namespace of a pod. It outlives the pod's processes, as it does on a node:
// between two of them a connection is refused and does not hang.
type sandbox struct {
	namespace *os.File
	link      netlink.Link
}

// newSandbox makes a network namespace with a link to the bridge.
func newSandbox(address netip.Addr) (*sandbox, error) {
	namespace, err := newNamespace()
	if err != nil {
		return nil, err
	}

	s := &sandbox{namespace: namespace}
	if err := s.connect(address); err != nil {
		_ = namespace.Close()

		return nil, fmt.Errorf("connect a pod to the network: %w", err)
	}

	return s, nil
}

func (s *sandbox) close() error {
	if s == nil {
		return nil
	}

	// Closed first, the link is removed with the namespace only some time later.
	if err := netlink.LinkDel(s.link); err != nil {
		return fmt.Errorf("remove the link of a pod: %w", err)
	}

	return s.namespace.Close()
}

// newNamespace makes a network namespace on a thread that ends then: no other goroutine may ever
// run in there.
func newNamespace() (*os.File, error) {
	type result struct {
		file *os.File
		err  error
	}

	made := make(chan result)

	go func() {
		runtime.LockOSThread() // never unlocked: so the thread ends with the goroutine

		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			made <- result{err: fmt.Errorf("make a network namespace: %w", err)}

			return
		}

		file, err := os.Open("/proc/thread-self/ns/net")
		made <- result{file: file, err: err}
	}()

	r := <-made

	return r.file, r.err
}

func (s *sandbox) connect(address netip.Addr) error {
	bridge, err := netlink.LinkByName(bridgeName)
	if err != nil {
		return err
	}

	attributes := netlink.NewLinkAttrs()
	attributes.Name = fmt.Sprintf("pod%d", links.Add(1))
	attributes.MasterIndex = bridge.Attrs().Index

	// The same hardware address for the same IP address, so that the caches of neighbors stay
	// right.
	octets := address.As4()
	hardware := net.HardwareAddr{2, 0, octets[0], octets[1], octets[2], octets[3]}

	s.link = &netlink.Veth{
		LinkAttrs: attributes, PeerName: podDevice, PeerHardwareAddr: hardware,
		PeerNamespace: netlink.NsFd(int(s.namespace.Fd())),
	}
	if err := netlink.LinkAdd(s.link); err != nil {
		return err
	}

	if err := netlink.LinkSetUp(s.link); err != nil {
		return err
	}

	if err := s.configure(address); err != nil {
		return err
	}

	return s.awaitUp()
}

// awaitUp waits until the bridge passes packets to the pod. Before that, the first packet would be
// lost, and sent again only after a second.
func (s *sandbox) awaitUp() error {
	for range linkPolls {
		link, err := netlink.LinkByName(s.link.Attrs().Name)
		if err != nil {
			return err
		}

		if link.Attrs().OperState == netlink.OperUp {
			return nil
		}

		time.Sleep(time.Millisecond)
	}

	return errors.New("the link did not come up")
}

// configure sets up the inside of the namespace.
func (s *sandbox) configure(address netip.Addr) error {
	in, err := netlink.NewHandleAt(netns.NsHandle(int(s.namespace.Fd())), unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer in.Close()

	for _, name := range []string{"lo", podDevice} {
		link, err := in.LinkByName(name)
		if err != nil {
			return err
		}

		if name == podDevice {
			if err := addAddress(in.AddrAdd, link, address); err != nil {
				return err
			}
		}

		if err := in.LinkSetUp(link); err != nil {
			return err
		}
	}

	return in.RouteAdd(&netlink.Route{Gw: gateway.AsSlice()})
}
