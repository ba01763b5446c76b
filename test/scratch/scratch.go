// Package scratch gives programs of the tests a directory for their state, and removes the
// directories of programs that were killed before they could.
package scratch

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"
)

const (
	lockFile = "lock"
	// A directory has this prefix until it is locked, so that no sweep takes it for an abandoned one.
	unlockedPrefix = "new-"
)

// Dir is a directory that its process holds a lock of.
type Dir struct {
	// Path is absolute.
	Path string

	lock *flock.Flock
}

// New creates a directory below os.TempDir, whose name begins with prefix. Call Remove in the end.
//
// Before, it removes the directories with the prefix that no process holds any more. sweep, if it is
// not nil, receives the path of each of them first; a directory whose sweep fails remains.
func New(prefix string, sweep func(dir string) error) (*Dir, error) {
	removeAbandoned(prefix, sweep)
	unlocked, err := os.MkdirTemp("", unlockedPrefix+prefix)
	if err != nil {
		return nil, fmt.Errorf("make a directory for the state: %w", err)
	}
	lock := flock.New(filepath.Join(unlocked, lockFile))
	if err := lock.Lock(); err != nil {
		return nil, errors.Join(fmt.Errorf("lock the directory for the state: %w", err), os.RemoveAll(unlocked))
	}
	path := filepath.Join(filepath.Dir(unlocked), strings.TrimPrefix(filepath.Base(unlocked), unlockedPrefix))
	if err := os.Rename(unlocked, path); err != nil {
		return nil, errors.Join(fmt.Errorf("name the directory for the state: %w", err), os.RemoveAll(unlocked))
	}
	return &Dir{Path: path, lock: lock}, nil
}

// Remove removes the directory. It may be called again.
func (d *Dir) Remove() error {
	return errors.Join(os.RemoveAll(d.Path), d.lock.Close())
}

// removeAbandoned ignores what it cannot remove, because the tests do not depend on it.
func removeAbandoned(prefix string, sweep func(dir string) error) {
	directories, _ := filepath.Glob(filepath.Join(os.TempDir(), prefix+"*"))
	for _, directory := range directories {
		lock := flock.New(filepath.Join(directory, lockFile))
		if free, err := lock.TryLock(); err == nil && free && (sweep == nil || sweep(directory) == nil) {
			_ = os.RemoveAll(directory)
		}
		_ = lock.Close()
	}
}
