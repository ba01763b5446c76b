package configfile_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/internal/configfile"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

const head = "apiVersion: pipeline-storage.io/v1alpha1\nkind: StorageConfig\n"

// mounted is a directory as the kubelet makes it of a ConfigMap: a file is a link into a directory
// that is replaced as a whole.
// Source: Kubernetes, pkg/volume/util/atomic_writer.go.
type mounted struct {
	t       *testing.T
	dir     string
	version int
}

func mount(t *testing.T, text string) *mounted {
	t.Helper()
	m := &mounted{t: t, dir: t.TempDir()}
	m.write(text)
	require.NoError(t, os.Symlink(filepath.Join("..data", "config.yaml"), m.file()))
	return m
}

func (m *mounted) file() string { return filepath.Join(m.dir, "config.yaml") }

func (m *mounted) write(text string) {
	m.t.Helper()
	m.version++
	name := filepath.Join(m.dir, "..v"+string(rune('a'+m.version)))
	require.NoError(m.t, os.Mkdir(name, 0o755))
	require.NoError(m.t, os.WriteFile(filepath.Join(name, "config.yaml"), []byte(head+text), 0o644))
	link := filepath.Join(m.dir, "..data_tmp")
	require.NoError(m.t, os.Symlink(filepath.Base(name), link))
	require.NoError(m.t, os.Rename(link, filepath.Join(m.dir, "..data")))
}

func (m *mounted) remove() {
	m.t.Helper()
	require.NoError(m.t, os.Remove(filepath.Join(m.dir, "..data")))
}

// event has the arguments of a callback.
type event struct {
	path, refused string
	warnings      []string
}

// start opens and follows a file until the test ends.
func start(t *testing.T, m *mounted) (*configfile.File, <-chan event) {
	t.Helper()
	file, _, err := configfile.Open(m.file(), time.Millisecond)
	require.NoError(t, err)
	events := make(chan event, 100)
	file.OnChange = func(c *storage.Config, warnings []string) {
		events <- event{path: c.Profiles[0].Mount.Path, warnings: warnings}
	}
	file.OnRefused = func(reason error) { events <- event{refused: reason.Error()} }
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- file.Start(ctx) }()
	t.Cleanup(func() { cancel(); assert.NoError(t, <-done) })
	return file, events
}

func next(t *testing.T, events <-chan event) event {
	t.Helper()
	select {
	case e := <-events:
		return e
	case <-time.After(10 * time.Second):
		require.FailNow(t, "no callback was called")
		return event{}
	}
}

func TestFollowsTheFile(t *testing.T) {
	m := mount(t, "profiles: [{name: default}]\n")
	file, events := start(t, m)
	before := file.Current()
	assert.Equal(t, "/data", before.Profiles[0].Mount.Path)

	m.write("profiles: [{name: default, mount: {path: /new}, storageClass: {backend: kubernetes.io/aws-ebs}}]\n")
	changed := next(t, events)
	assert.Equal(t, "/new", changed.path)
	assert.Len(t, changed.warnings, 1, "the warnings of the file are passed on")
	assert.Equal(t, "/new", file.Current().Profiles[0].Mount.Path)
	assert.Equal(t, "/data", before.Profiles[0].Mount.Path, "whoever works with the one before must not see it change")
	require.NoError(t, file.Refused())
}

func TestKeepsTheOneBefore(t *testing.T) {
	m := mount(t, "profiles: [{name: default}]\n")
	file, events := start(t, m)

	m.write("profiles: [{name: default, mount: {path: /new}, sise: 1}]\n")
	assert.Contains(t, next(t, events).refused, `line 3: unknown field "profiles[0].sise"`)
	assert.Equal(t, "/data", file.Current().Profiles[0].Mount.Path, "nothing of a refused file is in force")
	require.ErrorContains(t, file.Refused(), m.file())

	m.write("profiles: [{name: default, claim: {name: '{release}'}}]\n")
	assert.Contains(t, next(t, events).refused, "no release is known")

	m.remove()
	assert.Contains(t, next(t, events).refused, "no such file")
	assert.Equal(t, "/data", file.Current().Profiles[0].Mount.Path)

	m.write("profiles: [{name: default, mount: {path: /new}}]\n")
	assert.Equal(t, "/new", next(t, events).path)
	require.NoError(t, file.Refused())
	select {
	case e := <-events:
		assert.Fail(t, "a file that stays was reported again", "%v", e)
	case <-time.After(50 * time.Millisecond): // fifty reads
	}
}

func TestOpenRefuses(t *testing.T) {
	_, _, err := configfile.Open(filepath.Join(t.TempDir(), "none.yaml"), time.Second)
	require.ErrorIs(t, err, os.ErrNotExist)

	m := mount(t, "profiles: []\n")
	_, _, err = configfile.Open(m.file(), time.Second)
	require.ErrorContains(t, err, "at least one profile is needed")
	require.ErrorContains(t, err, m.file())
}
