package certificates

import (
	"os"
	"testing"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/pipeline-storage/pipeline-storage/test/controlplane"
)

var plane controlplane.Shared

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	os.Exit(plane.Run(m))
}
