package node

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// Names of images that package node makes.
const (
	// BoxImage has the program of package box as its entrypoint.
	BoxImage = "registry.example/box:1"
	// PauseImage holds the namespaces of a pod.
	PauseImage = "registry.example/pause:1"
	// ShellImage has what the provisioner's manifest needs: a shell, mkdir and rm.
	ShellImage = "docker.io/library/busybox:latest"
	// ProvisionerImage is the provisioner of local volumes.
	ProvisionerImage = "docker.io/rancher/local-path-provisioner:v0.0.30"
)

// Media types and annotations of the OCI image specification, and the annotation from which
// containerd reads a name.
const (
	indexType      = "application/vnd.oci.image.index.v1+json"
	manifestType   = "application/vnd.oci.image.manifest.v1+json"
	configType     = "application/vnd.oci.image.config.v1+json"
	layerType      = "application/vnd.oci.image.layer.v1.tar"
	nameAnnotation = "io.containerd.image.name"
	layoutFile     = "oci-layout"
	indexFile      = "index.json"
)

// Image is an image of one layer.
type Image struct {
	Name string
	// Files are programs of this machine, by their paths in the image.
	Files map[string]string
	// Links are symbolic links in the image, with their targets.
	Links      map[string]string
	Entrypoint []string
}

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int               `json:"size"`
	Platform    map[string]string `json:"platform,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// archive is a tar file that is an OCI layout.
type archive struct {
	writer *tar.Writer
	// index has the descriptors, unparsed.
	index   []json.RawMessage
	written map[string]bool
}

// WriteArchive writes images to a file for Options.Archive: images, and those of layouts, which are
// directories with OCI layouts whose images have names.
func WriteArchive(file string, images []Image, layouts ...string) (err error) {
	out, err := os.Create(file)
	if err != nil {
		return fmt.Errorf("write the images: %w", err)
	}

	defer func() { err = errors.Join(err, out.Close()) }()

	a := &archive{writer: tar.NewWriter(out), written: map[string]bool{}}

	for _, image := range images {
		if err := a.addImage(image); err != nil {
			return fmt.Errorf("write the image %s: %w", image.Name, err)
		}
	}

	for _, layout := range layouts {
		if err := a.addLayout(layout); err != nil {
			return fmt.Errorf("copy the images of %s: %w", layout, err)
		}
	}

	return a.finish()
}

func (a *archive) addImage(image Image) error {
	layer, err := image.layer()
	if err != nil {
		return err
	}

	layerBlob, err := a.addBlob(layerType, layer)
	if err != nil {
		return err
	}

	config, err := a.addJSON(configType, map[string]any{
		"architecture": runtime.GOARCH, "os": "linux",
		"config": map[string]any{
			"Env": []string{"PATH=/bin:/usr/bin"}, "WorkingDir": "/", "Entrypoint": image.Entrypoint,
		},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{layerBlob.Digest}},
	})
	if err != nil {
		return err
	}

	manifest, err := a.addJSON(manifestType, map[string]any{
		"schemaVersion": 2, "mediaType": manifestType, "config": config, "layers": []descriptor{layerBlob},
	})
	if err != nil {
		return err
	}

	manifest.Platform = map[string]string{"architecture": runtime.GOARCH, "os": "linux"}
	manifest.Annotations = map[string]string{nameAnnotation: image.Name}

	text, err := json.Marshal(manifest)
	a.index = append(a.index, text)

	return err
}

func (i Image) layer() ([]byte, error) {
	var out bytes.Buffer

	writer := tar.NewWriter(&out)
	made := map[string]bool{".": true}

	headers := []*tar.Header{dirHeader("tmp"), dirHeader("etc")}
	headers[0].Mode = 0o1777

	contents := map[string][]byte{"etc/passwd": []byte("root:x:0:0::/:\nnonroot:x:65532:65532::/:\n")}
	headers = append(headers, &tar.Header{Typeflag: tar.TypeReg, Name: "etc/passwd", Mode: fileMode})

	for _, name := range slices.Sorted(maps.Keys(i.Files)) {
		text, err := os.ReadFile(i.Files[name])
		if err != nil {
			return nil, err
		}

		inside := strings.TrimPrefix(name, "/")
		contents[inside] = text
		headers = append(headers, &tar.Header{Typeflag: tar.TypeReg, Name: inside, Mode: dirMode})
	}

	for _, name := range slices.Sorted(maps.Keys(i.Links)) {
		headers = append(headers, &tar.Header{
			Typeflag: tar.TypeSymlink, Name: strings.TrimPrefix(name, "/"), Linkname: i.Links[name], Mode: dirMode,
		})
	}

	for _, header := range headers {
		if err := put(writer, made, header, contents[header.Name]); err != nil {
			return nil, err
		}
	}

	return out.Bytes(), writer.Close()
}

func dirHeader(name string) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: dirMode}
}

// put writes an entry, after its parent directories.
func put(writer *tar.Writer, made map[string]bool, header *tar.Header, text []byte) error {
	if parent := path.Dir(header.Name); !made[parent] {
		if err := put(writer, made, dirHeader(parent), nil); err != nil {
			return err
		}
	}

	made[header.Name] = true
	if header.Typeflag == tar.TypeDir {
		header.Name += "/"
	}

	header.Size = int64(len(text))
	if err := writer.WriteHeader(header); err != nil {
		return err
	}

	_, err := writer.Write(text)

	return err
}

func (a *archive) addLayout(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, indexFile))
	if err != nil {
		return err
	}

	var index struct{ Manifests []json.RawMessage }
	if err := json.Unmarshal(text, &index); err != nil {
		return err
	}

	a.index = append(a.index, index.Manifests...)

	files := os.DirFS(dir)

	return fs.WalkDir(files, "blobs", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}

		blob, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}

		return a.add(name, blob)
	})
}

func (a *archive) addJSON(mediaType string, value any) (descriptor, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return descriptor{}, err
	}

	return a.addBlob(mediaType, text)
}

func (a *archive) addBlob(mediaType string, blob []byte) (descriptor, error) {
	sum := sha256.Sum256(blob)
	digest := hex.EncodeToString(sum[:])

	return descriptor{MediaType: mediaType, Digest: "sha256:" + digest, Size: len(blob)},
		a.add("blobs/sha256/"+digest, blob)
}

func (a *archive) add(name string, text []byte) error {
	if a.written[name] {
		return nil
	}

	a.written[name] = true

	if err := a.writer.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: name, Mode: fileMode, Size: int64(len(text)),
	}); err != nil {
		return err
	}

	_, err := a.writer.Write(text)

	return err
}

func (a *archive) finish() error {
	text, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": indexType, "manifests": a.index})
	if err != nil {
		return err
	}

	return errors.Join(
		a.add(indexFile, text), a.add(layoutFile, []byte(`{"imageLayoutVersion":"1.0.0"}`)), a.writer.Close())
}

// Images are those that every node of the tests has: see the constants. box is the program of
// package box, provisioner and shell the parts local-path-provisioner and gosh.
func Images(box, provisioner, shell string) []Image {
	return []Image{
		{Name: BoxImage, Files: map[string]string{"/box": box}, Entrypoint: []string{"/box"}},
		{
			Name: PauseImage, Files: map[string]string{"/box": box}, Links: map[string]string{"/pause": "box"},
			Entrypoint: []string{"/pause"},
		},
		{
			Name: ShellImage, Files: map[string]string{"/bin/box": box, "/bin/gosh": shell},
			Links: map[string]string{"/bin/sh": "box", "/bin/mkdir": "box", "/bin/rm": "box"},
		},
		{Name: ProvisionerImage, Files: map[string]string{"/usr/bin/local-path-provisioner": provisioner}},
	}
}
