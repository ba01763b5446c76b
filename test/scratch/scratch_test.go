package scratch

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const prefix = "pipeline-storage-scratch-"

func newDir(t *testing.T, sweep func(dir string) error) *Dir {
	t.Helper()
	dir, err := New(prefix, sweep)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, dir.Remove()) })
	return dir
}

func TestRetainsDirectoriesInUse(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	used, abandoned := newDir(t, nil), newDir(t, nil)
	require.NoError(t, abandoned.lock.Close())
	newDir(t, func(string) error { return errors.New("its processes still run") })
	assert.DirExists(t, abandoned.Path, "its sweep failed")
	var swept []string
	newDir(t, func(dir string) error { swept = append(swept, dir); return nil })
	assert.Equal(t, []string{abandoned.Path}, swept)
	assert.NoDirExists(t, abandoned.Path)
	assert.DirExists(t, used.Path)
}

func TestRemoves(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	dir := newDir(t, nil)
	require.NoError(t, dir.Remove())
	assert.NoDirExists(t, dir.Path)
	require.NoError(t, dir.Remove(), "again")
}
