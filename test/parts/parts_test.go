package parts

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	helloMod  = "module example.com/hello\n\ngo 1.26.0\n\nrequire example.com/pinned v0.37.2\n"
	helloMain = "package main\n\nvar stamped = \"nothing\"\n\nfunc main() { print(stamped) }\n"
)

// hello is a part as small as can be, built from a module of the test's own.
var hello = part{module: "hello", pkg: "."}

func TestBuildsOnceAndCaches(t *testing.T) {
	t.Parallel()

	b := newHello(t)

	path, err := pathOf(t, b, hello)
	require.NoError(t, err)
	assert.Equal(t, "nothing", output(t, path))
	assert.True(t, filepath.IsAbs(path))

	built, err := os.Stat(path)
	require.NoError(t, err)

	again, err := pathOf(t, b, hello)
	require.NoError(t, err)
	assert.Equal(t, path, again)

	cached, err := os.Stat(again)
	require.NoError(t, err)
	assert.True(t, os.SameFile(built, cached), "the second call should not build")
}

func TestParallelCallsBuildOnce(t *testing.T) {
	b := newHello(t)

	log := logGo(t, "build")

	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			_, err := pathOf(t, b, hello)
			assert.NoError(t, err)
		})
	}

	wait.Wait()

	assert.Equal(t, "build\n", string(read(t, log)))
}

func TestModulesComeBesideBuilds(t *testing.T) {
	b := newHello(t)
	log := logGo(t, "list")

	_, _, err := buildCopies(t, b, []string{"small", "large"})
	require.NoError(t, err)
	assert.Equal(t, "list\nlist\n", string(read(t, log)))

	_, _, err = buildCopies(t, b, []string{"small", "large"})
	require.NoError(t, err)
	assert.Equal(t, "list\nlist\n", string(read(t, log)), "nothing should be fetched for what is there")
}

func TestPathDependsOnInputs(t *testing.T) {
	t.Parallel()

	cases := map[string]func(t *testing.T, b builder) part{
		"go.sum": func(t *testing.T, b builder) part {
			t.Helper()
			write(t, filepath.Join(b.tools, "hello", "go.sum"), "example.com/a v1.0.0 h1:a=\n")

			return hello
		},
		"go.mod": func(t *testing.T, b builder) part {
			t.Helper()
			write(t, filepath.Join(b.tools, "hello", "go.mod"), helloMod+"\n// changed\n")

			return hello
		},
		"source": func(t *testing.T, b builder) part {
			t.Helper()
			write(t, filepath.Join(b.tools, "hello", "main.go"), helloMain+"\n// changed\n")

			return hello
		},
		"package": func(*testing.T, builder) part { return part{module: "hello", pkg: "./other"} },
		"stamps": func(*testing.T, builder) part {
			return part{module: "hello", pkg: ".", stamps: []stamp{{"main.stamped", "example.com/pinned", whole}}}
		},
	}

	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			b := newHello(t)
			before := keyOf(t, b, hello)

			assert.Equal(t, before, keyOf(t, b, hello), "the key should not change while nothing changes")
			assert.NotEqual(t, before, keyOf(t, b, change(t, b)))
		})
	}
}

func TestStampsPinnedVersion(t *testing.T) {
	t.Parallel()

	b := newHello(t)

	path, err := pathOf(t, b, part{
		module: "hello", pkg: ".", stamps: []stamp{{"main.stamped", "example.com/pinned", minor}},
	})

	require.NoError(t, err)
	assert.Equal(t, "37", output(t, path))
}

func TestStampRequiresPinnedModule(t *testing.T) {
	t.Parallel()

	_, err := pathOf(t, newHello(t), part{
		module: "hello", pkg: ".", stamps: []stamp{{"main.stamped", "example.com/other", whole}},
	})

	require.EqualError(t, err, `prepare to build hello: tools/hello/go.mod does not require example.com/other: `+
		`run "go mod tidy" there`)
}

func TestFailedBuildReportsCompilerOutput(t *testing.T) {
	t.Parallel()

	b := newHello(t)
	write(t, filepath.Join(b.tools, "hello", "main.go"), "package main\n\nfunc main() { missing() }\n")

	_, err := pathOf(t, b, hello)

	require.ErrorContains(t, err, "build hello in tools/hello: exit status 1")
	require.ErrorContains(t, err, "undefined: missing")
	require.ErrorContains(t, err, `run "go mod download" there`)

	log := filepath.Join(b.cache, "hello-"+keyOf(t, b, hello), logName)
	assert.True(t, strings.HasSuffix(err.Error(), "\nthe whole output of the build is in "+log), "%s", err)
	assert.Equal(t, []string{log}, left(t, b), "a failed build should leave nothing that looks built")
	assert.Contains(t, string(read(t, log)), "undefined: missing")

	write(t, filepath.Join(b.tools, "hello", "main.go"), helloMain)

	path, err := pathOf(t, b, hello)
	require.NoError(t, err, "a fixed build should work")
	assert.NoFileExists(t, filepath.Join(filepath.Dir(path), logName))
}

