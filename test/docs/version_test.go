package docs_test

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestVersionIsTheSameEverywhere: a release changes them all (docs/releasing.md), and a forgotten one would
// make a command of README.md fail.
func TestVersionIsTheSameEverywhere(t *testing.T) {
	t.Parallel()
	found := regexp.MustCompile(`(?m)^VERSION \?= (\S+)$`).FindStringSubmatch(read(t, "Makefile"))
	require.NotNil(t, found)
	for file, pattern := range map[string]string{
		"charts/pipeline-storage/Chart.yaml": `(?m)^(?:version|appVersion): "?([^"\s]+)"?$`,
		"plugin/helm4/plugin.yaml":           `(?m)^version: "?([^"\s]+)"?$`,
		"README.md":                          `pipeline-storage-(\d+\.\d+\.\d+)\.tgz`,
		"docs/quickstart.md":                 `pipeline-storage:(\d+\.\d+\.\d+)`,
		"docs/install-image.md":              `VERSION=(\S+)`,
	} {
		matches := regexp.MustCompile(pattern).FindAllStringSubmatch(read(t, file), -1)
		assert.NotEmpty(t, matches, file)
		for _, match := range matches {
			assert.Equal(t, found[1], match[1], file)
		}
	}
}
