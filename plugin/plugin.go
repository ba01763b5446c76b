// Package plugin makes the Helm 4 plugin: the description in helm4/plugin.yaml and postrender built
// for every platform.
package plugin

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"

	"sigs.k8s.io/yaml"
)

const (
	program  = "postrender"
	commands = "github.com/pipeline-storage/pipeline-storage/cmd/"
	// Helm only looks at the name of this file.
	manifestFile = "plugin.yaml"

	dirMode  = 0o755
	fileMode = 0o644
)

//go:embed helm4/plugin.yaml
var manifestText []byte

// versionLine is the line of plugin.yaml that a release changes.
var versionLine = regexp.MustCompile(`(?m)^version: .*$`)

// Platform is what a program is built for.
type Platform struct {
	OS, Arch string
}

// Platforms are those that the plugin serves, in the order of plugin.yaml. The key platformCommand
// of plugin.yaml has an entry for each.
var Platforms = []Platform{
	{"linux", "amd64"},
	{"linux", "arm64"},
	{"darwin", "amd64"},
	{"darwin", "arm64"},
	{"windows", "amd64"},
	{"windows", "arm64"},
}

// Host is the platform of the running program. Tests build for it only, because it takes a sixth of
// the time.
func Host() Platform {
	return Platform{runtime.GOOS, runtime.GOARCH}
}

// binary is the program's path in the plugin, as plugin.yaml names it.
func (p Platform) binary() string {
	name := "bin/postrender-" + p.OS + "-" + p.Arch
	if p.OS == "windows" {
		name += ".exe"
	}
	return name
}

// manifest is what the packager reads in plugin.yaml.
type manifest struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// readManifest reads two fields and ignores the others: Helm judges those.
func readManifest(text []byte) (manifest, error) {
	var m manifest
	if err := yaml.Unmarshal(text, &m); err != nil {
		return m, fmt.Errorf("read %s: %w", manifestFile, err)
	}
	return m, nil
}

// Stage fills dir with an installable plugin for the platforms. The version replaces that of
// plugin.yaml, unless it is empty. The working directory must be in this module.
func Stage(ctx context.Context, dir, version string, platforms ...Platform) error {
	text := manifestText
	if version != "" {
		text = versionLine.ReplaceAll(text, []byte("version: "+version))
	}
	m, err := readManifest(text)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return fmt.Errorf("make the plugin's directory: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, manifestFile), text, fileMode); err != nil {
		return fmt.Errorf("write the plugin's description: %w", err)
	}
	for _, p := range platforms {
		if err := Build(ctx, program, p, m.Version, filepath.Join(dir, filepath.FromSlash(p.binary()))); err != nil {
			return err
		}
	}
	return nil
}

// Build builds a program of cmd so that the same sources give the same bytes on every machine. Without
// -trimpath, -buildvcs=false and CGO_ENABLED=0 the bytes depend on the directory, the checkout and
// the C compiler; flags and a workspace of the machine's own would change them, too. The program
// prints version. The working directory must be in this module.
// Source: Go, cmd/go "Compile packages and dependencies".
func Build(ctx context.Context, name string, p Platform, version, file string) error {
	flags := "-s -w -X " + commands + name + "/app.version=" + version
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", flags,
		"-o", file, commands+name)
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+p.OS, "GOARCH="+p.Arch,
		"GOFLAGS=-mod=readonly", "GOWORK=off")
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s for %s/%s: %w\n%s", name, p.OS, p.Arch, err, out)
	}
	return nil
}