func TestRemovesRemainsOfKilledBuild(t *testing.T) {
	t.Parallel()

	b := newHello(t)
	dir := filepath.Join(b.cache, "hello-"+keyOf(t, b, hello))
	write(t, filepath.Join(dir, "building", "hello"), "half a program")

	_, err := pathOf(t, b, hello)

	require.NoError(t, err)
	assert.NoDirExists(t, filepath.Join(dir, "building"))
}

func TestEnvironmentDoesNotChangeProgram(t *testing.T) {
	b := newHello(t)
	want, err := pathOf(t, b, hello)
	require.NoError(t, err)
	require.NoError(t, os.Remove(want))

	other := "windows"
	if runtime.GOOS == other {
		other = "linux"
	}

	t.Setenv("GOFLAGS", "-mod=vendor -tags=no")
	t.Setenv("GOOS", other)
	t.Setenv("GOWORK", "/nowhere/go.work")

	got, err := pathOf(t, b, hello)
	require.NoError(t, err)
	assert.Equal(t, want, got)
	assert.Equal(t, "nothing", output(t, got), "it should run on this machine")
}

func TestPrefersAssets(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(AssetsEnv, dir)
	t.Setenv(CacheEnv, filepath.Join(dir, "cache"))

	for _, name := range []string{"etcd", "kube-apiserver"} {
		_, err := Path(t.Context(), name)
		require.ErrorContains(t, err, "holds no program "+name, "a wrong directory should be reported")

		write(t, filepath.Join(dir, name), "#!/bin/sh\n")
		_, err = Path(t.Context(), name)
		require.ErrorContains(t, err, "holds no program "+name, "the file cannot be run")

		require.NoError(t, os.Chmod(filepath.Join(dir, name), 0o755))
		path, err := Path(t.Context(), name)
		require.NoError(t, err)
		assert.Equal(t, filepath.Join(dir, name), path)
	}

	assert.NoDirExists(t, filepath.Join(dir, "cache"), "nothing should be built")
}

func TestCacheDirectoryFromEnvironment(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(CacheEnv, dir)

	path, err := Path(t.Context(), "gofumpt")

	require.NoError(t, err)
	assert.Equal(t, filepath.Join(dir, "parts"), filepath.Dir(filepath.Dir(path)))
	assert.NotEmpty(t, output(t, path, "-version"))
}

func TestRefusesUnknownName(t *testing.T) {
	t.Parallel()

	_, err := Path(t.Context(), "helm5")

	require.ErrorContains(t, err, `there is no part "helm5": use one of actionlint, benchstat, bridge, `)
}

func TestRequiresRepository(t *testing.T) {
	t.Chdir(t.TempDir())

	_, err := Path(t.Context(), "yq")

	require.ErrorContains(t, err, "run inside a clone of it")
}

func TestCompileReportsCompilersOutput(t *testing.T) {
	file := filepath.Join(t.TempDir(), "nothing")
	require.ErrorContains(t, Compile(t.Context(), "test/parts/nothing", file), "build test/parts/nothing: exit status 1")
}

func TestRequireFailsTest(t *testing.T) {
	t.Parallel()

	fake := &failing{TB: t}

	func() {
		defer func() { _ = recover() }()

		Require(fake, "helm5")
	}()

	assert.Contains(t, fake.message, `this test needs the program helm5: there is no part "helm5"`)
}

func TestHelmsReportTheirVersionAndKubernetes(t *testing.T) {
	t.Parallel()

	b, err := newBuilder()
	require.NoError(t, err)

	chart := t.TempDir()
	write(t, filepath.Join(chart, "Chart.yaml"), "apiVersion: v2\nname: a\nversion: 1.0.0\nkubeVersion: \">=1.36.0\"\n")
	write(t, filepath.Join(chart, "templates", "a.yaml"), "version: {{ .Capabilities.KubeVersion }}\n")

	for name, helm := range Require(t, "helm3", "helm4") {
		pins, err := b.pins(t.Context(), table[name].module)
		require.NoError(t, err)

		module := map[string]string{"helm3": helm3, "helm4": helm4}[name]
		assert.Equal(t, pins[module], output(t, helm, "version", "--template", "{{.Version}}"), name)

		assert.Contains(t, output(t, helm, "template", chart), "version: v1."+minor(pins[clientGo])+".", name)
	}
}

