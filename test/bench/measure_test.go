package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParsesCost(t *testing.T) {
	code, measured, err := parseCost("3 1500 2500 2048\n")

	require.NoError(t, err)
	assert.Equal(t, 3, code)
	assert.Equal(t, cost{cpu: 1500 * time.Microsecond, wall: 2500 * time.Microsecond, rss: 2 << 20}, measured)
}

func TestRefusesMalformedCost(t *testing.T) {
	for _, line := range []string{"", "0 1 2\n", "killed\n"} {
		_, _, err := parseCost(line)
		assert.ErrorContains(t, err, "not four numbers")
	}
}

// A child that is started from here directly would report the ballast as its own peak.
func TestPeakMemoryExcludesHarness(t *testing.T) {
	const size = 64 << 20
	ballast := make([]byte, size)
	for i := range ballast {
		ballast[i] = 1
	}

	peak, err := floor(t.Context(), buildLauncher(t))

	require.NoError(t, err)
	assert.Less(t, peak, int64(size/4))
	assert.Positive(t, peak)
	assert.Equal(t, byte(1), ballast[size-1]) // alive until here
}

func TestRunConnectsFiles(t *testing.T) {
	dir := t.TempDir()
	stdin, stdout := filepath.Join(dir, "stdin"), filepath.Join(dir, "stdout")
	require.NoError(t, os.WriteFile(stdin, []byte("through\n"), 0o600))

	_, err := buildLauncher(t).run(t.Context(), candidate{name: "cat", path: "/bin/cat"}, stdin, stdout)

	require.NoError(t, err)
	out, err := os.ReadFile(stdout)
	require.NoError(t, err)
	assert.Equal(t, "through\n", string(out))
}

func TestRunReturnsErrorOfProgram(t *testing.T) {
	failing := candidate{name: "sh", path: "/bin/sh", args: []string{"-c", "echo no room >&2; exit 7"}}

	_, err := buildLauncher(t).run(t.Context(), failing, os.DevNull, os.DevNull)

	assert.EqualError(t, err, "sh ended with exit code 7: no room")
}

func TestRunReturnsErrorForMissingProgram(t *testing.T) {
	missing := candidate{name: "nothing", path: filepath.Join(t.TempDir(), "nothing")}

	_, err := buildLauncher(t).run(t.Context(), missing, os.DevNull, os.DevNull)

	assert.ErrorContains(t, err, "no such file")
}

func buildLauncher(t *testing.T) launcher {
	t.Helper()
	path, err := build(t.Context(), launcherPackage, t.TempDir())
	require.NoError(t, err)
	return launcher{path: path}
}
