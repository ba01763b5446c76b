// Package helm_test runs the post-renderer under real Helm 3 and Helm 4 against a real API server.
//
// No controller runs beside the API server: what Helm creates stays as it is, and hooks end because
// a test ends them.
package helm_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/plugin"
	"github.com/pipeline-storage/pipeline-storage/test/controlplane"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

func TestMain(m *testing.M) { os.Exit(suite.Main(m, controlplane.Options{})) }

// What the first test that needs it makes, for all.
var rayClusters, plugins, packages sync.Once

// postrenderer returns the path of the program under test. Helm 4 has it as a plugin, and another one that copies.
func postrenderer(t *testing.T) string {
	t.Helper()
	host, staged := plugin.Host(), filepath.Join(suite.Dir(t), "pipeline-storage")
	plugins.Do(func() {
		require.NoError(t, plugin.Stage(t.Context(), staged, "", host))
		for _, dir := range []string{staged, filepath.Join("testdata", "copy")} {
			suite.Helm(t, "helm4").Must(t, "plugin", "install", dir)
		}
	})
	return filepath.Join(staged, "bin", "postrender-"+host.OS+"-"+host.Arch)
}

// dist returns the directory of the packaged plugin.
func dist(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(suite.Dir(t), "dist")
	packages.Do(func() {
		packager := plugin.Packager{
			Helm: suite.Helm(t, "helm4").Program, Version: "0.1.0", Platforms: []plugin.Platform{plugin.Host()},
		}
		_, err := packager.Package(t.Context(), dir)
		require.NoError(t, err)
	})
	return dir
}
