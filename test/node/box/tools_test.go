package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestToolsOfProvisioner does what the scripts of the provisioner's manifest do.
func TestToolsOfProvisioner(t *testing.T) {
	t.Parallel()

	dir := filepath.Join(t.TempDir(), "a", "b")
	require.NoError(t, run([]string{"/bin/mkdir", "-m", "0777", "-p", dir}, nil))

	info, err := os.Stat(dir)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o777), info.Mode().Perm(), "whatever the umask is")

	require.NoError(t, os.Chmod(dir, 0o700))
	require.NoError(t, run([]string{"/bin/mkdir", "-m", "0777", "-p", dir}, nil), "it is there")

	info, err = os.Stat(dir)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o700), info.Mode().Perm(), "-m is for what is made")

	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), nil, fileMode))
	require.Error(t, run([]string{"/bin/rm", dir}, nil))
	require.NoError(t, run([]string{"/bin/rm", "-rf", dir}, nil))
	require.NoError(t, run([]string{"/bin/rm", "-rf", dir}, nil), "-f ignores what does not exist")
	require.Error(t, run([]string{"/bin/rm", dir}, nil))
	assert.NoDirExists(t, dir)
}
