// Package policy tests the chart's mode policy with a real API server: what the policies do to a pod, and that the
// webhook does the same.
package policy

import (
	"flag"
	"os"
	"testing"

	"github.com/pipeline-storage/pipeline-storage/test/controlplane"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

const chart = "../../charts/pipeline-storage"

func TestMain(m *testing.M) {
	_ = flag.Set("test.parallel", "12") // tests wait for the API server most of the time

	os.Exit(suite.Main(m, controlplane.Options{}))
}
