package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// TestReportsChangesOfMachine changes the namespaces of the tests as a careless run would change
// the machine.
func TestReportsChangesOfMachine(t *testing.T) {
	requireIsolation(t, "that changes of the machine are seen")

	before := inspectMachine()
	require.NoError(t, before.changes(inspectMachine()))

	dir := t.TempDir()
	require.NoError(t, unix.Mount("tmpfs", dir, "tmpfs", 0, ""))
	require.ErrorContains(t, before.changes(inspectMachine()), "the machine has now: mount")
	require.NoError(t, unix.Unmount(dir, 0))
	require.NoError(t, before.changes(inspectMachine()))

	trial := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "trial"}}
	require.NoError(t, netlink.LinkAdd(trial))
	require.ErrorContains(t, before.changes(inspectMachine()), "the machine has now: device trial")
	require.NoError(t, netlink.LinkDel(trial))
	require.NoError(t, before.changes(inspectMachine()))

	const value = "/proc/sys/net/ipv4/conf/lo/forwarding"
	old, err := os.ReadFile(value)
	require.NoError(t, err)

	turned := "1"
	if strings.TrimSpace(string(old)) == turned {
		turned = "0"
	}

	require.NoError(t, os.WriteFile(value, []byte(turned), fileMode))
	require.ErrorContains(t, before.changes(inspectMachine()), "net/ipv4/conf/lo/forwarding = "+turned)
	require.NoError(t, os.WriteFile(value, old, fileMode))
}

// TestReportsRemainsOfRun has processes outlive their run: one that names its directory, and one in
// its namespaces.
func TestReportsRemainsOfRun(t *testing.T) {
	t.Parallel()

	dir := filepath.Join(t.TempDir(), "run")
	start := func(name string, namespaces uintptr) *exec.Cmd {
		command := exec.CommandContext(t.Context(), "sleep", "60")
		command.Args[0] = name
		command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces}
		require.NoError(t, command.Start())

		return command
	}
	end := func(command *exec.Cmd) {
		require.NoError(t, command.Process.Kill())
		require.Error(t, command.Wait())
	}

	requireIsolation(t, "that processes of a run are seen")

	first := start("sleep", syscall.CLONE_NEWNET|syscall.CLONE_NEWNS)
	held := holdNamespaces(first.Process.Pid)

	defer held.close()

	require.ErrorContains(t, remains(dir, held), fmt.Sprintf("the process %d remains: it is in net:", first.Process.Pid))
	end(first)
	require.NoError(t, remains(dir, held))

	second := start("sleep in "+dir, 0)
	require.ErrorContains(t, remains(dir, held),
		fmt.Sprintf("the process %d remains: its cmdline has ", second.Process.Pid))
	end(second)
	require.NoError(t, remains(dir, held))
	require.ErrorContains(t, remains(dir, nil), "are known")
}
