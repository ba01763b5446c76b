package process

import (
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestEndsWithKilledParent(t *testing.T) {
	t.Parallel()
	program, err := os.Executable()
	require.NoError(t, err)
	command := exec.CommandContext(t.Context(), program)
	command.Env = append(os.Environ(), killedEnv+"=1")
	out, err := command.Output()
	require.ErrorContains(t, err, "signal: killed")
	pid, err := strconv.Atoi(string(out))
	require.NoError(t, err)
	assert.Eventually(t, func() bool { return !running(pid) }, time.Minute, 10*time.Millisecond)
}

// running reports whether a process exists that is not a zombie.
func running(pid int) bool {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && !strings.Contains(string(text), ") Z ")
}

func TestLaunchRunsOnThreadOfProcess(t *testing.T) {
	t.Parallel()
	var before, last unix.CPUSet
	require.NoError(t, unix.SchedGetaffinity(0, &before))
	for cpu := range 1024 {
		if before.IsSet(cpu) {
			last.Zero()
			last.Set(cpu)
		}
	}
	p, err := Start(Options{Program: "sleep", Args: []string{"600"}, Launch: func(command *exec.Cmd) error {
		if err := unix.SchedSetaffinity(0, &last); err != nil {
			return err
		}
		return command.Start()
	}})
	require.NoError(t, err)
	t.Cleanup(p.Kill)

	var of unix.CPUSet
	require.NoError(t, unix.SchedGetaffinity(p.PID(), &of))
	assert.Equal(t, last, of)
	p.Kill()
	for range 20 { // goroutines on other threads
		wait := make(chan unix.CPUSet)
		go func() {
			runtime.LockOSThread()
			var own unix.CPUSet
			_ = unix.SchedGetaffinity(0, &own)
			wait <- own
		}()
		assert.Equal(t, before, <-wait)
	}
}

func TestLaunchAvoidsMainThread(t *testing.T) {
	t.Parallel()
	for range 20 {
		p, err := Start(Options{Program: "sleep", Args: []string{"600"}, Launch: func(command *exec.Cmd) error {
			assert.NotEqual(t, os.Getpid(), unix.Gettid())
			return command.Start()
		}})
		require.NoError(t, err)
		t.Cleanup(p.Kill)
	}
}

func TestUsageOfRunningProcess(t *testing.T) {
	t.Parallel()
	p := shell(t, "echo started; while true; do :; done")
	started(t, p)
	require.Eventually(t, func() bool {
		used, err := p.Usage()
		return assert.NoError(t, err) && used.CPU > 50*time.Millisecond
	}, time.Minute, 10*time.Millisecond)
	used, err := p.Usage()
	require.NoError(t, err)
	assert.Greater(t, used.Resident, int64(100<<10))
	assert.GreaterOrEqual(t, used.Peak, used.Resident)

	p.Kill()
	ended, err := p.Usage()
	require.NoError(t, err)
	assert.GreaterOrEqual(t, ended.CPU, used.CPU-time.Millisecond)
	assert.Zero(t, ended.Resident)
	assert.GreaterOrEqual(t, ended.Peak, used.Peak)
	_, err = UsageOf(p.PID())
	assert.ErrorContains(t, err, "read the CPU clock of process")
}

func TestCPUTimeMatchesKernel(t *testing.T) {
	for until := time.Now().Add(50 * time.Millisecond); time.Now().Before(until); {
		_ = until // busy
	}
	used, err := UsageOf(os.Getpid())
	require.NoError(t, err)
	var usage syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	assert.InDelta(t, time.Duration(usage.Utime.Nano()+usage.Stime.Nano()).Seconds(), used.CPU.Seconds(), 0.02)
	assert.LessOrEqual(t, float64(used.Peak), 1.1*float64(usage.Maxrss<<10), "the kernel counts in batches")
}

func TestReadsMemoryOfStatus(t *testing.T) {
	for name, test := range map[string]struct {
		status string
		want   int64
	}{
		"in kB":           {"Name:\tx\nVmRSS:\t   1024 kB\n", 1 << 20},
		"in another unit": {"VmRSS:\t1024 MB\n", 0},
		"no number":       {"VmRSS:\tmuch kB\n", 0},
		"of a zombie":     {"Name:\tx\n", 0},
	} {
		t.Run(name, func(t *testing.T) {
			size, err := kibibytes(test.status, "VmRSS:")
			assert.Equal(t, test.want == 0, err != nil)
			assert.Equal(t, test.want, size)
		})
	}
}
