package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/pipeline-storage/pipeline-storage/hack/archive"
	"github.com/pipeline-storage/pipeline-storage/plugin"
	"github.com/pipeline-storage/pipeline-storage/test/parts"
)

const (
	root        = "../.."
	layerDigest = "0000000000000000000000000000000000000000000000000000000000000001"
	imageName   = "registry.example.com/team/pipeline-storage:1.2.3"
	imageDigest = "0000000000000000000000000000000000000000000000000000000000000002"
)

// made completes a release whose programs are all one that is built already, because each link takes seconds.
func made(t *testing.T) release {
	t.Helper()
	sbom := parts.Require(t, "sbom")["sbom"]
	program := read(t, sbom)
	r := release{
		version: "1.2.3", created: "2026-01-02T03:04:05Z", dist: t.TempDir(),
		build: func(_ context.Context, _ string, _ plugin.Platform, _, file string) error {
			return os.WriteFile(file, program, 0o700)
		},
		sbom: func(args ...string) ([]byte, error) { return exec.Command(sbom, args...).Output() },
	}
	packed, err := archive.Bytes([]archive.File{{Name: "bin/postrender", Executable: true, Text: program}})
	require.NoError(t, err)
	text, err := archive.Bytes([]archive.File{{Name: "pipeline-storage/Chart.yaml", Text: []byte("name: a\n")}})
	require.NoError(t, err)
	blobs := filepath.Join(image, "blobs", "sha256")
	require.NoError(t, os.MkdirAll(filepath.Join(r.dist, blobs), 0o700))
	for file, content := range map[string][]byte{
		r.helmPlugin(): packed,
		r.chart():      text,
		filepath.Join(image, "index.json"): []byte(`{"manifests": [{"digest": "sha256:` + imageDigest +
			`", "annotations": {"io.containerd.image.name": "` + imageName + `"}}]}`),
		filepath.Join(blobs, imageDigest): []byte("{}"),
		filepath.Join(blobs, layerDigest): packed,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(r.dist, file), content, 0o600))
	}
	require.NoError(t, r.complete(t.Context()))
	return r
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	return text
}

func sum(text []byte) string { return fmt.Sprintf("%x", sha256.Sum256(text)) }

// TestRelease makes one release twice and judges what is in it.
func TestRelease(t *testing.T) {
	t.Parallel()
	r, again := made(t), made(t)
	t.Run("has every file, and its checksum", func(t *testing.T) { checkFiles(t, r) })
	t.Run("has the same bytes each time", func(t *testing.T) {
		for _, file := range append(r.files(), checksums) {
			assert.Equal(t, sum(read(t, filepath.Join(r.dist, file))), sum(read(t, filepath.Join(again.dist, file))), file)
		}
	})
	t.Run("has a manifest for krew", func(t *testing.T) { checkKrew(t, r) })
	t.Run("has a formula for Homebrew", func(t *testing.T) { checkFormula(t, r) })
	t.Run("has SBOMs", func(t *testing.T) { checkSBOM(t, r) })
}

func checkFiles(t *testing.T, r release) {
	t.Helper()
	entries, err := os.ReadDir(r.dist)
	require.NoError(t, err)
	var there []string
	for _, entry := range entries {
		there = append(there, entry.Name())
	}
	assert.ElementsMatch(t, append(r.files(), checksums, image), there)

	lines := strings.Split(strings.TrimSpace(string(read(t, filepath.Join(r.dist, checksums)))), "\n")
	assert.Len(t, lines, len(r.files()))
	for _, line := range lines {
		want, file, found := strings.Cut(line, "  ")
		require.True(t, found, line)
		assert.Equal(t, want, sum(read(t, filepath.Join(r.dist, file))), file)
	}
}

// checkDownload checks that an address with a checksum is that of an archive of the platform with the programs.
func checkDownload(t *testing.T, r release, url, want string, p plugin.Platform) {
	t.Helper()
	assert.Equal(t, repository+"/releases/download/v1.2.3/pipeline-storage-1.2.3-"+p.OS+"-"+p.Arch+".tar.gz", url)
	text := read(t, filepath.Join(r.dist, path.Base(url)))
	assert.Equal(t, want, sum(text), url)
	unzipped, err := gzip.NewReader(bytes.NewReader(text))
	require.NoError(t, err)
	modes := map[string]int64{}
	for packed := tar.NewReader(unzipped); ; {
		header, err := packed.Next()
		if err != nil {
			require.ErrorIs(t, err, io.EOF)
			break
		}
		modes[header.Name] = header.Mode
	}
	for _, page := range []string{"postrender", "kubectl-pipeline-storage", "kubectl-pipeline-storage-status"} {
		name := "man/" + page + ".1"
		assert.EqualValues(t, 0o644, modes[name], name)
	}
	maps.DeleteFunc(modes, func(name string, _ int64) bool { return strings.HasPrefix(name, "man/") })
	assert.Equal(t, map[string]int64{"LICENSE": 0o644, "postrender": 0o755, "kubectl-pipeline_storage": 0o755}, modes)
}

