// Package image_test checks the contract of the Dockerfile without a container engine: the tool of
// tools/image lets BuildKit's own frontend read it, and executes its steps.
package image_test

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/test/parts"
)

const (
	repository = "../.."
	version    = "1.2.3"
	revision   = "0123456789abcdef0123456789abcdef01234567"
	name       = "registry.example.com/pipeline-storage:1.2.3"
	user       = 65532

	// sizeLimit is the most that a node may have to pull, in bytes: both binaries, compressed. It
	// was 17 MiB when this was written, most of it the Kubernetes client and API types.
	sizeLimit = 24 << 20
)

var machines = map[string]elf.Machine{"linux/amd64": elf.EM_X86_64, "linux/arm64": elf.EM_AARCH64}

// run runs the tool that checks and builds the image, and returns what it prints.
func run(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()

	var out, messages bytes.Buffer

	command := exec.CommandContext(t.Context(), parts.Require(t, "image")["image"], args...)
	command.Stdout = &out
	command.Stderr = &messages
	err = command.Run()

	return out.String(), messages.String(), err
}

// build builds the image into a new directory.
func build(t *testing.T, dir string, args ...string) {
	t.Helper()

	_, stderr, err := run(t, append([]string{
		"build", "-context", repository, "-output", dir,
		"-build-arg", "VERSION=" + version, "-build-arg", "REVISION=" + revision,
	}, args...)...)
	require.NoError(t, err, stderr)
}

func newLayout(t *testing.T) string {
	t.Helper()

	return filepath.Join(t.TempDir(), "layout")
}

// TestImage builds the image from the Dockerfile, for every platform, and checks what a container
// engine would run.
func TestImage(t *testing.T) {
	t.Parallel()

	dir, second := newLayout(t), newLayout(t)

	t.Run("build", func(t *testing.T) { // a link uses one core
		t.Run("all platforms", func(t *testing.T) {
			t.Parallel()
			build(t, dir, "-name", name)
		})
		t.Run("one again", func(t *testing.T) {
			t.Parallel()
			build(t, second, "-platform", "linux/amd64")
		})
	})

	images, entry := readLayout(t, dir)

	assert.Equal(t, map[string]string{
		"io.containerd.image.name": name, "org.opencontainers.image.ref.name": version,
	}, entry.Annotations)
	require.Len(t, images, len(machines))

	for platform, machine := range machines {
		t.Run(platform, func(t *testing.T) {
			require.Contains(t, images, platform)
			image := images[platform]

			t.Logf("%s: %d bytes to pull", platform, image.size)
			assert.LessOrEqual(t, image.size, int64(sizeLimit))
			assert.Equal(t, platform, image.OS+"/"+image.Architecture)

			t.Run("configuration", func(t *testing.T) { checkConfiguration(t, image) })
			t.Run("files", func(t *testing.T) { checkFiles(t, image) })

			for _, binary := range []string{"webhook", "postrender"} {
				t.Run(binary, func(t *testing.T) { checkBinary(t, filepath.Join(image.root, binary), machine) })
			}
		})
	}

	t.Run("both programs run in it", func(t *testing.T) { checkPrograms(t, images) })

	t.Run("the same sources give the same image", func(t *testing.T) {
		// Each build is made in a directory of its own.
		again, _ := readLayout(t, second)
		assert.Equal(t, images["linux/amd64"].digest, again["linux/amd64"].digest)
	})
}

func checkConfiguration(t *testing.T, image platformImage) {
	t.Helper()

	config := image.Config
	assert.Equal(t, "65532:65532", config.User, "by number, or the kubelet cannot see that it is not root")
	assert.Equal(t, []string{"/webhook"}, config.Entrypoint)
	assert.Empty(t, config.Cmd)
	assert.Equal(t, "/home/nonroot", config.WorkingDir)
	assert.Equal(t, map[string]struct{}{"9443/tcp": {}, "8080/tcp": {}, "8081/tcp": {}}, config.ExposedPorts)
	assert.Equal(t, []string{"NONE"}, config.Healthcheck.Test)
	assert.Equal(t, map[string]string{
		"org.opencontainers.image.title": "pipeline-storage",
		"org.opencontainers.image.description": "Durable storage for the pods of data pipelines: admission webhook and " +
			"Helm post-renderer",
		"org.opencontainers.image.licenses":  "Apache-2.0",
		"org.opencontainers.image.source":    "https://github.com/pipeline-storage/pipeline-storage",
		"org.opencontainers.image.version":   version,
		"org.opencontainers.image.revision":  revision,
		"org.opencontainers.image.base.name": "gcr.io/distroless/static-debian12:nonroot",
	}, config.Labels)

	for _, variable := range config.Env {
		assert.Regexp(t, "^(PATH|SSL_CERT_FILE)=", variable, "only what the base image sets")
	}
}

