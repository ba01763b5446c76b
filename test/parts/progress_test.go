package parts

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestReportsBuilds builds parts that are copies of one module. In every case the go command builds
// them in no time, and their estimates come from the case.
func TestReportsBuilds(t *testing.T) {
	t.Parallel()

	cases := map[string]struct {
		cached, wanted []string
		want           string
	}{
		"every build has its position and estimate": {
			wanted: []string{"small", "large"},
			want: "parts: to be built once, about 4 minutes on two idle cores: small, large\n" +
				"parts: small (1 of 2, a few seconds)\nparts: small is built (1 of 2, TIME)\n" +
				"parts: large (2 of 2, about 4 minutes)\nparts: large is built (2 of 2, TIME)\n",
		},
		"the cache's are not counted": {
			cached: []string{"small"}, wanted: []string{"small", "large"},
			want: "parts: to be built once, about 4 minutes on two idle cores: large\n" +
				"parts: large (1 of 1, about 4 minutes)\nparts: large is built (1 of 1, TIME)\n",
		},
		"nothing to build is nothing to report": {cached: []string{"small"}, wanted: []string{"small"}},
	}

	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			b := newHello(t)
			_, _, err := buildCopies(t, b, c.cached)
			require.NoError(t, err)

			built, progress, err := buildCopies(t, b, c.wanted)
			require.NoError(t, err)
			assert.Equal(t, c.want, withoutTimes(built, progress))

			for i, name := range c.wanted {
				assert.Equal(t, name, built[i].Name)
				assert.True(t, executable(built[i].Path))
			}
		})
	}
}

func TestReportsNoEndOfFailedBuild(t *testing.T) {
	t.Parallel()

	b := newHello(t)
	write(t, filepath.Join(b.tools, "hello", "main.go"), "package main\n")

	_, progress, err := buildCopies(t, b, []string{"small", "large"})

	require.ErrorContains(t, err, "build small in tools/hello: ")
	assert.True(t, strings.HasSuffix(progress, "\nparts: small (1 of 2, a few seconds)\n"), progress)
}

func TestDurationsInWords(t *testing.T) {
	t.Parallel()

	for want, cases := range map[string][]time.Duration{
		"a few seconds":       {0, 9 * time.Second},
		"about half a minute": {10 * time.Second, 44 * time.Second},
		"about a minute":      {45 * time.Second, 89 * time.Second},
		"about 2 minutes":     {90 * time.Second, 149 * time.Second},
		"about 4 minutes":     {232 * time.Second},
	} {
		for _, d := range cases {
			assert.Equal(t, want, inWords(d), d)
		}
	}

	assert.Equal(t, "1 s", rounded(900*time.Millisecond))
	assert.Equal(t, "3 min 52 s", rounded(232*time.Second))
	assert.Equal(t, "1 min 0 s", rounded(59700*time.Millisecond))
}

// buildCopies builds hello under other names and returns what was reported.
func buildCopies(t *testing.T, b builder, names []string) ([]Built, string, error) {
	t.Helper()

	cpu := map[string]int{"small": 3, "large": 8 * 60}

	var programs []program

	for _, name := range names {
		p := hello
		p.cpu = cpu[name]

		found, err := b.find(t.Context(), name, p)
		require.NoError(t, err)

		programs = append(programs, found)
	}

	var progress strings.Builder

	built, err := b.all(t.Context(), &progress, programs)

	return built, progress.String(), err
}

// withoutTimes replaces the measured times.
func withoutTimes(built []Built, progress string) string {
	for _, b := range built {
		progress = strings.ReplaceAll(progress, ", "+rounded(b.Took)+")", ", TIME)")
	}

	return progress
}
