package plugin_test

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/pipeline-storage/pipeline-storage/hack/archive"
	"github.com/pipeline-storage/pipeline-storage/plugin"
	"github.com/pipeline-storage/pipeline-storage/test/parts"
)

const (
	fileName = "pipeline-storage-0.1.0.tgz"
	signer   = "Tests of pipeline-storage <tests@example.com>"
	// keyringName is the file that gpg exports a key to.
	keyringName = "keyring.gpg"
)

func TestDescriptionHasEveryPlatform(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("helm4/plugin.yaml")
	require.NoError(t, err)
	var description struct {
		RuntimeConfig struct {
			PlatformCommand []map[string]any `json:"platformCommand"`
		} `json:"runtimeConfig"`
	}
	require.NoError(t, yaml.Unmarshal(text, &description))

	var want []map[string]any
	for _, p := range plugin.Platforms {
		name := "${HELM_PLUGIN_DIR}/bin/postrender-" + p.OS + "-" + p.Arch
		if p.OS == "windows" {
			name += ".exe"
		}
		want = append(want, map[string]any{"os": p.OS, "arch": p.Arch, "command": name, "args": []any{"--helm=4"}})
	}
	assert.Equal(t, want, description.RuntimeConfig.PlatformCommand)
}

func TestInstallsUnsignedPackageOnlyWithoutVerification(t *testing.T) {
	t.Parallel()
	file, _ := packed(t, false)
	home := newHome(t)

	out, err := home.helm("plugin", "install", file)
	require.Error(t, err)
	assert.Contains(t, out, "no provenance file")

	out, err = home.helm("plugin", "install", file, "--verify=false")
	require.NoError(t, err, out)
	home.rendersAnExample(t)
}

func TestVerifiesAndInstallsSignedPackage(t *testing.T) {
	t.Parallel()
	file, keyring := packed(t, true)
	home := newHome(t)

	out, err := home.helm("plugin", "verify", file, "--keyring", keyring)
	require.NoError(t, err, out)
	assert.Contains(t, out, "Signed by: "+signer)

	out, err = home.helm("plugin", "install", file, "--keyring", keyring)
	require.NoError(t, err, out)
	home.rendersAnExample(t)
}

func TestRefusesChangedSignedPackage(t *testing.T) {
	t.Parallel()
	file, keyring := packed(t, true)
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString("x")
	require.NoError(t, err)
	require.NoError(t, f.Close())

	out, err := newHome(t).helm("plugin", "verify", file, "--keyring", keyring)
	require.Error(t, err)
	assert.Contains(t, out, "sha256 sum does not match")
}

func TestUnsignedPackageReplacesSignature(t *testing.T) {
	t.Parallel()
	file, keyring := packed(t, true)
	require.FileExists(t, file+".prov")

	p := plugin.Packager{
		Helm: parts.Require(t, "helm4")["helm4"], Platforms: []plugin.Platform{plugin.Host()}, Keyring: keyring,
	}
	again, err := p.Package(t.Context(), filepath.Dir(file))
	require.NoError(t, err)
	assert.Equal(t, file, again)
	assert.FileExists(t, file)
	assert.NoFileExists(t, file+".prov")
}

func TestPackageHasDescriptionAndProgram(t *testing.T) {
	t.Parallel()
	host := plugin.Host()
	binary := "pipeline-storage/bin/postrender-" + host.OS + "-" + host.Arch
	file, _ := packed(t, false)
	entries := entriesOf(t, file)

	assert.Len(t, entries, 4, "two directories and two files")
	assert.Contains(t, entries, "pipeline-storage/plugin.yaml")
	require.Contains(t, entries, binary)
	assert.NotZero(t, entries[binary].FileInfo().Mode()&0o111, "the program can be executed")
}

func TestPackageIsReproducible(t *testing.T) {
	t.Parallel()
	file, _ := packed(t, false)
	for name, header := range entriesOf(t, file) {
		assert.Empty(t, header.Uname, "%s: a user's name would change the bytes", name)
		assert.True(t, archive.Epoch.Equal(header.ModTime), "%s: so would a time", name)
	}
	first, err := os.ReadFile(file)
	require.NoError(t, err)
	second, err := os.ReadFile(pack(t, plugin.Packager{}))
	require.NoError(t, err)
	assert.Equal(t, sha256.Sum256(first), sha256.Sum256(second))
}

func TestReleaseVersionReplacesThatOfDescription(t *testing.T) {
	t.Parallel()
	p := plugin.Packager{
		Helm: parts.Require(t, "helm4")["helm4"], Version: "1.2.3-rc.1", Platforms: []plugin.Platform{plugin.Host()},
	}
	file, err := p.Package(t.Context(), t.TempDir())
	require.NoError(t, err)
	assert.Equal(t, "pipeline-storage-1.2.3-rc.1.tgz", filepath.Base(file))

	p.Version = "v1"
	_, err = p.Package(t.Context(), t.TempDir())
	assert.Error(t, err, "Helm wants a whole semantic version")
}

