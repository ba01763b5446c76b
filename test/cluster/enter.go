package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/gofrs/flock"

	"github.com/pipeline-storage/pipeline-storage/test/node"
	"github.com/pipeline-storage/pipeline-storage/test/parts"
)

const (
	// insideEnv names the directory that the outer process made, for the process inside of the
	// namespaces.
	insideEnv = "PIPELINE_STORAGE_CLUSTER_INSIDE"
	// LogsEnv names a directory for the logs of a failed run, in place of a new temporary one.
	LogsEnv = "PIPELINE_STORAGE_LOGS"

	dirPrefix    = "pipeline-storage-cluster-"
	lockFile     = "lock"
	refusedFile  = "refused"
	programsDir  = "programs"
	stateDir     = "state"
	logsDir      = "logs"
	tempDir      = "tmp"
	reportedFile = "reported"
	// hostPathDir is where the controller manager's host-path provisioner makes its directories.
	hostPathDir = "/tmp/hostpath_pv"
	dirMode     = 0o755
	fileMode    = 0o644
	exitFailure = 1
)

// neededParts are built before the namespaces are entered, because no network leads out of them.
var neededParts = []string{
	"helm3", "helm4", "kubectl", "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler",
}

// Setup is what the tests of one package need.
type Setup struct {
	Options
	// Programs are Go packages to build without cgo, each under the name that Program takes, as "go
	// build" takes them in the directory of the tests: "../../cmd/webhook".
	Programs map[string]string
	// Before runs when the cluster is up, before the first test. This is the place to register
	// programs.
	Before func(ctx context.Context, c *Cluster) error
	// After runs when all tests have passed, with the cluster still up. Its error fails the run.
	After func(ctx context.Context, c *Cluster) error
}

// isolated is set in the process that has the namespaces; programs is where the built programs are.
var (
	isolated bool
	programs string
)

// Isolated reports whether this process has a network of its own, so that pods with a program run
// for real. Where it is false, a test calls the webhook by a URL on 127.0.0.1 and reports by
// Uncovered what it did not show.
func Isolated() bool { return isolated }

// Program returns the path of a program of Setup.Programs.
func Program(name string) string { return filepath.Join(programs, name) }

// Uncovered prints loudly, and not only with -v, what a test could not show without a network of
// its own.
func Uncovered(tb testing.TB, what string) {
	tb.Helper()

	fmt.Fprintf(os.Stderr, "*** NOT COVERED: %s: %s: this machine allows no network namespace\n", tb.Name(), what)
	tb.Logf("not covered: %s", what)
}

// Main runs the tests of a package with a cluster and returns the exit code, for TestMain:
//
//	func TestMain(m *testing.M) { os.Exit(cluster.Main(m, setup)) }
//
// On Linux it builds what is needed and then starts the test program again, with the same
// arguments, in a network and a mount namespace of its own. Signals and the exit code pass through,
// and the inner process dies with the outer one. Where that is not allowed, Main prints so and runs
// the tests without, see Isolated.
func Main(m *testing.M, setup Setup) (code int) {
	if dir := os.Getenv(insideEnv); dir != "" {
		return inside(m, setup, dir)
	}

	code, err := outside(context.Background(), m, setup)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)

		return exitFailure
	}

	return code
}

func outside(ctx context.Context, m *testing.M, setup Setup) (code int, err error) {
	dir, release, err := newDir()
	if err != nil {
		return exitFailure, err
	}

	defer func() { err = errors.Join(err, release()) }()

	if err := prepare(ctx, dir, setup.Programs); err != nil {
		return exitFailure, err
	}

	if setup.RealNode {
		return outsideOfNode(ctx, m, dir)
	}

	code, refused := enter(dir, func(int) {})
	if refused == nil {
		_ = os.Remove(hostPathDir) // the mount point that isolate made; anything else is not empty
		salvage(dir, code)

		return code, nil
	}

	fmt.Fprintf(os.Stderr, "*** NOT ISOLATED: pods with a program will not run: %v\n", refused)

	return run(ctx, m, setup, dir), nil
}

