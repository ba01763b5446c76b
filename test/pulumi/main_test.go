package pulumi_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/pipeline-storage/pipeline-storage/test/controlplane"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

func TestMain(m *testing.M) { os.Exit(suite.Main(m, controlplane.Options{})) }

// usePostrender puts the program under test into $PATH, where the provider searches for it, and returns its path.
func usePostrender(t *testing.T) string {
	t.Helper()
	program := suite.Program(t, "cmd/postrender")
	t.Setenv("PATH", filepath.Dir(program)+string(os.PathListSeparator)+os.Getenv("PATH"))
	return program
}
