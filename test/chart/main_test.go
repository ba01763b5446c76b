// Package chart_test holds the chart and config/ to their promises, with both Helms, Kustomize and a real API server.
//
// No controller runs beside the API server: a Deployment has no pods, and a policy has no status.
package chart_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/test/controlplane"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

const (
	root  = "../.."
	chart = root + "/charts/pipeline-storage"
)

func TestMain(m *testing.M) { os.Exit(suite.Main(m, controlplane.Options{})) }

// valueSets are the files of values by name: those of the tests, and the one that the chart has for large clusters.
func valueSets(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("testdata/values/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	sets := map[string]string{"ha": chart + "/values-ha.yaml"}
	for _, file := range files {
		sets[strings.TrimSuffix(filepath.Base(file), ".yaml")] = file
	}
	return sets
}