// checkFiles checks that the image holds the two binaries, what stands in for its base, and nothing
// else.
func checkFiles(t *testing.T, image platformImage) {
	t.Helper()

	var names []string

	for _, file := range image.files {
		names = append(names, file.Name)
		assert.Zero(t, file.ModTime.Unix(), "%s: a time would change the digest", file.Name)

		if file.Name != "home/nonroot/" {
			assert.Zero(t, file.Uid+file.Gid, "%s belongs to root, so that the program cannot change it", file.Name)
		}
	}

	slices.Sort(names)
	assert.Equal(t, []string{
		"etc/", "etc/group", "etc/passwd", "home/", "home/nonroot/", "postrender", "root/", "tmp/", "webhook",
	}, names)
}

// checkBinary checks that a binary needs nothing of the image: no loader, no library, no cgo.
func checkBinary(t *testing.T, path string, machine elf.Machine) {
	t.Helper()

	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o755), info.Mode())

	binary, err := elf.Open(path)
	require.NoError(t, err)
	defer binary.Close()

	assert.Equal(t, machine, binary.Machine)
	assert.Nil(t, binary.Section(".debug_info"), "stripped")

	for _, program := range binary.Progs {
		assert.NotEqual(t, elf.PT_INTERP, program.Type, "a loader is not in the image")
		assert.NotEqual(t, elf.PT_DYNAMIC, program.Type, "nor is a library")
	}

	made, err := buildinfo.ReadFile(path)
	require.NoError(t, err)

	settings := map[string]string{}
	for _, setting := range made.Settings {
		settings[setting.Key] = setting.Value
	}

	assert.Equal(t, "0", settings["CGO_ENABLED"])
	assert.Equal(t, "true", settings["-trimpath"])
	assert.NotContains(t, settings, "vcs.revision",
		"the label has the revision, so that a commit need not change the binary")
}

// checkPrograms runs the programs for this machine, as root in the image's own files and as its own
// user.
func checkPrograms(t *testing.T, images map[string]platformImage) {
	t.Helper()

	image, ok := images[runtime.GOOS+"/"+runtime.GOARCH]
	if !ok {
		t.Skipf("not covered: the programs run. No platform of the image is %s/%s", runtime.GOOS, runtime.GOARCH)
	}

	for _, program := range []string{"webhook", "postrender"} {
		command := exec.CommandContext(t.Context(), filepath.Join(image.root, program), "--version")

		if os.Geteuid() == 0 {
			require.NoError(t, os.Chmod(image.root, 0o755))

			command = exec.CommandContext(t.Context(), "/"+program, "--version")
			command.Dir = "/"
			command.Env = image.Config.Env
			command.SysProcAttr = &syscall.SysProcAttr{
				Chroot: image.root, Credential: &syscall.Credential{Uid: user, Gid: user, NoSetGroups: true},
			}
		}

		out, err := command.CombinedOutput()
		require.NoError(t, err, "%s: %s", program, out)
		assert.Contains(t, string(out), version, program)
	}

	if os.Geteuid() != 0 {
		t.Skip("not covered: the programs run in the image's own files. Without root they ran in this machine's")
	}
}

// TestCompiler checks that the Dockerfile's compiler has the release to which the tools are pinned.
func TestCompiler(t *testing.T) {
	t.Parallel()

	module, err := os.ReadFile(filepath.Join(repository, "tools", "go.mod"))
	require.NoError(t, err)

	_, rest, found := strings.Cut(string(module), "\ngo ")
	require.True(t, found)

	wanted, _, _ := strings.Cut(rest, "\n")

	assert.Contains(t, ourDockerfile(t), "\nARG GO_NAME=docker.io/library/golang:"+wanted+"\n")
}

