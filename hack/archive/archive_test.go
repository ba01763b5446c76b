package archive_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/hack/archive"
)

// otherArchive is what another program packs: with its own times, owner, modes and compression.
func otherArchive(t *testing.T, seen time.Time, uid int, user string, mask int64, level int) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "packed.tgz")
	out, err := os.Create(file)
	require.NoError(t, err)
	zipped, err := gzip.NewWriterLevel(out, level)
	require.NoError(t, err)
	zipped.ModTime, zipped.Comment = seen, user
	packed := tar.NewWriter(zipped)
	for _, h := range []tar.Header{
		{Typeflag: tar.TypeDir, Name: "plugin/", Mode: 0o777 &^ mask},
		{Typeflag: tar.TypeReg, Name: "plugin/plugin.yaml", Mode: 0o666 &^ mask, Size: 4},
		{Typeflag: tar.TypeReg, Name: "plugin/bin/run", Mode: 0o777 &^ mask, Size: 4},
	} {
		h.ModTime, h.AccessTime, h.Uid, h.Uname, h.Format = seen, seen, uid, user, tar.FormatPAX
		require.NoError(t, packed.WriteHeader(&h))
		_, err := io.WriteString(packed, "text"[:h.Size])
		require.NoError(t, err)
	}
	require.NoError(t, packed.Close())
	require.NoError(t, zipped.Close())
	require.NoError(t, out.Close())
	return file
}

func TestRepackedBytesDependOnContentAlone(t *testing.T) {
	t.Parallel()
	first := otherArchive(t, time.Unix(1_700_000_000, 5), 0, "root", 0o22, gzip.BestSpeed)
	second := otherArchive(t, time.Unix(1_800_000_000, 7), 1000, "builder", 0o77, gzip.BestCompression)
	before := [][]byte{read(t, first), read(t, second)}
	require.NotEqual(t, before[0], before[1])

	require.NoError(t, archive.Repack(first, first))
	require.NoError(t, archive.Repack(second, second))
	assert.Equal(t, read(t, first), read(t, second))

	want := map[string]int64{"plugin/": 0o755, "plugin/plugin.yaml": 0o644, "plugin/bin/run": 0o755}
	got := map[string]int64{}
	unzipped, err := gzip.NewReader(bytes.NewReader(read(t, first)))
	require.NoError(t, err)
	for packed := tar.NewReader(unzipped); ; {
		h, err := packed.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		got[h.Name] = h.Mode
		assert.True(t, archive.Epoch.Equal(h.ModTime), h.Name)
		assert.Zero(t, h.Uid+h.Gid, h.Name)
		assert.Empty(t, h.Uname+h.Gname, h.Name)
	}
	assert.Equal(t, want, got)
}

func TestRepackRefusesLinks(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "packed.tgz")
	out, err := os.Create(file)
	require.NoError(t, err)
	zipped := gzip.NewWriter(out)
	packed := tar.NewWriter(zipped)
	require.NoError(t, packed.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: "link", Linkname: "/etc/passwd"}))
	require.NoError(t, packed.Close())
	require.NoError(t, zipped.Close())
	require.NoError(t, out.Close())
	before := read(t, file)
	require.ErrorContains(t, archive.Repack(file, file), "link is neither a file nor a directory")
	assert.Equal(t, before, read(t, file), "a refused archive stays as it is")
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	return text
}
