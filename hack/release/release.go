package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"text/template"

	"github.com/pipeline-storage/pipeline-storage/hack/archive"
	"github.com/pipeline-storage/pipeline-storage/hack/reference"
	"github.com/pipeline-storage/pipeline-storage/plugin"
	"github.com/pipeline-storage/pipeline-storage/test/parts"
)

const fileMode = 0o644

var (
	//go:embed krew.yaml.tmpl
	krewText string
	//go:embed formula.rb.tmpl
	formulaText string
)

// release fills a directory.
type release struct {
	version, created, dist string
	// build builds a program, as plugin.Build does.
	build func(ctx context.Context, program string, p plugin.Platform, version, file string) error
	// sbom runs tools/release and returns what it prints.
	sbom func(args ...string) ([]byte, error)
}

// download is an archive as a manifest has it.
type download struct {
	OS, Arch, URL, SHA256 string
}

// complete makes the files in an order in which each finds what it describes.
func (r release) complete(ctx context.Context) error {
	var downloads []download
	for _, p := range platforms() {
		d, err := r.pack(ctx, p)
		if err != nil {
			return err
		}
		downloads = append(downloads, d)
	}
	for file, text := range map[string]string{krewManifest: krewText, formula: formulaText} {
		if err := r.fill(file, text, downloads); err != nil {
			return err
		}
	}
	if err := r.describe(r.filesSBOM(), r.archives()...); err != nil {
		return err
	}
	if err := r.describe(r.imageSBOM(), image); err != nil {
		return err
	}
	return r.sum()
}

// pack builds the programs for a platform and packs them with the licence.
func (r release) pack(ctx context.Context, p plugin.Platform) (download, error) {
	work, err := os.MkdirTemp("", "pipeline-storage-release-")
	if err != nil {
		return download{}, fmt.Errorf("make a directory for the programs: %w", err)
	}
	defer os.RemoveAll(work)

	license, err := readLicense()
	if err != nil {
		return download{}, err
	}
	files := []archive.File{{Name: "LICENSE", Text: license}}
	pages, err := reference.Man(r.version)
	if err != nil {
		return download{}, err
	}
	for _, name := range slices.Sorted(maps.Keys(pages)) {
		files = append(files, archive.File{Name: "man/" + name, Text: pages[name]})
	}
	for _, program := range programs {
		built := filepath.Join(work, program)
		if err := r.build(ctx, program, p, r.version, built); err != nil {
			return download{}, err
		}
		text, err := os.ReadFile(built)
		if err != nil {
			return download{}, fmt.Errorf("read the built %s: %w", program, err)
		}
		files = append(files, archive.File{Name: program, Executable: true, Text: text})
	}
	packed, err := archive.Bytes(files)
	if err != nil {
		return download{}, err
	}
	sum := sha256.Sum256(packed)
	return download{p.OS, p.Arch, r.address() + "/" + r.archive(p), hex.EncodeToString(sum[:])},
		os.WriteFile(filepath.Join(r.dist, r.archive(p)), packed, fileMode)
}

func readLicense() ([]byte, error) {
	root, err := parts.Repository()
	if err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(root, "LICENSE"))
}

// fill writes a manifest from its template.
func (r release) fill(file, text string, downloads []download) error {
	parsed, err := template.New(file).Option("missingkey=error").Parse(text)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := parsed.Execute(&out, map[string]any{
		"Version": r.version, "Homepage": repository, "Programs": programs, "Downloads": downloads,
	}); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(r.dist, file), out.Bytes(), fileMode)
}

// describe writes the SBOM of files of the directory.
func (r release) describe(sbom string, files ...string) error {
	args := []string{"-name", sbom, "-version", r.version, "-created", r.created, "-base", r.address()}
	for _, file := range files {
		args = append(args, filepath.Join(r.dist, file))
	}
	text, err := r.sbom(args...)
	if err != nil {
		return fmt.Errorf("make %s: %w", sbom, err)
	}
	return os.WriteFile(filepath.Join(r.dist, sbom), text, fileMode)
}

// sum writes the checksums of all files, as "sha256sum --check" reads them.
func (r release) sum() error {
	var out bytes.Buffer
	for _, file := range slices.Sorted(slices.Values(r.files())) {
		text, err := os.ReadFile(filepath.Join(r.dist, file))
		if err != nil {
			return fmt.Errorf("add up the checksums: %w", err)
		}
		fmt.Fprintf(&out, "%x  %s\n", sha256.Sum256(text), file)
	}
	return os.WriteFile(filepath.Join(r.dist, checksums), out.Bytes(), fileMode)
}
