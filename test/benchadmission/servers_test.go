package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/test/benchadmission/reviews"
)

// Everything that is measured, in a hundredth of the time: the real programs, and the real control
// plane for the webhook.
func TestServers(t *testing.T) {
	b := prepared(t, "--servers=constant,allow,usual,webhook", "--warm-up=5ms", "--duration=50ms")
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2"} {
		t.Run(protocol, func(t *testing.T) {
			err := b.serving(t.Context(), protocol == "HTTP/2", func(servers []*server) error {
				require.Len(t, servers, 4)
				for _, s := range servers {
					t.Run(s.name, func(t *testing.T) { checkServer(t, b, s) })
				}
				return nil
			})
			assert.NoError(t, err)
		})
	}
	t.Run("profile", func(t *testing.T) { checkProfile(t, b) })
}

// checkProfile comes last: the bench measures nothing else after it.
func checkProfile(t *testing.T, b *bench) {
	t.Helper()
	out := &strings.Builder{}
	b.options.Sizes.Names, b.options.profile = []string{"small"}, filepath.Join(t.TempDir(), "profiles")

	require.NoError(t, b.runProfile(t.Context(), out))

	assert.Contains(t, out.String(), "net/http.(*conn).serve")
	assert.Contains(t, out.String(), "Type: alloc_objects")
	for _, name := range []string{"small.profile", "small.allocs"} {
		assert.FileExists(t, filepath.Join(b.options.profile, name))
	}
}

// checkServer checks that a server gives every answer for which it is measured, and that a wrong
// answer would be noticed.
func checkServer(t *testing.T, b *bench, s *server) {
	t.Helper()
	subjects, err := newSubjects(b.options)
	require.NoError(t, err)
	for _, subject := range subjects {
		taken, err := s.sample(t.Context(), subject.results[s.name].checker, b.options)
		require.NoError(t, err)
		assert.GreaterOrEqual(t, taken.requests, inFlight)
		assert.Positive(t, taken.cpu)
		assert.Positive(t, taken.allocs)
	}
	used, err := s.Usage()
	require.NoError(t, err)
	assert.Greater(t, used.Resident, int64(1<<20))

	for _, c := range candidates {
		isSame := c.constant == s.constant && c.mutates == s.mutates
		_, err := s.sample(t.Context(), newChecker(c, subjects[0].reviews), b.options)
		assert.Equal(t, isSame, err == nil, "the checker of %s: %v", c.name, err)
	}
	checkPlace(t, b, s)
}

// checkPlace checks that the server has its own CPU, on a machine with two.
func checkPlace(t *testing.T, b *bench, s *server) {
	t.Helper()
	assert.Equal(t, runtime.NumCPU() > 1, b.host.isPinned)
	allowed := func(pid string) string {
		text, err := os.ReadFile(filepath.Join("/proc", pid, "status"))
		require.NoError(t, err)
		_, rest, _ := strings.Cut(string(text), "Cpus_allowed_list:")
		line, _, _ := strings.Cut(rest, "\n")
		return line
	}
	if b.host.isPinned {
		assert.NotEqual(t, allowed("self"), allowed(strconv.Itoa(s.PID())))
	}
}

func TestWholeRun(t *testing.T) {
	out := &strings.Builder{}
	file := filepath.Join(t.TempDir(), "tables.md")

	err := run(t.Context(), []string{
		"--servers=constant,allow", "--sizes=small", "--rounds=1", "--http2-rounds=1", "--starts=1", "--idle=10ms",
		"--duration=50ms", "--warm-up=5ms",
		"--markdown=" + file,
	}, out)

	require.NoError(t, err)
	assert.Regexp(t, `small +\d+ +constant +\d`, out.String())
	assert.Regexp(t, `small +\d+ +allow +[\d.]+ +[\d.]+ +[\d.]+ +1\.00 `, out.String())
	assert.Contains(t, out.String(), "TLS 1.3 and HTTP/2, medians of 1 rounds")
	assert.NotContains(t, out.String(), "RATIO", "the webhook was not measured")
	markdown, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Contains(t, string(markdown), "| small | ")
}

func TestReportsWhyServerEnded(t *testing.T) {
	b := prepared(t, "--servers=constant")
	require.NoError(t, os.Remove(filepath.Join(b.dir, "tls.crt")))

	_, err := b.start(t.Context(), candidates[0], false)

	require.ErrorContains(t, err, "constant ended: exit status 1")
	assert.ErrorContains(t, err, "read the certificate: open "+b.dir+"/tls.crt")
}

func TestStopEndsServer(t *testing.T) {
	b := prepared(t, "--servers=constant")
	s, err := b.start(t.Context(), candidates[0], false)
	require.NoError(t, err)

	require.NoError(t, s.Stop(stopGrace))

	require.ErrorContains(t, s.ExitError(), "constant ended without an error")
	_, err = s.metric(t.Context(), mallocs)
	assert.Error(t, err)
}

// A server that speaks another version of HTTP than requested is an error, not another column.
func TestClientUsesRequestedProtocol(t *testing.T) {
	b := prepared(t, "--servers=constant")
	s, err := b.start(t.Context(), candidates[0], false)
	require.NoError(t, err)
	defer s.Kill()
	s.dialer.http2 = true

	posters, err := s.dialer.posters(t.Context(), []reviews.Review{small(t)})
	require.NoError(t, err)
	_, _, err = posters[0].post(t.Context(), 0)

	assert.ErrorContains(t, err, "the server speaks HTTP/1.1")
}

// prepared is a bench with its programs built and its control plane started, if it needs one.
func prepared(t *testing.T, args ...string) *bench {
	t.Helper()
	o, err := parse(args)
	require.NoError(t, err)
	b, err := prepare(t.Context(), o, t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, b.close()) })
	return b
}
