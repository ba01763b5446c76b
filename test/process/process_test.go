package process

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// shell starts a shell with a script.
func shell(t *testing.T, script string) *Process {
	t.Helper()
	p, err := Start(Options{
		Program: "sh", Args: []string{"-c", script}, Name: "part", Log: filepath.Join(t.TempDir(), "part.log"),
		Env: []string{"PATH=" + os.Getenv("PATH")},
	})
	require.NoError(t, err)
	t.Cleanup(p.Kill)
	return p
}

// started returns when the script has printed "started".
func started(t *testing.T, p *Process) {
	t.Helper()
	require.NoError(t, p.WaitReady(t.Context(), func(context.Context) error {
		if text, err := os.ReadFile(p.Log); err != nil || !strings.Contains(string(text), "started") {
			return errors.New("it has not printed a word")
		}
		return nil
	}))
}

func ready(context.Context) error { return nil }

func TestReportsWhyProcessEnded(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ script, want string }{
		"with an exit code": {"echo one; echo two >&2; exit 3", "part ended: exit status 3\nend of the log of part, "},
		"by a signal":       {"kill -KILL $$", "part ended: signal: killed"},
		"without an error":  {"true", "part ended without an error"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := shell(t, test.script)
			<-p.Done()

			assert.True(t, p.Exited())
			require.ErrorContains(t, p.ExitError(), test.want)
			if exit, ok := errors.AsType[*exec.ExitError](p.ExitError()); ok {
				assert.False(t, exit.Success())
			}
			assert.ErrorIs(t, p.Signal(syscall.SIGTERM), os.ErrProcessDone)
		})
	}
}

func TestRunningProcessHasNoExitError(t *testing.T) {
	t.Parallel()
	p := shell(t, "echo started; exec sleep 600")
	started(t, p)
	assert.False(t, p.Exited())
	require.NoError(t, p.ExitError())
	p.Kill()
	require.ErrorContains(t, p.ExitError(), "signal: killed")
	p.Kill() // again, without effect
}

func TestStartReportsFailure(t *testing.T) {
	t.Parallel()
	torn := errors.New("torn")
	for name, test := range map[string]struct {
		options Options
		want    string
	}{
		"of the program": {Options{Program: "/nowhere/etcd"}, "start etcd: fork/exec /nowhere/etcd: no such file"},
		"of the log":     {Options{Program: "true", Log: "/nowhere/log"}, "make a log for true: open /nowhere/log"},
		"of Launch":      {Options{Program: "true", Launch: func(*exec.Cmd) error { return torn }}, "start true: torn"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Start(test.options)
			assert.ErrorContains(t, err, test.want)
		})
	}
}

func TestContinuesLog(t *testing.T) {
	t.Parallel()
	options := Options{Program: "sh", Log: filepath.Join(t.TempDir(), "log")}
	for _, word := range []string{"one", "two"} {
		options.Args = []string{"-c", "echo " + word}
		p, err := Start(options)
		require.NoError(t, err)
		<-p.Done()
	}
	text, err := os.ReadFile(options.Log)
	require.NoError(t, err)
	assert.Equal(t, "one\ntwo\n", string(text))
}

func TestLogTailIsShort(t *testing.T) {
	t.Parallel()
	p := shell(t, "head -c 100000 /dev/zero | tr '\\0' x; echo the end")
	<-p.Done()
	assert.Len(t, p.LogTail(), logTailSize+len("end of the log of part, "+p.Log+":\n"))
	assert.True(t, strings.HasSuffix(p.LogTail(), "xthe end\n"))

	require.NoError(t, os.Remove(p.Log))
	assert.Contains(t, p.LogTail(), "the log of part cannot be read")
	p.Log = ""
	assert.Equal(t, "part has no log", p.LogTail())
}

func TestPassesEnvironmentAndDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, env := range map[string][]string{"none": nil, "one variable": {"A=b"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := filepath.Join(t.TempDir(), "log")
			p, err := Start(Options{Program: "env", Env: env, Log: log})
			require.NoError(t, err)
			<-p.Done()
			text, err := os.ReadFile(log)
			require.NoError(t, err)
			assert.ElementsMatch(t, env, strings.Fields(string(text)))
		})
	}
	p, err := Start(Options{Program: "pwd", Dir: dir, Log: filepath.Join(dir, "log")})
	require.NoError(t, err)
	<-p.Done()
	assert.Contains(t, p.LogTail(), "\n"+dir+"\n")
}

func TestStop(t *testing.T) {
	t.Parallel()
	p := shell(t, `trap 'echo goodbye; exit 1' TERM; echo started; while true; do sleep 0.01; done`)
	started(t, p)
	require.NoError(t, p.Stop(time.Minute))
	require.ErrorContains(t, p.ExitError(), "goodbye")
	assert.NoError(t, p.Stop(time.Minute), "again, without effect")
}

func TestStopKillsAfterGrace(t *testing.T) {
	t.Parallel()
	p := shell(t, `trap 'echo not yet' TERM; echo started; while true; do sleep 0.01; done`)
	started(t, p)
	err := p.Stop(100 * time.Millisecond)
	require.ErrorContains(t, err, "part ran for another 100ms after SIGTERM, and was killed\n")
	require.ErrorContains(t, err, "not yet")
	assert.ErrorContains(t, p.ExitError(), "signal: killed")
}

func TestWaitReadyReturnsWithCheck(t *testing.T) {
	t.Parallel()
	p := shell(t, "exec sleep 600")
	checks := 0
	require.NoError(t, p.WaitReady(t.Context(), func(context.Context) error {
		if checks++; checks < 3 {
			return errors.New("not ready")
		}
		return nil
	}))
	assert.Equal(t, 3, checks)
}

func TestWaitReadyFailsWhenProcessEnds(t *testing.T) {
	t.Parallel()
	for name, check := range map[string]func(context.Context) error{
		"where the check fails":    func(context.Context) error { return errors.New("not ready") },
		"where the check waits":    func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		"where the check succeeds": ready, // another program has the port
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := shell(t, "echo the port is taken; exit 1")
			if name == "where the check succeeds" {
				<-p.Done()
			}
			err := p.WaitReady(t.Context(), check)
			require.ErrorContains(t, err, "part ended: exit status 1")
			assert.ErrorContains(t, err, "the port is taken")
		})
	}
}

func TestWaitReadyEndsWithContext(t *testing.T) {
	t.Parallel()
	p := shell(t, "echo started; exec sleep 600")
	started(t, p)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	last := errors.New("503 Service Unavailable")
	err := p.WaitReady(ctx, func(context.Context) error { return last })
	require.ErrorContains(t, err, "part was not ready in time: context deadline exceeded\n503 Service Unavailable\nend ")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, err, last)
	assert.False(t, p.Exited())
}
