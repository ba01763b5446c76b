package cluster

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

// trialEnv makes this test program enter namespaces with a directory, as Main does, and there run
// trial.
const trialEnv = "PIPELINE_STORAGE_TEST_TRIAL"

// trialExit is an exit code that nothing else has.
const trialExit = 7

func enterTrial() int {
	if os.Getenv(insideEnv) != "" {
		return trial()
	}

	code, refused := enter(os.Getenv(trialEnv), func(int) {})
	if refused != nil {
		fmt.Fprintln(os.Stdout, "refused", refused)
	}

	return code
}

// trial prints who it is and waits for a signal to end.
func trial() int {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)

	network, err := os.Readlink("/proc/self/ns/net")
	fmt.Fprintln(os.Stdout, os.Getpid(), network, err)

	<-signals

	return trialExit
}

func TestNetworkIsIsolated(t *testing.T) {
	t.Parallel()
	requireIsolation(t, "that no packet leaves the machine")

	_, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", "192.0.2.1:80")
	require.ErrorContains(t, err, "network is unreachable")

	devices, err := net.Interfaces()
	require.NoError(t, err)
	require.Len(t, devices, 1)
	assert.Equal(t, "lo", devices[0].Name)
}

func TestPassesSignalsAndExitCode(t *testing.T) {
	t.Parallel()
	requireIsolation(t, "that signals reach the tests")

	command, _, network := startTrial(t)

	own, err := os.Readlink("/proc/self/ns/net")
	require.NoError(t, err)
	assert.NotEqual(t, own, network)

	require.NoError(t, command.Process.Signal(syscall.SIGTERM))
	require.Error(t, command.Wait())
	assert.Equal(t, trialExit, command.ProcessState.ExitCode())
}

func TestInnerProcessDiesWithOuter(t *testing.T) {
	t.Parallel()
	requireIsolation(t, "that a killed test leaves nothing behind")

	command, inner, _ := startTrial(t)

	require.NoError(t, command.Process.Kill())
	require.Error(t, command.Wait())
	require.Eventually(t, func() bool { return !running(inner) }, time.Minute, readyPoll)
}

// startTrial returns the outer process, and the number and the network namespace of the inner one.
func startTrial(t *testing.T) (command *exec.Cmd, inner int, network string) {
	t.Helper()

	program, err := os.Executable()
	require.NoError(t, err)

	command = exec.CommandContext(t.Context(), program)
	command.Env = append(os.Environ(), trialEnv+"="+t.TempDir())

	out, err := command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())

	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)

	fields := strings.Fields(line)
	require.GreaterOrEqual(t, len(fields), 2, line)

	inner, err = strconv.Atoi(fields[0])
	require.NoError(t, err)

	return command, inner, fields[1]
}

// running is false for a zombie too: a process that adopts orphans may be slow to reap them.
func running(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}

	_, state, _ := strings.Cut(string(stat), ") ")

	return !strings.HasPrefix(state, "Z")
}

func TestRetainsLogsOfFailedRuns(t *testing.T) {
	dir, saved := t.TempDir(), filepath.Join(t.TempDir(), "saved")
	t.Setenv(suite.LogsEnv, saved)

	for _, name := range []string{"logs/kubelet.log", "logs/pods/a_b_1/main/0.log", "tmp/plane/etcd.log"} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), dirMode))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(name), fileMode))
	}

	reportLogs(dir)

	for _, name := range []string{"kubelet.log", "a_b_1_main_0.log", "etcd.log"} {
		files, err := filepath.Glob(filepath.Join(saved, "*", name))
		require.NoError(t, err)
		assert.Len(t, files, 1, name)
	}
}