// newDir makes the directory that the outer and the inner process share, and removes those whose
// processes were killed: no process holds their lock.
func newDir() (dir string, release func() error, err error) {
	dead, _ := filepath.Glob(filepath.Join(os.TempDir(), dirPrefix+"*"))
	for _, directory := range dead {
		lock := flock.New(filepath.Join(directory, lockFile))
		if free, err := lock.TryLock(); err == nil && free && node.Sweep(groupOf(directory)) == nil {
			_ = os.RemoveAll(directory)
		}

		_ = lock.Close()
	}

	unlocked, err := os.MkdirTemp("", "new-"+dirPrefix)
	if err != nil {
		return "", nil, fmt.Errorf("make a directory for the cluster: %w", err)
	}

	lock := flock.New(filepath.Join(unlocked, lockFile))
	if err := lock.Lock(); err != nil {
		return "", nil, errors.Join(fmt.Errorf("lock the directory for the cluster: %w", err), os.RemoveAll(unlocked))
	}

	// It gets the name that is searched for only when it is locked.
	dir = filepath.Join(filepath.Dir(unlocked), strings.TrimPrefix(filepath.Base(unlocked), "new-"))
	if err := os.Rename(unlocked, dir); err != nil {
		return "", nil, errors.Join(fmt.Errorf("name the directory for the cluster: %w", err), os.RemoveAll(unlocked))
	}

	return dir, func() error { return errors.Join(os.RemoveAll(dir), lock.Close()) }, nil
}

// prepare does all that may need a network.
func prepare(ctx context.Context, dir string, packages map[string]string) error {
	for _, name := range neededParts {
		if _, err := parts.Path(ctx, name); err != nil {
			return fmt.Errorf("prepare a cluster: %w", err)
		}
	}

	for _, directory := range []string{programsDir, stateDir, logsDir, tempDir} {
		if err := os.MkdirAll(filepath.Join(dir, directory), dirMode); err != nil {
			return fmt.Errorf("prepare a cluster: %w", err)
		}
	}

	for _, name := range slices.Sorted(maps.Keys(packages)) {
		if err := build(ctx, packages[name], filepath.Join(dir, programsDir, name)); err != nil {
			return err
		}
	}

	return nil
}

func build(ctx context.Context, pkg, file string) error {
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", file, pkg)
	command.Env = append(os.Environ(), "CGO_ENABLED=0")

	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s for the cluster: %w\n%s", pkg, err, out)
	}

	return nil
}

// enter runs this program again inside of namespaces, and returns why that was refused, if it was.
// begun receives the number of its process.
func enter(dir string, begun func(pid int)) (code int, refused error) {
	for _, attributes := range namespaces() {
		code, err := enterBy(attributes, dir, begun)
		if err == nil {
			return code, nil
		}

		refused = errors.Join(refused, err)
	}

	if refused == nil {
		refused = errors.New("only Linux has network namespaces")
	}

	return exitFailure, refused
}

func enterBy(attributes *syscall.SysProcAttr, dir string, begun func(pid int)) (code int, err error) {
	program, err := os.Executable()
	if err != nil {
		return exitFailure, fmt.Errorf("find the test program: %w", err)
	}

	command := exec.Command(program, os.Args[1:]...)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	// Temporary files in there are removed with the directory, also when the tests are killed; the
	// logs are saved before.
	command.Env = append(os.Environ(), insideEnv+"="+dir, "TMPDIR="+filepath.Join(dir, tempDir))
	command.SysProcAttr = attributes

	unlock := lockThread() // the inner process dies with the thread that started it
	defer unlock()

	if err := command.Start(); err != nil {
		return exitFailure, fmt.Errorf("enter a network namespace: %w", err)
	}

	begun(command.Process.Pid)

	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGHUP)

	defer signal.Stop(signals)

	go func() {
		for s := range signals {
			_ = command.Process.Signal(s)
		}
	}()

	err = command.Wait()

	if reason, unread := os.ReadFile(filepath.Join(dir, refusedFile)); unread == nil {
		return exitFailure, errors.Join(errors.New(string(reason)), os.Remove(filepath.Join(dir, refusedFile)))
	}

	if command.ProcessState.Exited() {
		return command.ProcessState.ExitCode(), nil
	}

	fmt.Fprintf(os.Stderr, "the tests ended: %v\n", err)

	return exitFailure, nil
}