// TestContext builds an image of the whole build context: what .dockerignore lets through.
func TestContext(t *testing.T) {
	t.Parallel()

	file := write(t,
		"# check=error=true;experimental=all\nFROM gcr.io/distroless/static-debian12:nonroot\nCOPY . /context/\n")
	dir := newLayout(t)
	build(t, dir, "-file", file, "-platform", "linux/amd64")

	images, _ := readLayout(t, dir)

	var entries []string

	for _, header := range images["linux/amd64"].files {
		path, inContext := strings.CutPrefix(header.Name, "context/")
		if !inContext || path == "" {
			continue
		}

		if top, below, _ := strings.Cut(path, "/"); below == "" {
			entries = append(entries, top)
		}

		assert.NotContains(t, path, "_test.go")
		assert.NotContains(t, path, "testdata/")
	}

	assert.Equal(t, []string{"cmd", "go.mod", "go.sum", "internal", "pkg"}, entries)
}

// TestCheck puts faults into the Dockerfile that BuildKit's checks must find.
func TestCheck(t *testing.T) {
	t.Parallel()

	cases := map[string]struct {
		old, new string
		expected string
	}{
		"no fault": {},
		"a maintainer": {
			"USER 65532:65532", "MAINTAINER someone\nUSER 65532:65532",
			"MaintainerDeprecated",
		},
		"two stages of one name": {
			"\nFROM ${BASE_NAME}", "\nFROM scratch AS build\n\nFROM ${BASE_NAME}",
			"DuplicateStageName",
		},
		"a reserved stage name":      {"AS build\n", "AS context\n", "ReservedStageName"},
		"an entry point for a shell": {`ENTRYPOINT ["/webhook"]`, "ENTRYPOINT /webhook", "JSONArgsRecommended"},
		"two entry points": {
			"ENTRYPOINT", "ENTRYPOINT [\"/postrender\"]\nENTRYPOINT",
			"MultipleInstructionsDisallowed",
		},
		"instructions in two cases":    {"USER 65532", "user 65532", "ConsistentInstructionCasing"},
		"a secret as an argument":      {"ARG TARGETOS", "ARG API_TOKEN\nARG TARGETOS", "SecretsUsedInArgOrEnv"},
		"a variable that is never set": {`version="$VERSION"`, `version="$VERSIN"`, "UndefinedVar"},
		"a base that is never set":     {"FROM ${BASE_NAME}", "FROM ${BASE}${BASE_NAME}", "UndefinedArgInFrom"},
		"a base without a default": {
			"ARG BASE_NAME=gcr.io/distroless/static-debian12:nonroot", "ARG BASE_NAME",
			"InvalidDefaultArgInFrom",
		},
		"a working directory below another": {"WORKDIR /src", "WORKDIR src", "WorkdirRelativePath"},
		"a fixed platform": {
			"--platform=$BUILDPLATFORM", "--platform=linux/amd64",
			"FromPlatformFlagConstDisallowed",
		},
		"an invalid port":              {"EXPOSE 9443", "EXPOSE 9443/TCP", "ExposeProtoCasing"},
		"an old form of setting":       {"USER 65532:65532", "ENV A b\nUSER 65532:65532", "LegacyKeyValueFormat"},
		"an invalid instruction":       {"USER 65532:65532", "USR 65532:65532", "unknown instruction: USR"},
		"a stage that is not there":    {"--from=build", "--from=builder", "builder"},
		"checks that are switched off": {"error=true;experimental=all", "skip=all", "does not require every check"},
		"findings that are not errors": {"error=true;", "", "does not require every check"},
		"a check skipped once": {
			"USER 65532:65532", "# check=skip=all\nUSER 65532:65532",
			"skips checks for one instruction",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			repositoryDockerfile := ourDockerfile(t)
			require.True(t, tc.old == "" || strings.Contains(repositoryDockerfile, tc.old), "%q is not in the Dockerfile",
				tc.old)

			findings, message, err := run(t, "check", "-file",
				write(t, strings.Replace(repositoryDockerfile, tc.old, tc.new, 1)))
			if tc.expected == "" {
				require.NoError(t, err, findings+message)
				assert.Empty(t, findings)

				return
			}

			require.Error(t, err)
			assert.Contains(t, findings+message, tc.expected)
		})
	}
}

