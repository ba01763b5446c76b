package app

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// terminal opens a real terminal, at which a person has typed a text.
func terminal(t *testing.T, typed string) *os.File {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = keyboard.Close() })
	fd := int(keyboard.Fd())
	require.NoError(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	require.NoError(t, err)
	screen, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = screen.Close() })
	_, err = keyboard.WriteString(typed)
	require.NoError(t, err)
	return screen
}

// TestTerminalGetsHint: otherwise the program would seem to hang. What is typed is read all the same.
func TestTerminalGetsHint(t *testing.T) {
	const controlD = "\x04"
	const hint = "reading manifests from the terminal until Ctrl-D: see postrender --help\n"
	for name, tt := range map[string]struct {
		args    []string
		hasHint bool
	}{
		"without a file":              {nil, true},
		"standard input, by its name": {[]string{"-f", "-"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var out, problems strings.Builder
			code := Run(append(tt.args, "-n", "ml", "--release", "demo"), Streams{
				In: terminal(t, "kind: ConfigMap\napiVersion: v1\nmetadata: {name: c}\n"+controlD), Out: &out, Err: &problems,
			})
			assert.Equal(t, 0, code, problems.String())
			assert.Equal(t, tt.hasHint, strings.HasPrefix(problems.String(), hint))
			assert.Contains(t, out.String(), "kind: ConfigMap")
		})
	}
}
