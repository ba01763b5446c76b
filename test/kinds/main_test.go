// Package kinds_test lets a real API server validate what is injected into custom resources: the
// projects' own definitions refuse fields that are unknown or in the wrong place.
package kinds_test

import (
	"flag"
	"os"
	"testing"

	"github.com/pipeline-storage/pipeline-storage/test/controlplane"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

var update = flag.Bool("update", false, "update the expected files and the table of docs/kinds.md")

// The generators of documents need no control plane, and start none.
func TestMain(m *testing.M) { os.Exit(suite.Main(m, controlplane.Options{})) }
