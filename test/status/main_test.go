// Package status runs kubectl pipeline-storage status, as a program and through the real kubectl,
// on a real control plane in which everything that it reports has really happened.
package status

import (
	"os"
	"testing"

	"github.com/pipeline-storage/pipeline-storage/test/controlplane"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

// What happens in the control plane cannot be undone, so the tests run once in a process: -count 1.
func TestMain(m *testing.M) { os.Exit(suite.Main(m, controlplane.Options{Controllers: true})) }