func inside(m *testing.M, setup Setup, dir string) int {
	_ = os.Unsetenv(insideEnv) // a test may start a test program of its own

	if err := isolate(filepath.Join(dir, stateDir)); err != nil {
		if err := os.WriteFile(filepath.Join(dir, refusedFile), []byte(err.Error()), fileMode); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}

		return exitFailure
	}

	isolated = true

	if setup.RealNode {
		return runNode(context.Background(), m, setup, dir)
	}

	return run(context.Background(), m, setup, dir)
}

func run(ctx context.Context, m *testing.M, setup Setup, dir string) (code int) {
	programs = filepath.Join(dir, programsDir)

	c, err := start(ctx, setup.Options, filepath.Join(dir, stateDir), filepath.Join(dir, logsDir))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)

		return exitFailure
	}

	defer func() {
		if err := c.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)

			code = exitFailure
		}
	}()

	if setup.Before != nil {
		if err := setup.Before(ctx, c); err != nil {
			fmt.Fprintln(os.Stderr, err)
			reportFailure(c, os.Stderr, dir)

			return exitFailure
		}
	}

	code = m.Run()
	if code == 0 && setup.After != nil {
		if err := setup.After(ctx, c); err != nil {
			fmt.Fprintln(os.Stderr, err)

			code = exitFailure
		}
	}

	if code != 0 {
		reportFailure(c, os.Stderr, dir)
	}

	return code
}

// reportFailure prints the events and the ends of the logs of a failed run, and saves the whole
// logs. A file in dir records that this is done.
func reportFailure(c *Cluster, out io.Writer, dir string) {
	var report bytes.Buffer

	c.Report(&report)
	fmt.Fprintln(out, report.String())

	saved, err := savedLogsDir()
	if err == nil {
		err = c.SaveLogs(saved)
	}

	if err != nil {
		fmt.Fprintln(out, err)

		return
	}

	fmt.Fprintln(out, "the whole logs are in "+saved)

	_ = os.WriteFile(filepath.Join(dir, reportedFile), nil, fileMode) // without the file they are printed twice
}

// savedLogsDir returns the directory that LogsEnv names, or a new one.
func savedLogsDir() (string, error) {
	dir := os.Getenv(LogsEnv)
	if dir == "" {
		// Not in the inner process's directory for temporary files, which is removed with it.
		return os.MkdirTemp(outerTemp(), "pipeline-storage-logs-")
	}

	return dir, os.MkdirAll(dir, dirMode)
}

// outerTemp is the outer process's directory for temporary files.
func outerTemp() string {
	if programs == "" {
		return os.TempDir()
	}

	return filepath.Dir(filepath.Dir(programs))
}

// salvage prints and saves the logs of tests that could not do it themselves, because they panicked
// or timed out.
func salvage(dir string, code int) {
	if _, err := os.Stat(filepath.Join(dir, reportedFile)); code == 0 || err == nil {
		return
	}

	pods := logFiles(filepath.Join(dir, logsDir))
	planes, _ := filepath.Glob(filepath.Join(dir, tempDir, "*", "*.log"))

	logs := slices.Concat(pods, planes)
	if len(logs) == 0 {
		return
	}

	printTails(os.Stderr, logs)

	saved, err := savedLogsDir()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)

		return
	}

	if err := copyFiles(logs, saved); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}

	fmt.Fprintln(os.Stderr, "the whole logs are in "+saved)
}

func printTails(out io.Writer, logs []string) {
	for _, log := range logs {
		text, err := os.ReadFile(log)
		if err != nil {
			fmt.Fprintln(out, err)
		}

		fmt.Fprintf(out, "end of the log %s:\n%s\n", logName(log), text[max(0, len(text)-logTail):])
	}
}

func copyFiles(files []string, dir string) error {
	var failed []error

	for _, name := range files {
		text, err := os.ReadFile(name)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, logName(name)), text, privateMode)
		}

		failed = append(failed, err)
	}

	return errors.Join(failed...)
}