// TestBuildRefuses gives the tool what it cannot build as a container engine would: it must not
// build something else.
func TestBuildRefuses(t *testing.T) {
	t.Parallel()

	const repositoryDockerfile = "FROM gcr.io/distroless/static-debian12:nonroot\n"

	cases := map[string]struct {
		dockerfile string
		args       []string
		expected   string
	}{
		"a base image that nothing stands in for": {
			"FROM docker.io/library/alpine:3\n", nil,
			"docker.io/library/alpine has no stand-in",
		},
		"no base image":   {"FROM scratch\nCOPY go.mod /\n", nil, "has no base image"},
		"an ignored file": {repositoryDockerfile + "COPY README.md /\n", nil, "does .dockerignore exclude it?"},
		"a download": {
			repositoryDockerfile + "ADD https://example.com/a /\n", nil,
			"cannot fetch https://example.com/a",
		},
		"another owner": {
			repositoryDockerfile + "COPY --chown=1:1 go.mod /\n", nil,
			"the only flags of COPY that it supports are --from",
		},
		"a step that fails": {
			"FROM docker.io/library/golang:1.26.8 AS build\nWORKDIR /src\nRUN echo broken; exit 3\n" + repositoryDockerfile +
				"COPY --from=build /src /\n",
			nil, "exit status 3",
		},
		"a secret": {
			"FROM docker.io/library/golang:1.26.8 AS build\nRUN --mount=type=secret,id=a true\n" + repositoryDockerfile +
				"COPY --from=build /src /\n",
			nil, "cannot mount",
		},
		"an invalid platform": {
			repositoryDockerfile,
			[]string{"-platform", "linux/amd64/v9/x"},
			`the platform "linux/amd64/v9/x"`,
		},
		"a name without a tag":    {repositoryDockerfile, []string{"-name", "registry.example.com:5000/a"}, "has no tag"},
		"a directory that exists": {repositoryDockerfile, []string{"-output", "."}, ". exists: name a new directory"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			_, message, err := run(t, append([]string{
				"build", "-context", repository, "-file", write(t, tc.dockerfile),
				"-output", newLayout(t), "-platform", "linux/amd64",
			}, tc.args...)...)
			require.Error(t, err)
			assert.Contains(t, message, tc.expected)
		})
	}
}

func ourDockerfile(t *testing.T) string {
	t.Helper()

	text, err := os.ReadFile(filepath.Join(repository, "Dockerfile"))
	require.NoError(t, err)

	return string(text)
}

// write writes a Dockerfile and returns its path.
func write(t *testing.T, text string) string {
	t.Helper()

	path := filepath.Join(t.TempDir(), "Dockerfile")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))

	return path
}

// TestAppendsStages builds stages of a Dockerfile into one layout, from a context that ignores nothing.
func TestAppendsStages(t *testing.T) {
	t.Parallel()

	context, layout := t.TempDir(), filepath.Join(t.TempDir(), "layout")
	require.NoError(t, os.WriteFile(filepath.Join(context, "a"), []byte("text"), 0o600))

	file := write(t, "FROM gcr.io/distroless/static-debian12 AS base\n\n"+
		"FROM base AS first\nCOPY a /first\n\nFROM base AS last\nCOPY a /last\n")
	for _, stage := range []string{"first", "last"} {
		_, stderr, err := run(t, "build", "-context", context, "-file", file, "-target", stage, "-platform", "linux/amd64",
			"-output", layout, "-append", "-name", "registry.example.com/"+stage+":1")
		require.NoError(t, err, stderr)
	}

	index, err := os.ReadFile(filepath.Join(layout, "index.json"))
	require.NoError(t, err)
	assert.Contains(t, string(index), `"registry.example.com/first:1"`)
	assert.Contains(t, string(index), `"registry.example.com/last:1"`)
}
