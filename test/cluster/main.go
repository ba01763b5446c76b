package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/pipeline-storage/pipeline-storage/test/node"
	"github.com/pipeline-storage/pipeline-storage/test/parts"
	"github.com/pipeline-storage/pipeline-storage/test/scratch"
)

const (
	// RequireEnv makes a run fail, when it is set, where no node can run. Without it the tests are
	// skipped, with a loud message.
	RequireEnv = "PIPELINE_STORAGE_REQUIRE_NODE"

	dirPrefix   = "pipeline-storage-cluster-"
	trialSuffix = "-trial"
	dirMode     = 0o755
	fileMode    = 0o644
	exitFailure = 1

	// Directories of a run.
	programsDir = "programs"
	imagesDir   = "images"
	stateDir    = "state"
	logsDir     = "logs"
	tempDir     = "tmp"
)

// neededParts are built before the namespaces are entered, because no network leads out of them.
var neededParts = []string{
	"helm3", "helm4", "kubectl", "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler",
}

// Setup is what the tests of one package need.
type Setup struct {
	Options
	// Programs are packages of this repository, such as "cmd/postrender", to build without cgo, each under the name
	// that Program takes.
	Programs map[string]string
	// Before runs when the cluster is up, before the first test.
	Before func(ctx context.Context, c *Cluster) error
	// After runs when all tests have passed, with the cluster still up. Its error fails the run.
	After func(ctx context.Context, c *Cluster) error
}

var (
	// runDir is the directory of the run, in the process that has the namespaces.
	runDir string
	// noNode is why no node can run on this machine.
	noNode error
)

// Program returns the path of a program of Setup.Programs.
func Program(name string) string { return filepath.Join(runDir, programsDir, name) }

// RequireNode skips a test where no node can run, and prints so loudly.
func RequireNode(tb testing.TB) {
	tb.Helper()
	if noNode != nil {
		fmt.Fprintf(os.Stderr, "*** NOT COVERED: %s: there is no real node: %v\n", tb.Name(), noNode)
		tb.Skipf("not covered: there is no real node: %v", noNode)
	}
}

// Main runs the tests of a package with a cluster and returns the exit code, for TestMain: see the comment of the
// package. Signals and the exit code pass through from the process with the namespaces, which dies with this one.
func Main(m *testing.M, setup Setup) int {
	do := outside
	if runDir = os.Getenv(insideEnv); runDir != "" {
		do = inside
	}
	code, err := do(context.Background(), m, setup)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return max(code, exitFailure)
	}
	return code
}

func outside(ctx context.Context, m *testing.M, setup Setup) (code int, err error) {
	scratched, err := scratch.New(dirPrefix, func(dir string) error { return node.Sweep(groupOf(dir)) })
	if err != nil {
		return exitFailure, err
	}
	defer func() { err = errors.Join(err, scratched.Remove()) }()
	dir := scratched.Path
	if noNode = node.Supported(groupOf(dir) + trialSuffix); noNode != nil {
		return withoutNode(m)
	}
	if err := prepare(ctx, dir, setup.Programs); err != nil {
		return exitFailure, err
	}
	before := inspectMachine()
	var own namespacesOfRun
	defer func() { own.close() }()
	code, noNode = enter(dir, func(pid int) { own = holdNamespaces(pid) })
	if noNode != nil {
		return withoutNode(m)
	}
	_ = os.Remove(hostPathDir) // the mount point that isolate made; anything else is not empty
	if code != 0 {
		reportLogs(dir)
	}
	if left := errors.Join(before.changes(inspectMachine()), remains(dir, own)); left != nil {
		err = fmt.Errorf("*** NOT CLEAN: %w", left)
	}
	// Tests that were ended by a signal had no time for it, and without their directory no later
	// run would find the groups.
	return code, errors.Join(err, node.Sweep(groupOf(dir)))
}

// groupOf is the name of the control groups of a run, which no other run has.
func groupOf(dir string) string { return filepath.Base(dir) }

// withoutNode runs the tests, which RequireNode skips.
func withoutNode(m *testing.M) (code int, err error) {
	fmt.Fprintf(os.Stderr, "*** NOT COVERED: nothing that needs a real node was tested: %v\n", noNode)
	if os.Getenv(RequireEnv) != "" {
		return exitFailure, fmt.Errorf("%s requires a real node, and this machine can run none", RequireEnv)
	}
	return m.Run(), nil
}

// prepare does all that may need a network.
func prepare(ctx context.Context, dir string, packages map[string]string) error {
	if _, err := parts.Paths(ctx, slices.Concat(neededParts, node.Parts)...); err != nil {
		return fmt.Errorf("prepare a cluster: %w", err)
	}
	for _, directory := range []string{programsDir, imagesDir, stateDir, logsDir, tempDir} {
		if err := os.Mkdir(filepath.Join(dir, directory), dirMode); err != nil {
			return fmt.Errorf("prepare a cluster: %w", err)
		}
	}
	for name, pkg := range packages {
		if err := parts.Compile(ctx, pkg, filepath.Join(dir, programsDir, name)); err != nil {
			return err
		}
	}
	if err := errors.Join(makeImages(ctx, dir), copyProvisionerManifest(ctx, dir)); err != nil {
		return fmt.Errorf("prepare a cluster: %w", err)
	}
	return nil
}

// inside runs in the namespaces.
func inside(ctx context.Context, m *testing.M, setup Setup) (code int, err error) {
	_ = os.Unsetenv(insideEnv) // a test may start a test program of its own
	state := filepath.Join(runDir, stateDir)
	if err := errors.Join(isolate(state), node.TryOverlay(filepath.Join(state, "trial"))); err != nil {
		return exitFailure, os.WriteFile(filepath.Join(runDir, refusedFile), []byte(err.Error()), fileMode)
	}
	c, err := start(ctx, runDir, setup.Options)
	if err == nil && setup.Before != nil {
		err = setup.Before(ctx, c)
	}
	if err == nil {
		code = m.Run()
	}
	if err == nil && code == 0 && setup.After != nil {
		err = setup.After(ctx, c)
	}
	if err != nil || code != 0 {
		err = errors.Join(err, c.report())
	}
	return code, errors.Join(err, c.Stop())
}

// report prints the events after a failure, and copies the logs that Stop removes to those of the run.
func (c *Cluster) report() error {
	var failed []error
	if c.Plane != nil {
		failed = append(failed, c.Plane.Logs().CopyTo(filepath.Join(runDir, logsDir)))
	}
	if c.Client != nil {
		failed = append(failed, c.reportEvents(os.Stderr))
	}
	return errors.Join(failed...)
}