func TestEveryPartHasEstimate(t *testing.T) {
	t.Parallel()

	for _, name := range Names() {
		assert.Positive(t, table[name].cpu, name)
	}
}

func TestEveryPartIsPinned(t *testing.T) {
	t.Parallel()

	b, err := newBuilder()
	require.NoError(t, err)

	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			_, err := b.arguments(t.Context(), table[name])
			require.NoError(t, err)

			// Without its imports, whose modules only a build needs.
			_, err = b.run(t.Context(), table[name].module, "list", "-find", table[name].pkg)
			require.NoError(t, err)
		})
	}
}

func TestCompileLinksOnce(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	tool := filepath.Join(t.TempDir(), "tool")
	script := fmt.Sprintf("#!/bin/sh\n[ \"$2\" = -V=full ] || basename \"$1\" >>%q\nexec \"$@\"\n", log)
	require.NoError(t, os.WriteFile(tool, []byte(script), 0o755))
	write(t, log, "")
	t.Setenv("GOFLAGS", "-toolexec="+tool)

	files := []string{filepath.Join(t.TempDir(), "a", "one"), filepath.Join(t.TempDir(), "another")}
	require.NoError(t, Compile(t.Context(), "test/bench/copy", files[0]))

	linked := read(t, log) // nothing, if an earlier run has linked it
	require.NoError(t, Compile(t.Context(), "test/bench/copy", files[1]))
	assert.Equal(t, string(linked), string(read(t, log)))
	assert.Equal(t, read(t, files[0]), read(t, files[1]))
	assert.True(t, executable(files[0]) && executable(files[1]))
}

// failing is a test that records why it failed, and stops as a real one does.
type failing struct {
	testing.TB

	message string
}

func (f *failing) Fatalf(format string, args ...any) {
	f.message = fmt.Sprintf(format, args...)

	panic("stopped")
}

// logGo puts a go command before the real one that writes each subcommand of this name to the log.
func logGo(t *testing.T, subcommand string) (log string) {
	t.Helper()

	goCommand, err := exec.LookPath("go")
	require.NoError(t, err)

	bin := t.TempDir()
	log = filepath.Join(bin, "log")
	script := fmt.Sprintf("#!/bin/sh\n[ \"$1\" != %[1]s ] || echo %[1]s >>%[2]q\nexec %[3]q \"$@\"\n",
		subcommand, log, goCommand)
	require.NoError(t, os.WriteFile(filepath.Join(bin, "go"), []byte(script), 0o755))
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))

	return log
}

// newHello returns a builder with one module, hello, which needs no other; its go.mod names one
// only for the stamps.
func newHello(t *testing.T) builder {
	t.Helper()

	b := builder{tools: t.TempDir(), cache: t.TempDir()}
	write(t, filepath.Join(b.tools, "hello", "go.mod"), helloMod)
	write(t, filepath.Join(b.tools, "hello", "main.go"), helloMain)
	write(t, filepath.Join(b.tools, "hello", "other", "main.go"), helloMain)

	return b
}

// pathOf builds a part of the module hello and returns its path.
func pathOf(t *testing.T, b builder, p part) (string, error) {
	t.Helper()

	found, err := b.find(t.Context(), "hello", p)
	if err != nil {
		return "", err
	}

	built, err := b.all(t.Context(), io.Discard, []program{found})
	if err != nil {
		return "", err
	}

	return built[0].Path, nil
}

func keyOf(t *testing.T, b builder, p part) string {
	t.Helper()

	args, err := b.arguments(t.Context(), p)
	require.NoError(t, err)
	key, err := b.key(t.Context(), p, args)
	require.NoError(t, err)

	return key
}

// left returns the files in the cache that are not locks.
func left(t *testing.T, b builder) []string {
	t.Helper()

	var files []string

	require.NoError(t, filepath.WalkDir(b.cache, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && entry.Name() != "lock" {
			files = append(files, path)
		}

		return err
	}))

	return files
}

func output(t *testing.T, program string, args ...string) string {
	t.Helper()

	out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
	require.NoError(t, err, "%s", out)

	return strings.TrimSpace(string(out))
}

func read(t *testing.T, path string) []byte {
	t.Helper()

	text, err := os.ReadFile(path)
	require.NoError(t, err)

	return text
}

func write(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}
