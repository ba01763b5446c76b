package controlplane

import (
	"bufio"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What only Linux has: processes that end with their parent, and all addresses of 127.0.0.0/8.

func TestEndsWithKilledTestProgram(t *testing.T) {
	t.Parallel()

	program, err := os.Executable()
	require.NoError(t, err)

	var stderr strings.Builder

	command := exec.CommandContext(t.Context(), program)
	command.Stderr = &stderr
	command.Env = append(os.Environ(), abandonEnv+"=1")

	out, err := command.Output()
	require.ErrorContains(t, err, "signal: killed", "%s", &stderr)

	lines := bufio.NewScanner(strings.NewReader(string(out)))
	require.True(t, lines.Scan(), "%s", &stderr)
	dir := lines.Text()

	var pids []int

	for lines.Scan() {
		pid, err := strconv.Atoi(lines.Text())
		require.NoError(t, err)

		pids = append(pids, pid)
	}

	require.Len(t, pids, 2)

	for _, pid := range pids {
		assert.Eventually(t, func() bool { return !running(pid) }, time.Minute, readyPoll, "process %d should not exist", pid)
	}

	require.DirExists(t, dir, "a killed program cannot remove its directory")
	require.NoError(t, Require(t).Stop())
	assert.NoDirExists(t, dir, "the next start should remove it")
}

func TestAdditionalAddress(t *testing.T) {
	t.Parallel()

	// Linux answers on all of 127.0.0.0/8, so this needs no additional interface.
	const address = "127.0.0.2"

	plane := RequireWith(t, Options{Address: address})

	client, err := plane.Client()
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, status(t, client, strings.Replace(plane.Host, loopback, address, 1)+"/readyz"))
	assert.Equal(t, http.StatusOK, status(t, client, plane.Host+"/readyz"))
}
