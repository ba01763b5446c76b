// Package suite is what the tests of one package share: a control plane, Helm, programs of this
// repository, and directories, all of which end with the tests.
//
//	func TestMain(m *testing.M) { os.Exit(suite.Main(m, controlplane.Options{})) }
//
//	func TestInstall(t *testing.T) {
//		suite.Helm(t, "helm4").Must(t, "install", "ps", "../../charts/pipeline-storage")
//	}
//
// Everything is made when the first test needs it, so that tests without it stay fast.
package suite

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/pipeline-storage/pipeline-storage/test/controlplane"
	"github.com/pipeline-storage/pipeline-storage/test/parts"
	"github.com/pipeline-storage/pipeline-storage/test/process"
	"github.com/pipeline-storage/pipeline-storage/test/scratch"
)

const (
	// LogsEnv names a directory for the logs of failed runs, in place of that for temporary files.
	LogsEnv = "PIPELINE_STORAGE_LOGS"

	// testsPerCore run at a time, where the command line does not set -parallel: most of them wait for the
	// API server, for Helm, or for a limit of the program.
	testsPerCore = 4

	dirPrefix   = "pipeline-storage-suite-"
	dirMode     = 0o755
	privateMode = 0o600
)

// shared is what Main ends.
var shared struct {
	dir     *scratch.Dir
	options controlplane.Options

	once  sync.Once
	plane *controlplane.ControlPlane
	err   error

	programs sync.Map // the path of a program, or its error, by package
}

// Main runs the tests of a package and returns the exit code. Four tests per core run at a time where the
// command line does not set -parallel. The options are those of the control plane that the tests share.
// When a test has failed, Main saves the logs of the control plane and prints their ends.
func Main(m *testing.M, options controlplane.Options) int {
	log.SetLogger(logr.Discard())
	code, err := run(m, options)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	return code
}

func run(m *testing.M, options controlplane.Options) (code int, err error) {
	if shared.dir, err = scratch.New(dirPrefix, nil); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, shared.dir.Remove()) }()
	if err := flag.Set("test.parallel", strconv.Itoa(testsPerCore*runtime.GOMAXPROCS(0))); err != nil {
		return 1, err
	}
	shared.options = options
	code = m.Run()
	if shared.plane == nil {
		return code, nil
	}
	if code != 0 {
		logs := shared.plane.Logs()
		fmt.Fprintln(os.Stderr, logs.Tails())
		replicas := process.LogsIn(filepath.Join(shared.dir.Path, "*", "*"))
		SaveLogs(os.Stderr, slices.Concat(logs, replicas), shared.dir.Path)
	}
	return code, shared.plane.Stop()
}

// SaveLogs copies logs into a new directory below the one that LogsEnv names, or else below that for temporary
// files, and prints which one that is. Packages that run beside each other have a directory each. The roots are
// those of [process.Logs.CopyTo].
func SaveLogs(out io.Writer, logs process.Logs, roots ...string) {
	below := cmp.Or(os.Getenv(LogsEnv), os.TempDir())
	err := os.MkdirAll(below, dirMode)
	wd, _ := os.Getwd() // the package's
	dir, failed := os.MkdirTemp(below, filepath.Base(wd)+"-logs-")
	if err = errors.Join(err, failed); err == nil {
		err = logs.CopyTo(dir, roots...)
	}
	if err != nil {
		fmt.Fprintln(out, err)
		return
	}
	fmt.Fprintln(out, "the whole logs are in "+dir)
}

// Plane returns the control plane that the tests of the package share.
func Plane(tb testing.TB) *controlplane.ControlPlane {
	tb.Helper()
	shared.once.Do(func() { shared.plane, shared.err = controlplane.Start(context.Background(), shared.options) })
	if shared.err != nil {
		tb.Fatalf("this test needs a control plane: %v", shared.err)
	}
	return shared.plane
}

// RESTConfig returns a configuration for an administrator's clients, without a rate limit and without
// warnings on standard error. Each call returns one of its own, which the caller may change.
func RESTConfig(tb testing.TB) *rest.Config {
	tb.Helper()
	config := Plane(tb).RESTConfig()
	config.WarningHandler = rest.NoWarnings{}
	return config
}

// Kubernetes returns an administrator's client for the kinds of Kubernetes itself.
func Kubernetes(tb testing.TB) kubernetes.Interface {
	tb.Helper()
	client, err := kubernetes.NewForConfig(RESTConfig(tb))
	if err != nil {
		tb.Fatalf("make a client: %v", err)
	}
	return client
}

// Dynamic returns an administrator's client for all kinds.
func Dynamic(tb testing.TB) dynamic.Interface {
	tb.Helper()
	client, err := dynamic.NewForConfig(RESTConfig(tb))
	if err != nil {
		tb.Fatalf("make a client: %v", err)
	}
	return client
}

// Dir returns a directory that all tests of the package share and that is removed when they have ended.
func Dir(tb testing.TB) string {
	tb.Helper()
	return shared.dir.Path
}

// Program builds a program of this repository, such as "cmd/webhook", and returns its path. It is built
// once for the tests of a package.
func Program(tb testing.TB, pkg string) string {
	tb.Helper()
	build, _ := shared.programs.LoadOrStore(pkg, sync.OnceValues(func() (string, error) {
		file := filepath.Join(shared.dir.Path, "programs", filepath.Base(pkg))
		return file, parts.Compile(context.Background(), pkg, file)
	}))
	file, err := build.(func() (string, error))() //nolint:forcetypeassert // nothing else is stored
	if err != nil {
		tb.Fatal(err)
	}
	return file
}
