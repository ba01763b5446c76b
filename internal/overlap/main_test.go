package overlap

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/pipeline-storage/pipeline-storage/test/controlplane"
)

// plane is the control plane of the package; the first test that needs it starts it.
var plane struct {
	sync.Once
	*controlplane.ControlPlane
	err error
}

func requirePlane(t *testing.T) *controlplane.ControlPlane {
	t.Helper()
	if testing.Short() {
		t.Skip("this test needs a control plane: run it without -short")
	}
	plane.Do(func() { plane.ControlPlane, plane.err = controlplane.Start(context.Background()) })
	require.NoError(t, plane.err)
	return plane.ControlPlane
}

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	code := m.Run()
	if plane.ControlPlane != nil {
		if err := plane.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}
