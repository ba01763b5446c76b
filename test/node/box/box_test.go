package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// box runs a command and decodes what it prints.
func box[T any](t *testing.T, args ...string) (T, error) {
	t.Helper()

	var (
		out    bytes.Buffer
		result T
	)

	err := run(append([]string{"/box"}, args...), &out)
	if out.Len() > 0 {
		require.NoError(t, json.Unmarshal(out.Bytes(), &result), out.String())
	}

	return result, err
}

func TestVerify(t *testing.T) {
	t.Parallel()

	change := func(t *testing.T, name string, do func([]byte) []byte) {
		t.Helper()

		text, err := os.ReadFile(name)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(name, do(text), fileMode))
	}

	cases := map[string]struct {
		harm     func(t *testing.T, dir string)
		bad      int
		expected string
	}{
		"as it was written": {harm: func(*testing.T, string) {}},
		"one bit changed": {func(t *testing.T, dir string) {
			t.Helper()
			change(t, filepath.Join(dir, "a"), func(text []byte) []byte { text[7] ^= 1; return text })
		}, 1, "1 of 2 files"},
		"truncated": {func(t *testing.T, dir string) {
			t.Helper()
			change(t, filepath.Join(dir, "a"), func(text []byte) []byte { return text[:99] })
		}, 1, "1 of 2 files"},
		"only the checksum remains": {func(t *testing.T, dir string) {
			t.Helper()
			require.NoError(t, os.Remove(filepath.Join(dir, "a")))
		}, 1, "1 of 2 files"},
		"everything removed": {func(t *testing.T, dir string) {
			t.Helper()

			for _, name := range []string{"a", "b", "a.sha256", "b.sha256"} {
				require.NoError(t, os.Remove(filepath.Join(dir, name)))
			}
		}, 0, "holds nothing"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			dir := t.TempDir()

			for _, name := range []string{"a", "b"} {
				written, err := box[file](t, "write", dir, name, "100")
				require.NoError(t, err)
				assert.EqualValues(t, 100, written.Bytes)
			}

			tc.harm(t, dir)

			result, err := box[verified](t, "verify", dir)
			assert.Equal(t, tc.bad, result.Bad)

			if tc.expected == "" {
				require.NoError(t, err)
				assert.Len(t, result.Files, 2)
			} else {
				require.ErrorContains(t, err, tc.expected)
			}
		})
	}
}

func TestTrainResumesFromNewestIntactCheckpoint(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()

	for epoch := range 11 { // past the one where names are no longer in the order of numbers
		result, err := box[trained](t, "train", dir, "10")
		require.NoError(t, err)
		assert.Equal(t, epoch, result.From)
		assert.Equal(t, epoch+1, result.To)
	}

	broken := filepath.Join(dir, "epoch-11.bin")
	require.NoError(t, os.WriteFile(broken, []byte("half of"), fileMode))

	result, err := box[trained](t, "train", dir, "10")
	require.NoError(t, err)
	assert.Equal(t, 10, result.From)
	assert.Equal(t, []string{broken}, result.Broken)
}

func TestRecords(t *testing.T) {
	t.Parallel()

	whole := record(1) + record(2) + record(3)
	cases := map[string]struct {
		text     string
		expected recorded
		refused  string
	}{
		"none":                {"", recorded{}, ""},
		"all there":           {whole, recorded{Found: 3}, ""},
		"the last one torn":   {whole[:len(whole)-5], recorded{Found: 2, Torn: true}, ""},
		"one missing":         {record(1) + record(3), recorded{Found: 1}, "record 2 is not where it should be"},
		"one twice":           {record(1) + record(1), recorded{Found: 1}, "record 2 is not where it should be"},
		"one changed":         {"1" + whole, recorded{}, "the checksum of record 1 is wrong"},
		"something else":      {"nonsense\n", recorded{}, "record 1 is"},
		"zeroes in the place": {record(1) + string(make([]byte, 9)) + "\n", recorded{Found: 1}, "record 2 is"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			path := filepath.Join(t.TempDir(), "records")
			require.NoError(t, os.WriteFile(path, []byte(tc.text), fileMode))

			f, err := os.OpenFile(path, os.O_RDWR, fileMode)
			require.NoError(t, err)
			defer f.Close()

			found, err := readRecords(f)
			assert.Equal(t, tc.expected, found)

			if tc.refused != "" {
				require.ErrorContains(t, err, tc.refused)

				return
			}

			require.NoError(t, err)

			// The next record follows the last whole one.
			_, err = fmt.Fprint(f, record(found.Found+1))
			require.NoError(t, err)
			_, err = f.Seek(0, 0)
			require.NoError(t, err)

			again, err := readRecords(f)
			require.NoError(t, err)
			assert.Equal(t, recorded{Found: found.Found + 1}, again)
		})
	}
}

func TestUnknownCommand(t *testing.T) {
	t.Parallel()

	_, err := box[file](t, "wipe", "/")
	require.ErrorContains(t, err, `"wipe" is no command`)
}
