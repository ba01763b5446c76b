// Package alternatives_test runs what else gives pods a claim, beside both paths of this repository, in a real
// control plane. What each makes of the pods of testdata/pods.yaml, and what it costs, is in testdata/NAME.out.yaml.
// docs/alternatives.md has tables of these files.
//
// Nothing here is measured in seconds: what is counted is the same on every machine.
package alternatives_test

import (
	"os"
	"testing"

	"github.com/pipeline-storage/pipeline-storage/test/controlplane"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

func TestMain(m *testing.M) {
	os.Exit(suite.Main(m, controlplane.Options{Controllers: true, AuditLog: true}))
}