func checkKrew(t *testing.T, r release) {
	t.Helper()
	var manifest struct {
		APIVersion, Kind string
		Metadata         struct{ Name string }
		Spec             struct {
			Version, ShortDescription, Description, Homepage string
			Platforms                                        []struct {
				Selector struct {
					MatchLabels struct{ OS, Arch string }
				}
				URI, SHA256, Bin string
				Files            []struct{ From, To string }
			}
		}
	}
	require.NoError(t, yaml.UnmarshalStrict(read(t, filepath.Join(r.dist, krewManifest)), &manifest))
	assert.Equal(t, "krew.googlecontainertools.github.com/v1alpha2 Plugin", manifest.APIVersion+" "+manifest.Kind)
	assert.Equal(t, krewManifest, manifest.Metadata.Name+".yaml", "krew requires the plugin's name as the file's")
	assert.Equal(t, "v1.2.3", manifest.Spec.Version)
	assert.LessOrEqual(t, len(manifest.Spec.ShortDescription), 50)
	assert.NotEmpty(t, manifest.Spec.Description)
	require.Len(t, manifest.Spec.Platforms, len(platforms()))
	for i, p := range platforms() {
		got := manifest.Spec.Platforms[i]
		labels := got.Selector.MatchLabels
		assert.Equal(t, p.OS+"/"+p.Arch, labels.OS+"/"+labels.Arch)
		checkDownload(t, r, got.URI, got.SHA256, p)
		assert.Contains(t, programs, got.Bin)
		assert.Equal(t, got.Bin, got.Files[0].From)
	}
}

// stanza is where a formula has an archive for one platform.
var stanza = regexp.MustCompile(
	`(?m)^  on_(\w+) do\n    on_(\w+) do\n      url "(.*)"\n      sha256 "(.*)"\n    end\n  end$`)

func checkFormula(t *testing.T, r release) {
	t.Helper()
	text := string(read(t, filepath.Join(r.dist, formula)))
	assert.True(t, strings.HasPrefix(text, "class PipelineStorage < Formula\n"), "the class is derived from the name")
	found := stanza.FindAllStringSubmatch(text, -1)
	require.Len(t, found, len(platforms()))
	for i, p := range platforms() {
		goos := map[string]string{"linux": "linux", "macos": "darwin"}[found[i][1]]
		arch := map[string]string{"intel": "amd64", "arm": "arm64"}[found[i][2]]
		assert.Equal(t, p.OS+"/"+p.Arch, goos+"/"+arch)
		checkDownload(t, r, found[i][3], found[i][4], p)
	}
	blocks := regexp.MustCompile(`(?m)( do|^class .*|^  def .*)$`).FindAllString(text, -1)
	assert.Len(t, regexp.MustCompile(`(?m)^ *end$`).FindAllString(text, -1), len(blocks), "each block ends")
	for _, program := range programs {
		assert.Regexp(t, `bin\.install .*"`+program+`"`, text)
	}
}

func checkSBOM(t *testing.T, r release) {
	t.Helper()
	type packaged struct {
		SPDXID, Name, VersionInfo string
		Checksums                 []struct{ Algorithm, ChecksumValue string }
		ExternalRefs              []struct{ ReferenceLocator string }
	}
	for file, want := range map[string][]string{r.filesSBOM(): r.archives(), r.imageSBOM(): {imageName}} {
		var document struct {
			SPDXVersion   string
			CreationInfo  struct{ Created string }
			Packages      []packaged
			Relationships []struct{ SPDXElementID, RelationshipType, RelatedSPDXElement string }
		}
		require.NoError(t, json.Unmarshal(read(t, filepath.Join(r.dist, file)), &document))
		assert.Equal(t, "SPDX-2.3", document.SPDXVersion)
		assert.Equal(t, r.created, document.CreationInfo.Created, "never the time of the build")
		names, locators := map[string]packaged{}, []string{}
		for _, p := range document.Packages {
			names[p.SPDXID] = p
			for _, ref := range p.ExternalRefs {
				locators = append(locators, ref.ReferenceLocator)
			}
		}
		assert.Len(t, names, len(document.Packages), "no identifier twice")
		assert.Condition(t, func() bool {
			return slices.ContainsFunc(locators, func(l string) bool {
				return strings.HasPrefix(l, "pkg:golang/github.com/spdx/tools-golang@v")
			}) && slices.ContainsFunc(locators, func(l string) bool { return strings.HasPrefix(l, "pkg:golang/stdlib@1.") })
		}, "the modules of the program inside, and the standard library: %v", locators)
		var described []string
		for _, relation := range document.Relationships {
			require.Contains(t, names, relation.RelatedSPDXElement)
			if relation.RelationshipType == "DESCRIBES" {
				p := names[relation.RelatedSPDXElement]
				described = append(described, p.Name)
				wanted := imageDigest
				if p.Name != imageName {
					wanted = sum(read(t, filepath.Join(r.dist, p.Name)))
				}
				assert.Equal(t, wanted, p.Checksums[0].ChecksumValue, p.Name)
			}
		}
		assert.Equal(t, want, described)
	}
}

func TestRefusesWhatIsNoVersion(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"", "v1.2.3", "1.2", "1.2.3+build", "1.2.3/..", "01.2.3", "1.2.3 "} {
		err := run(t.Context(), []string{"-version", version})
		require.ErrorContains(t, err, "is no version of a release", version)
	}
	for _, version := range []string{"0.1.0", "1.2.3", "1.2.3-rc.1"} {
		assert.Regexp(t, versions, version)
	}
}
