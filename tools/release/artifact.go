package main

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
)

// artifact is a released file.
type artifact struct {
	name, sha256 string
	// image is set for the layout of an image, whose sum is its digest.
	image bool
	// modules are those of the Go programs inside, by path and version.
	modules map[string]debug.Module
}

// standardLibrary is the name that vulnerability databases have for it.
// Source: package-url/purl-spec, golang; Go, vuln.go.dev, module stdlib.
const standardLibrary = "stdlib"

// imageName is the annotation with the name of an image, as tools/image writes it.
const imageName = "io.containerd.image.name"

// read reads a file, or the layout in a directory.
func read(path string) (artifact, error) {
	info, err := os.Stat(path)
	if err != nil {
		return artifact{}, err
	}

	a := artifact{name: filepath.Base(path), modules: map[string]debug.Module{}}
	if info.IsDir() {
		return a, a.readLayout(path)
	}

	text, err := os.ReadFile(path)
	if err != nil {
		return artifact{}, err
	}

	sum := sha256.Sum256(text)
	a.sha256 = hex.EncodeToString(sum[:])

	return a, a.readArchive(text)
}

// readLayout reads every layer of an image.
// Source: OCI image specification, image-layout.md.
func (a *artifact) readLayout(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		return err
	}

	var index struct {
		Manifests []struct {
			Digest      string
			Annotations map[string]string
		}
	}
	if err := json.Unmarshal(text, &index); err != nil {
		return fmt.Errorf("read index.json: %w", err)
	}

	if len(index.Manifests) != 1 {
		return fmt.Errorf("the layout has %d images instead of one", len(index.Manifests))
	}

	a.image = true
	a.name = cmp.Or(index.Manifests[0].Annotations[imageName], a.name)
	a.sha256 = strings.TrimPrefix(index.Manifests[0].Digest, "sha256:")

	blobs, err := filepath.Glob(filepath.Join(dir, "blobs", "sha256", "*"))
	if err != nil {
		return err
	}

	for _, blob := range blobs {
		text, err := os.ReadFile(blob)
		if err != nil {
			return err
		}

		if json.Valid(text) { // a manifest or a configuration
			continue
		}

		if err := a.readArchive(text); err != nil {
			return fmt.Errorf("read the layer %s: %w", filepath.Base(blob), err)
		}
	}

	return nil
}

// readArchive adds the modules of the programs in an archive.
func (a *artifact) readArchive(text []byte) error {
	unzipped, err := gzip.NewReader(bytes.NewReader(text))
	if err != nil {
		return err
	}

	for archive := tar.NewReader(unzipped); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}

		if err != nil {
			return err
		}

		content, err := io.ReadAll(archive)
		if err != nil {
			return fmt.Errorf("read %s: %w", header.Name, err)
		}

		// What is not a Go program has no modules.
		if built, err := buildinfo.Read(bytes.NewReader(content)); err == nil {
			a.add(built)
		}
	}
}

func (a *artifact) add(built *debug.BuildInfo) {
	version, _, _ := strings.Cut(strings.TrimPrefix(built.GoVersion, "go"), " ")
	modules := []*debug.Module{&built.Main, {Path: standardLibrary, Version: version}}

	for _, module := range append(modules, built.Deps...) {
		if module.Replace != nil {
			module = module.Replace
		}

		a.modules[module.Path+"@"+module.Version] = *module
	}
}
