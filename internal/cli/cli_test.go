package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestVersionPrefersLinkedOne(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "1.2.3", Version("1.2.3"))
	assert.NotEmpty(t, Version(""))
}

func TestColorsTerminals(t *testing.T) {
	t.Setenv("NO_COLOR", "")
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	require.NoError(t, err)
	defer file.Close()
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	require.NoError(t, err)
	defer terminal.Close()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0) // a character device, as a terminal is
	require.NoError(t, err)
	defer null.Close()

	assert.True(t, Color("always", file))
	assert.False(t, Color("never", terminal))
	assert.True(t, Color("auto", terminal))
	assert.False(t, Color("auto", null))
	assert.False(t, Color("auto", file))
	assert.False(t, Color("auto", &bytes.Buffer{}))

	t.Setenv("NO_COLOR", "1")
	assert.False(t, Color("auto", terminal))
	assert.True(t, Color("always", terminal))
}
