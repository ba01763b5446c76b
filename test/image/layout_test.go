package image_test

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The types below share nothing with the writer of the layout, so that a fault of the writer cannot
// hide itself.
// Source: OCI image specification, image-layout.md, image-index.md, manifest.md and config.md.

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations"`
	Platform    struct {
		OS           string `json:"os"`
		Architecture string `json:"architecture"`
	} `json:"platform"`
}

type index struct {
	Manifests []descriptor `json:"manifests"`
}

type manifest struct {
	Config descriptor   `json:"config"`
	Layers []descriptor `json:"layers"`
}

type configuration struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
	Config       struct {
		User         string              `json:"User"`
		Entrypoint   []string            `json:"Entrypoint"`
		Cmd          []string            `json:"Cmd"`
		Env          []string            `json:"Env"`
		WorkingDir   string              `json:"WorkingDir"`
		Labels       map[string]string   `json:"Labels"`
		ExposedPorts map[string]struct{} `json:"ExposedPorts"`
		Healthcheck  struct {
			Test []string `json:"Test"`
		} `json:"Healthcheck"`
	} `json:"config"`
}

// platformImage is the image of one platform, with its files below root.
type platformImage struct {
	configuration

	digest string
	size   int64
	root   string
	files  []*tar.Header
}

// readLayout returns the images of a layout by platform, and the descriptor of their index.
func readLayout(t *testing.T, dir string) (map[string]platformImage, descriptor) {
	t.Helper()

	var entry, platforms index

	readJSON(t, filepath.Join(dir, "index.json"), &entry)
	require.Len(t, entry.Manifests, 1)
	readJSON(t, blob(t, dir, entry.Manifests[0]), &platforms)

	images := map[string]platformImage{}
	for _, d := range platforms.Manifests {
		images[d.Platform.OS+"/"+d.Platform.Architecture] = readImage(t, dir, d)
	}

	return images, entry.Manifests[0]
}

func readImage(t *testing.T, dir string, d descriptor) platformImage {
	t.Helper()

	var m manifest

	readJSON(t, blob(t, dir, d), &m)

	image := platformImage{digest: d.Digest, size: d.Size + m.Config.Size, root: t.TempDir()}
	readJSON(t, blob(t, dir, m.Config), &image.configuration)

	for _, layer := range m.Layers {
		image.size += layer.Size
		image.files = append(image.files, extract(t, blob(t, dir, layer), image.root)...)
	}

	return image
}

// blob returns the path of a descriptor's content, after checking its digest and size.
func blob(t *testing.T, dir string, d descriptor) string {
	t.Helper()

	algorithm, sum, found := strings.Cut(d.Digest, ":")
	require.True(t, found)

	path := filepath.Join(dir, "blobs", algorithm, sum)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Len(t, text, int(d.Size))

	actual := sha256.Sum256(text)
	require.Equal(t, sum, hex.EncodeToString(actual[:]))

	return path
}

func readJSON(t *testing.T, path string, into any) {
	t.Helper()

	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, into))
}

// extract unpacks a layer and returns the header of each file.
func extract(t *testing.T, layer, root string) []*tar.Header {
	t.Helper()

	packed, err := os.Open(layer)
	require.NoError(t, err)
	defer packed.Close()

	text, err := gzip.NewReader(packed)
	require.NoError(t, err)

	var headers []*tar.Header

	for reader := tar.NewReader(text); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return headers
		}

		require.NoError(t, err)
		unpack(t, filepath.Join(root, filepath.FromSlash(header.Name)), header, reader)
		headers = append(headers, header)
	}
}

func unpack(t *testing.T, path string, header *tar.Header, content io.Reader) {
	t.Helper()

	mode := fs.FileMode(header.Mode).Perm()

	if header.Typeflag == tar.TypeDir {
		require.NoError(t, os.Mkdir(path, mode))

		return
	}

	require.Equal(t, byte(tar.TypeReg), header.Typeflag, header.Name)

	text, err := io.ReadAll(content)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, text, mode))
}
