package cluster

import (
	"bufio"
	"fmt"
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

func TestRemovesDirectoriesOfKilledRuns(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())

	dead := filepath.Join(os.TempDir(), dirPrefix+"dead")
	require.NoError(t, os.MkdirAll(dead, dirMode))

	living, releaseLiving, err := newDir()
	require.NoError(t, err)
	assert.NoDirExists(t, dead)

	_, releaseOther, err := newDir()
	require.NoError(t, err)
	assert.DirExists(t, living)

	require.NoError(t, releaseOther())
	require.NoError(t, releaseLiving())
	assert.NoDirExists(t, living)
}

func TestReportsBuildFailure(t *testing.T) {
	t.Parallel()

	err := build(t.Context(), "./testdata/missing", filepath.Join(t.TempDir(), "missing"))
	require.ErrorContains(t, err, "build ./testdata/missing for the cluster")
	require.ErrorContains(t, err, "directory not found")
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

func TestRetainsLogsOfKilledTests(t *testing.T) {
	dir, saved := t.TempDir(), filepath.Join(t.TempDir(), "saved")
	t.Setenv(LogsEnv, saved)

	for _, name := range []string{"logs/pod.log", "tmp/plane/etcd.log"} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), dirMode))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(name), fileMode))
	}

	salvage(dir, 0)
	assert.NoDirExists(t, saved, "the tests passed")

	require.NoError(t, os.WriteFile(filepath.Join(dir, reportedFile), nil, fileMode))
	salvage(dir, exitFailure)
	assert.NoDirExists(t, saved, "the tests reported themselves")

	require.NoError(t, os.Remove(filepath.Join(dir, reportedFile)))
	salvage(dir, exitFailure)
	assert.FileExists(t, filepath.Join(saved, "pod.log"))
	assert.FileExists(t, filepath.Join(saved, "etcd.log"))
}
