package chart_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/pipeline-storage/pipeline-storage/test/parts"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

func TestSuitesOfHelmUnittest(t *testing.T) {
	t.Parallel()
	program := parts.Require(t, "helm-unittest")["helm-unittest"]
	suite.Shell{}.Exec(t.Context(), t, program, "--strict", chart).Must(t)
}

// Every value must be set in a suite, or no test would find that it has no effect.
func TestSuitesSetEveryValue(t *testing.T) {
	t.Parallel()
	set := map[string]bool{}
	files, err := filepath.Glob(chart + "/tests/*_test.yaml")
	require.NoError(t, err)
	for _, file := range files {
		var content struct {
			Tests []struct {
				Set map[string]any `json:"set"`
			} `json:"tests"`
		}
		readYAML(t, file, &content)
		for _, test := range content.Tests {
			collect(set, "", test.Set)
		}
	}
	var values map[string]any
	readYAML(t, chart+"/values.yaml", &values)
	wanted := map[string]bool{}
	collect(wanted, "", values)
	for path := range wanted {
		assert.True(t, covered(set, path), "no suite in charts/pipeline-storage/tests sets the value %s", path)
	}
}

func readYAML(t *testing.T, file string, content any) {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(text, content), file)
}

// collect adds the paths of the leaves.
func collect(paths map[string]bool, prefix string, values map[string]any) {
	for key, value := range values {
		if below, ok := value.(map[string]any); ok && len(below) > 0 {
			collect(paths, prefix+key+".", below)
			continue
		}
		paths[prefix+key] = true
	}
}

// covered reports whether the value, one below it or one above it is set.
func covered(set map[string]bool, path string) bool {
	for other := range set {
		if other == path || strings.HasPrefix(other, path+".") || strings.HasPrefix(path, other+".") {
			return true
		}
	}
	return false
}