func TestRefusesKeyWithoutKeyring(t *testing.T) {
	t.Parallel()
	_, err := plugin.Packager{SignKey: signer}.Package(t.Context(), t.TempDir())
	assert.EqualError(t, err, `to sign with the key "`+signer+`", name a keyring that holds it: `+
		`gpg --export-secret-keys NAME >FILE`)
}

func TestRefusesKeyOutsideKeyring(t *testing.T) {
	t.Parallel()
	destination := t.TempDir()
	p := plugin.Packager{
		Helm: parts.Require(t, "helm4")["helm4"], Platforms: []plugin.Platform{plugin.Host()},
		SignKey: "unknown@example.com", Keyring: newKeyring(t),
	}
	_, err := p.Package(t.Context(), destination)
	require.Error(t, err)
	assert.NoFileExists(t, filepath.Join(destination, fileName))
}

// pack packs the plugin for this platform only: the other ones take minutes to build, and "make
// plugin" does.
func pack(t *testing.T, p plugin.Packager) string {
	t.Helper()
	p.Helm = parts.Require(t, "helm4")["helm4"]
	p.Platforms = []plugin.Platform{plugin.Host()}
	file, err := p.Package(t.Context(), t.TempDir())
	require.NoError(t, err)
	require.Equal(t, fileName, filepath.Base(file))
	return file
}

// packages are what packed has made: the files by name, of the signed package by true.
var packages = struct {
	sync.Mutex
	files map[bool]map[string][]byte
}{files: map[bool]map[string][]byte{}}

// packed returns a copy of the package that tests share, which it makes once. It is signed by a key in the keyring, or
// it is not, and there is no keyring.
func packed(t *testing.T, signed bool) (file, keyring string) {
	t.Helper()
	packages.Lock()
	defer packages.Unlock()
	if packages.files[signed] == nil {
		p := plugin.Packager{}
		if signed {
			p.SignKey, p.Keyring = signer, newKeyring(t)
		}
		packages.files[signed] = filesOf(t, filepath.Dir(pack(t, p)))
		if signed {
			maps.Copy(packages.files[signed], filesOf(t, filepath.Dir(p.Keyring)))
		}
	}
	dir := t.TempDir()
	for name, text := range packages.files[signed] {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), text, 0o600))
	}
	return filepath.Join(dir, fileName), filepath.Join(dir, keyringName)
}

// filesOf reads the package, its signature and the keyring, as far as they are in a directory.
func filesOf(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for _, name := range []string{fileName, fileName + ".prov", keyringName} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if !errors.Is(err, fs.ErrNotExist) {
			require.NoError(t, err)
			files[name] = text
		}
	}
	return files
}

func entriesOf(t *testing.T, file string) map[string]*tar.Header {
	t.Helper()
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	require.NoError(t, err)
	entries := map[string]*tar.Header{}
	for packed := tar.NewReader(unzipped); ; {
		header, err := packed.Next()
		if errors.Is(err, io.EOF) {
			return entries
		}
		require.NoError(t, err)
		entries[header.Name] = header
	}
}

// newKeyring makes a key that is thrown away with the test.
func newKeyring(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gpg") //nolint:usetesting // gpg's agent has a socket there: a path of 107 bytes at most
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	t.Cleanup(func() { gpg(t, dir, "gpgconf", "--kill", "all") })

	gpg(t, dir, "gpg", "--batch", "--pinentry-mode", "loopback", "--passphrase", "",
		"--quick-generate-key", signer, "rsa2048", "sign", "never")
	keyring := filepath.Join(dir, keyringName)
	gpg(t, dir, "gpg", "--batch", "--output", keyring, "--export-secret-keys")
	return keyring
}

func gpg(t *testing.T, home, name string, args ...string) {
	t.Helper()
	command := exec.Command(name, args...) // not t.Context(), which has ended when the agent is stopped
	command.Env = append(os.Environ(), "GNUPGHOME="+home)
	out, err := command.CombinedOutput()
	require.NoError(t, err, string(out))
}

// helmHome runs Helm 4 with directories of its own and nothing else of the environment.
type helmHome struct {
	program string
	env     []string
}

func newHome(t *testing.T) helmHome {
	t.Helper()
	dir := t.TempDir()
	return helmHome{parts.Require(t, "helm4")["helm4"], []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir,
		"HELM_DATA_HOME=" + dir + "/data", "HELM_CACHE_HOME=" + dir + "/cache", "HELM_CONFIG_HOME=" + dir + "/config",
	}}
}

func (h helmHome) helm(args ...string) (string, error) {
	command := exec.Command(h.program, args...)
	command.Env = h.env
	out, err := command.CombinedOutput()
	return string(out), err
}

func (h helmHome) rendersAnExample(t *testing.T) {
	t.Helper()
	out, err := h.helm("template", "nightly", "../examples/etl-cronjob", "--post-renderer", "pipeline-storage",
		"--post-renderer-args=--namespace=pipelines", "--post-renderer-args=--release=nightly")
	require.NoError(t, err, out)
	assert.Contains(t, out, "claimName: pvc-data-pipeline.nightly")
	assert.Contains(t, out, "# Source: pipeline-storage/storage.yaml")
}
