package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// isolated is nil in the process that has namespaces of its own, and the reason why it has none in any other.
var isolated error

// TestMain runs the tests in namespaces, as Main does, but without a cluster.
func TestMain(m *testing.M) {
	if os.Getenv(trialEnv) != "" {
		os.Exit(enterTrial())
	}

	if dir := os.Getenv(insideEnv); dir != "" {
		_ = os.Unsetenv(insideEnv)

		if isolated = isolate(filepath.Join(dir, stateDir)); isolated != nil {
			fmt.Fprintln(os.Stderr, isolated)
		}

		os.Exit(m.Run())
	}

	os.Exit(enterTests(m))
}

func enterTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", dirPrefix)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)

		return exitFailure
	}
	defer os.RemoveAll(dir)

	if err := os.Mkdir(filepath.Join(dir, tempDir), dirMode); err != nil {
		fmt.Fprintln(os.Stderr, err)

		return exitFailure
	}

	code, refused := enter(dir, func(int) {})
	if refused == nil {
		return code
	}

	isolated = refused

	return m.Run()
}

// requireIsolation skips a test that would change the machine.
func requireIsolation(t *testing.T, what string) {
	t.Helper()

	if isolated != nil {
		t.Skipf("not covered: %s: %v", what, isolated)
	}
}
