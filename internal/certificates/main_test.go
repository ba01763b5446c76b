package certificates

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/pipeline-storage/pipeline-storage/test/controlplane"
)

// plane is shared by the tests that need one, and starts with the first of them.
var plane = sync.OnceValues(func() (*controlplane.ControlPlane, error) {
	started = true
	return controlplane.Start(context.Background())
})

var started bool

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	code := m.Run()
	if started {
		if p, err := plane(); err == nil {
			if err := p.Stop(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				code = 1
			}
		}
	}
	os.Exit(code)
}

func requirePlane(t *testing.T) *controlplane.ControlPlane {
	t.Helper()
	if testing.Short() {
		t.Skip("it needs a control plane")
	}
	p, err := plane()
	if err != nil {
		t.Fatalf("this test needs a control plane: %v", err)
	}
	return p
}
