package main

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/containerd/platforms"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// epoch is the time of everything in the image, so that the same sources give the same digest.
var epoch = time.Unix(0, 0).UTC()

// Annotations from which programs that import a layout read the name. Sources: OCI image
// specification, annotations.md; containerd, images/annotations.go.
const (
	annotationRefName        = "org.opencontainers.image.ref.name"
	annotationContainerdName = "io.containerd.image.name"
)

// summary is what build prints.
type summary struct {
	Digest string         `json:"digest"`
	Images []imageSummary `json:"images"`
}

type imageSummary struct {
	Platform string `json:"platform"`
	Digest   string `json:"digest"`
	// Size is the number of bytes to pull: manifest, configuration and compressed layers.
	Size int64 `json:"size"`
}

// build writes the image for every platform as an OCI layout and prints a summary in JSON.
func build(ctx context.Context, o options, stdout io.Writer) error {
	d, err := readDockerfile(o)
	if err != nil {
		return err
	}

	if _, err := os.Stat(o.output); err == nil && !o.append {
		return fmt.Errorf("%s exists: name a new directory", o.output)
	}

	work, err := os.MkdirTemp("", "pipeline-storage-image-")
	if err != nil {
		return fmt.Errorf("make a directory to build in: %w", err)
	}
	defer os.RemoveAll(work)

	buildContext := filepath.Join(work, "context")
	if err := copyContext(o.context, buildContext); err != nil {
		return fmt.Errorf("copy the build context: %w", err)
	}

	index, images, err := d.index(ctx, strings.Split(o.platforms, ","), work, buildContext)
	if err != nil {
		return err
	}

	return finish(index, images, o, stdout)
}

func finish(index v1.ImageIndex, images []imageSummary, o options, stdout io.Writer) error {
	if err := write(index, o); err != nil {
		return fmt.Errorf("write the layout: %w", err)
	}

	written, err := layout.ImageIndexFromPath(o.output)
	if err != nil {
		return fmt.Errorf("read what was written: %w", err)
	}

	if err := validate.Index(written); err != nil {
		return fmt.Errorf("the image that was written is not sound: %w", err)
	}

	digest, err := index.Digest()
	if err != nil {
		return err
	}

	encoder := json.NewEncoder(stdout)
	encoder.SetIndent("", "  ")

	return encoder.Encode(summary{Digest: digest.String(), Images: images})
}

// write adds an index to a layout, under its name if it has one. It makes the layout if that does not exist.
func write(index v1.ImageIndex, o options) error {
	path, err := layout.FromPath(o.output)
	if err != nil {
		path, err = layout.Write(o.output, empty.Index)
	}

	if err != nil {
		return err
	}

	if o.name == "" {
		return path.AppendIndex(index)
	}

	_, tag, found := strings.Cut(o.name[strings.LastIndex(o.name, "/")+1:], ":")
	if !found {
		return fmt.Errorf("the name %q has no tag: write REPOSITORY:TAG", o.name)
	}

	return path.AppendIndex(index, layout.WithAnnotations(map[string]string{
		annotationContainerdName: o.name,
		annotationRefName:        tag,
	}))
}

// index makes the images of all platforms.
func (d dockerfile) index(
	ctx context.Context, names []string, work, buildContext string,
) (v1.ImageIndex, []imageSummary, error) {
	index := v1.ImageIndex(empty.Index)

	var images []imageSummary

	for _, name := range names {
		platform, err := platforms.Parse(name)
		if err != nil {
			return nil, nil, fmt.Errorf("read the platform %q: %w", name, err)
		}

		image, err := d.image(ctx, platform, work, buildContext)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", name, err)
		}

		result, err := summarize(name, image)
		if err != nil {
			return nil, nil, err
		}

		images = append(images, result)
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{
			Platform: &v1.Platform{OS: platform.OS, Architecture: platform.Architecture, Variant: platform.Variant},
		}})
	}

	return index, images, nil
}

func summarize(platform string, image v1.Image) (imageSummary, error) {
	digest, err := image.Digest()
	if err != nil {
		return imageSummary{}, err
	}

	manifest, err := image.Manifest()
	if err != nil {
		return imageSummary{}, err
	}

	size, err := image.Size()
	if err != nil {
		return imageSummary{}, err
	}

	size += manifest.Config.Size
	for _, layer := range manifest.Layers {
		size += layer.Size
	}

	return imageSummary{Platform: platform, Digest: digest.String(), Size: size}, nil
}

// image makes the image of one platform: the layers that the steps made, under the configuration
// that the frontend made.
func (d dockerfile) image(ctx context.Context, platform ocispecs.Platform, work,
	buildContext string) (v1.Image, error) {
	result, err := d.convert(ctx, platform)
	if err != nil {
		return nil, err
	}

	s, err := newSolver(ctx, result.State, work, buildContext)
	if err != nil {
		return nil, err
	}

	made, err := s.solve(ctx)
	if err != nil {
		return nil, err
	}

	if made.base == "" {
		return nil, errors.New("the last stage has no base image")
	}

	b, err := findBase(made.base)
	if err != nil {
		return nil, err
	}

	return assemble(result.Image, append([][]file{b.files}, made.layers...))
}

func assemble(config *dockerspec.DockerOCIImage, contents [][]file) (v1.Image, error) {
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)

	for _, files := range contents {
		layer, err := layerOf(files)
		if err != nil {
			return nil, err
		}

		if image, err = mutate.AppendLayers(image, layer); err != nil {
			return nil, err
		}
	}

	layered, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}

	text, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}

	result := &v1.ConfigFile{}
	if err := json.Unmarshal(text, result); err != nil {
		return nil, err
	}

	result.RootFS = layered.RootFS
	result.Created = v1.Time{Time: epoch}

	for i := range result.History {
		result.History[i].Created = result.Created
	}

	return mutate.ConfigFile(image, result)
}

// layerOf makes a layer whose bytes depend on the files alone.
func layerOf(files []file) (v1.Layer, error) {
	var archive bytes.Buffer

	writer := tar.NewWriter(&archive)

	for _, f := range files {
		if err := writer.WriteHeader(header(f)); err != nil {
			return nil, fmt.Errorf("pack %s: %w", f.path, err)
		}

		if _, err := io.WriteString(writer, f.text); err != nil {
			return nil, fmt.Errorf("pack %s: %w", f.path, err)
		}
	}

	if err := writer.Close(); err != nil {
		return nil, fmt.Errorf("pack a layer: %w", err)
	}

	return tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(archive.Bytes())), nil
	}, tarball.WithMediaType(types.OCILayer), tarball.WithCompressedCaching)
}

func header(f file) *tar.Header {
	h := &tar.Header{
		Typeflag: tar.TypeReg, Name: f.path, Size: int64(len(f.text)), Mode: int64(f.mode.Perm()),
		Uid: f.uid, Gid: f.gid, ModTime: epoch, Format: tar.FormatPAX,
	}

	if f.mode.IsDir() {
		h.Typeflag = tar.TypeDir
		h.Name += "/"
	}

	if f.mode&fs.ModeSticky != 0 {
		h.Mode |= 0o1000
	}

	return h
}
