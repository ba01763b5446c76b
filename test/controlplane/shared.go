package controlplane

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"

	"k8s.io/client-go/rest"
)

// Shared is the control plane of a test package. The first test that needs it starts it, so that
// tests without one stay fast. The zero value is ready to use.
type Shared struct {
	once  sync.Once
	plane *ControlPlane
	err   error
}

// Require returns the control plane. It skips the test with -short, and fails it when the start
// failed.
func (s *Shared) Require(tb testing.TB) *ControlPlane {
	tb.Helper()
	if testing.Short() {
		tb.Skip("this test needs a control plane: run it without -short")
	}
	s.once.Do(func() { s.plane, s.err = Start(context.Background()) })
	if s.err != nil {
		tb.Fatalf("this test needs a control plane: %v", s.err)
	}
	return s.plane
}

// RESTConfig returns a configuration for clients of the group system:masters, without a rate limit.
// Each call returns one of its own, which the caller may change.
func (c *ControlPlane) RESTConfig() *rest.Config {
	return &rest.Config{
		Host: c.Host, QPS: -1,
		TLSClientConfig: rest.TLSClientConfig{CAData: c.CA, CertData: c.Cert, KeyData: c.Key},
	}
}

// Run runs the tests of the package, stops the control plane, and returns the exit code for
// TestMain.
func (s *Shared) Run(m *testing.M) int {
	code := m.Run()
	if s.plane == nil {
		return code
	}
	if err := s.plane.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}
