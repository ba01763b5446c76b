package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"

	"github.com/pipeline-storage/pipeline-storage/test/node"
)

const sysctlDir = "/proc/sys"

// kinds are the namespaces that a run has of its own.
var kinds = []string{"net", "mnt"}

// machine is what a run must leave as it was: mounts, devices, routes, values of the kernel.
type machine map[string]bool

func inspectMachine() machine {
	m := machine{}
	m.addMounts()
	m.addNetwork()
	m.addValues()
	return m
}

func (m machine) addMounts() {
	text, err := os.ReadFile("/proc/thread-self/mountinfo")
	if err != nil {
		m["mounts: "+err.Error()] = true
	}
	for line := range strings.Lines(string(text)) {
		m["mount "+strings.TrimSpace(line)] = true
	}
}

func (m machine) addNetwork() {
	links, err := netlink.LinkList()
	if err != nil {
		m["devices: "+err.Error()] = true
	}
	for _, link := range links {
		name := link.Attrs().Name
		m[fmt.Sprintf("device %s %s %s", name, link.Type(), link.Attrs().HardwareAddr)] = true
		addresses, _ := netlink.AddrList(link, netlink.FAMILY_ALL)
		for _, address := range addresses {
			m[fmt.Sprintf("address %s of %s", address.IPNet, name)] = true
		}
	}
	routes, err := netlink.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{}, netlink.RT_FILTER_TABLE)
	if err != nil {
		m["routes: "+err.Error()] = true
	}
	for _, route := range routes {
		m[fmt.Sprintf("route %v by %v device %d table %d", route.Dst, route.Gw, route.LinkIndex, route.Table)] = true
	}
}

// addValues records the values that a kubelet or a network plugin sets. The kernel's own counters
// are no settings.
func (m machine) addValues() {
	for _, dir := range []string{"vm", "kernel", "net", "user", "fs"} {
		values := os.DirFS(sysctlDir)
		_ = fs.WalkDir(values, dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() || isCount(path) {
				return nil //nolint:nilerr // what cannot be read cannot be compared
			}
			if text, err := fs.ReadFile(values, path); err == nil {
				m["value "+path+" = "+strings.TrimSpace(string(text))] = true
			}
			return nil
		})
	}
}

// isCount reports whether a value changes by itself.
func isCount(path string) bool {
	counts := []string{
		"kernel/random/", "kernel/ns_last_pid", "kernel/pty/nr", "kernel/tainted", "fs/dentry-state", "fs/file-nr",
		"fs/inode-",
		"fs/aio-nr", "fs/quota/", "net/netfilter/nf_conntrack_count",
		// Values that the kernel computes itself.
		"kernel/perf_event_max_sample_rate", "kernel/sched_domain/",
	}
	return slices.ContainsFunc(counts, func(prefix string) bool { return strings.HasPrefix(path, prefix) })
}

// changes returns what differs.
func (m machine) changes(now machine) error {
	var all []error
	for _, fact := range slices.Sorted(maps.Keys(m)) {
		if !now[fact] {
			all = append(all, fmt.Errorf("the machine had: %s", fact))
		}
	}
	for _, fact := range slices.Sorted(maps.Keys(now)) {
		if !m[fact] {
			all = append(all, fmt.Errorf("the machine has now: %s", fact))
		}
	}
	return errors.Join(all...)
}

// namespacesOfRun are held open, so that the kernel does not reuse their names.
type namespacesOfRun []*os.File

func holdNamespaces(pid int) namespacesOfRun {
	var held namespacesOfRun
	for _, kind := range kinds {
		if file, err := os.Open(fmt.Sprintf("/proc/%d/ns/%s", pid, kind)); err == nil {
			held = append(held, file)
		}
	}
	return held
}

func (n namespacesOfRun) close() {
	for _, file := range n {
		_ = file.Close()
	}
}

func (n namespacesOfRun) names() []string {
	var names []string
	for _, file := range n {
		if name, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", file.Fd())); err == nil {
			names = append(names, name)
		}
	}
	return names
}

// remains returns what a run has left behind: control groups, and processes in its namespaces, in
// its groups, or with its directory in their command line or among their mounts.
func remains(dir string, namespaces namespacesOfRun) error {
	var all []error
	for _, name := range node.Groups(groupOf(dir)) {
		all = append(all, fmt.Errorf("the control group %s remains", name))
	}
	names := namespaces.names()
	if len(names) != len(kinds) {
		all = append(all, fmt.Errorf("of the namespaces of the run only %q are known", names))
	}
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, process := range processes {
		if process == fmt.Sprintf("/proc/%d", os.Getpid()) {
			continue
		}
		if why := belongs(process, dir, names); why != "" {
			all = append(all, fmt.Errorf("the process %s remains: %s", filepath.Base(process), why))
		}
	}
	return errors.Join(all...)
}

// belongs returns why a process belongs to a run, or an empty text.
func belongs(process, dir string, namespaces []string) string {
	for _, kind := range kinds {
		if name, err := os.Readlink(process + "/ns/" + kind); err == nil && slices.Contains(namespaces, name) {
			return "it is in " + name
		}
	}
	for _, file := range []string{"cmdline", "mountinfo", "cgroup"} {
		if text, err := os.ReadFile(filepath.Join(process, file)); err == nil && strings.Contains(string(text), dir) {
			return "its " + file + " has " + dir
		}
	}
	if text, err := os.ReadFile(process + "/cgroup"); err == nil && strings.Contains(string(text), groupOf(dir)) {
		return "it is in the control group of the run"
	}
	return ""
}
