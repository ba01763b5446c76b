package plugin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/pipeline-storage/pipeline-storage/hack/archive"
)

// Packager packs the plugin as Helm 4 installs it.
type Packager struct {
	// Helm is the path of Helm 4.
	Helm string
	// Version is the plugin's, without a v; empty: that of plugin.yaml.
	Version string
	// Platforms are those to build for.
	Platforms []Platform
	// SignKey names the PGP key that signs the package; empty: it is not signed.
	SignKey string
	// Keyring is the file with that key: gpg --export-secret-keys NAME >FILE
	Keyring string
	// PassphraseFile holds the key's passphrase; empty: the key has none.
	PassphraseFile string
}

// Package builds the plugin, packs it into destination, and signs it if there is a key. It installs
// the result in a directory of its own to prove that Helm accepts it. It returns the path of the
// package; a signature is beside it, with .prov behind. The same sources give the same package, unless it is signed.
func (p Packager) Package(ctx context.Context, destination string) (string, error) {
	if p.SignKey != "" && p.Keyring == "" {
		return "", fmt.Errorf("to sign with the key %q, name a keyring that holds it: gpg "+
			"--export-secret-keys NAME >FILE", p.SignKey)
	}
	work, err := os.MkdirTemp("", "pipeline-storage-plugin-")
	if err != nil {
		return "", fmt.Errorf("make a directory for the build: %w", err)
	}
	defer os.RemoveAll(work)

	staged := filepath.Join(work, "staged")
	if err := Stage(ctx, staged, p.Version, p.Platforms...); err != nil {
		return "", err
	}
	text, err := os.ReadFile(filepath.Join(staged, manifestFile))
	if err != nil {
		return "", fmt.Errorf("read the plugin's description: %w", err)
	}
	m, err := readManifest(text)
	if err != nil {
		return "", err
	}
	file := filepath.Join(destination, m.Name+"-"+m.Version+".tgz")
	if err := p.pack(ctx, work, staged, file); err != nil {
		return "", err
	}
	return file, p.verify(ctx, work, file, m)
}

// pack runs Helm's own packager. What an earlier run signed must not stand beside a new package.
// Helm names the file by the plugin's name and version, so file must have that name. The signature
// is a file beside it.
// Source: Helm 4, helm plugin package --help.
func (p Packager) pack(ctx context.Context, work, staged, file string) error {
	for _, old := range []string{file, file + ".prov"} {
		if err := os.Remove(old); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove an earlier package: %w", err)
		}
	}
	args := []string{"plugin", "package", staged, "--destination", filepath.Dir(file)}
	if p.SignKey == "" {
		args = append(args, "--sign=false")
	} else {
		args = append(args, "--sign", "--key", p.SignKey, "--keyring", p.Keyring)
	}
	if p.PassphraseFile != "" {
		args = append(args, "--passphrase-file", p.PassphraseFile)
	}
	if _, err := p.helm(ctx, work, args...); err != nil || p.SignKey != "" {
		return err // the signature is for the bytes that Helm packed
	}
	return archive.Repack(file, file) // Helm packs the times, the owner and the modes of the staged files
}

// verify lets Helm check the signature and install the package. A package that Helm installs and
// then does not list is an error: Helm skips a plugin whose description it cannot read.
// Source: Helm 4, internal/plugin FindPlugins.
func (p Packager) verify(ctx context.Context, work, file string, m manifest) error {
	check := []string{"--verify=false"}
	if p.SignKey != "" {
		check = []string{"--keyring", p.Keyring}
		if _, err := p.helm(ctx, work, append([]string{"plugin", "verify", file}, check...)...); err != nil {
			return err
		}
	}
	if _, err := p.helm(ctx, work, append([]string{"plugin", "install", file}, check...)...); err != nil {
		return err
	}
	list, err := p.helm(ctx, work, "plugin", "list")
	if err != nil {
		return err
	}
	for line := range strings.Lines(list) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == m.Name && fields[1] == m.Version {
			return nil
		}
	}
	return fmt.Errorf("helm installed the package but does not list %s %s:\n%s", m.Name, m.Version, list)
}

// helm runs Helm with directories of its own, so that it neither reads nor changes what you have
// installed. It returns what Helm writes to both streams. The error has that output as well, and
// names the subcommand without its arguments.
func (p Packager) helm(ctx context.Context, home string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, p.Helm, args...)
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "HELM_") {
			command.Env = append(command.Env, variable)
		}
	}
	command.Env = append(command.Env, "HELM_DATA_HOME="+filepath.Join(home, "data"),
		"HELM_CACHE_HOME="+filepath.Join(home, "cache"), "HELM_CONFIG_HOME="+filepath.Join(home, "config"))
	out, err := command.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("helm %s: %w\n%s", strings.Join(args[:2], " "), err, out)
	}
	return string(out), nil
}
