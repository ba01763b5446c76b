package main

import (
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCPUTimeMatchesKernel(t *testing.T) {
	before, err := cpuTime(os.Getpid())
	require.NoError(t, err)
	for until := time.Now().Add(50 * time.Millisecond); time.Now().Before(until); {
		_ = until // busy
	}
	after, err := cpuTime(os.Getpid())
	require.NoError(t, err)

	var usage syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	charged := time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	assert.Greater(t, after, before)
	assert.InDelta(t, charged.Seconds(), after.Seconds(), 0.02)
}

func TestCPUTimeOfUnknownProcess(t *testing.T) {
	_, err := cpuTime(1 << 24)
	assert.ErrorContains(t, err, "read the CPU clock of process 16777216")
}
