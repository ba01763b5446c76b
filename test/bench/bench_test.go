package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParsesCost(t *testing.T) {
	measured, err := parseCost("1500 2500 2048\n")

	require.NoError(t, err)
	assert.Equal(t, cost{cpu: 1500 * time.Microsecond, wall: 2500 * time.Microsecond, rss: 2 << 20}, measured)
}

func TestRefusesMalformedCost(t *testing.T) {
	for _, line := range []string{"", "1 2\n", "killed\n"} {
		_, err := parseCost(line)
		assert.ErrorContains(t, err, "not three numbers")
	}
}

// A child that is started from here directly would report the ballast as its own peak.
func TestPeakMemoryExcludesHarness(t *testing.T) {
	const size = 64 << 20
	ballast := make([]byte, size)
	for i := range ballast {
		ballast[i] = 1
	}

	peak, err := buildLauncher(t).floor(t.Context())

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

	assert.EqualError(t, err, "sh: exit status 7: no room")
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

// The whole run, with few rounds of the programs that need no pinned tool.
func TestMeasuresSmallStream(t *testing.T) {
	var out strings.Builder
	file := filepath.Join(t.TempDir(), "table.md")

	args := []string{"--only=copy,imports,postrender", "--sizes=small", "--rounds=1", "--markdown=" + file}

	err := run(t.Context(), args, &out)

	require.NoError(t, err)
	assert.Regexp(t, `small +\d+ +postrender( +[\d.]+){9}`, out.String())
	assert.Regexp(t, `RATIO postrender small cpu-vs-copy [\d.]+\n`, out.String())
	markdown, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Regexp(t, `\| small \| \d+ \| copy \| `, string(markdown))
}

func TestCandidateOfFlagIsCopied(t *testing.T) {
	o, err := parse([]string{"--predecessor=/nowhere/postrender"})
	require.NoError(t, err)
	_, err = candidate{name: predecessor}.program(t.Context(), o, t.TempDir())
	assert.ErrorContains(t, err, "--predecessor: read a program: open /nowhere/postrender")
}
