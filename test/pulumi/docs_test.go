// Package pulumi calls the post-renderer as Pulumi's Kubernetes provider does, and checks
// docs/pulumi.md against the resulting objects.
//
// Neither Pulumi's engine nor the provider is an importable Go module, so the tests start where the
// provider calls Helm's SDK. What the programs of examples/pulumi register with Pulumi are files
// there, which those programs' own tests write (make example-pulumi).
package pulumi_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/test/parts"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

// setting is a setting of a program in a command of the document.
var setting = regexp.MustCompile(`--config (\w+)=`)

// outputs are what the commands print that need neither Pulumi nor a cluster, in their order.
var outputs = []string{"nightly-etl", "pvc-data-pipeline.nightly\n", "nightly-etl"}

// TestDocumentCommands runs those that need no Pulumi. The others are Pulumi's, with settings that
// the program has and the export. TestReleaseRetainsStorage runs what needs a claim in a cluster.
func TestDocumentCommands(t *testing.T) {
	blocks := slices.DeleteFunc(suite.Blocks(t, document, "sh"), needsCluster)
	require.Len(t, blocks, len(outputs))
	for i, output := range outputs {
		assert.Contains(t, shell(t).Run(t.Context(), t, blocks[i]).Must(t), output, blocks[i])
	}

	settings, err := os.ReadFile(filepath.Join(programs, "storage", "Pulumi.yaml"))
	require.NoError(t, err)
	blocks = suite.Blocks(t, document, "console") // what needs Pulumi's engine
	require.Len(t, blocks, 5)
	assert.Contains(t, blocks, "$ pulumi stack output "+exported+"\n")
	for _, block := range blocks {
		for line := range strings.Lines(block) {
			assert.Regexp(t, `^\$ (pulumi|cd examples/pulumi/storage)`, line)
			for _, found := range setting.FindAllStringSubmatch(line, -1) {
				assert.Contains(t, string(settings), "\n  "+found[1]+":\n")
			}
		}
	}
}

func needsCluster(block string) bool { return strings.HasPrefix(block, "kubectl ") }

// shell runs commands of the document in a directory that has the examples. The pinned yq stands
// for jq, whose expressions it reads.
func shell(t *testing.T) suite.Shell {
	t.Helper()
	examples, err := filepath.Abs(root + "/examples")
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.Symlink(examples, filepath.Join(dir, "examples")))
	paths := parts.Require(t, "helm3", "kubectl", "yq")
	return suite.Shell{
		Dir: dir,
		Programs: map[string]string{
			"helm": paths["helm3"], "kubectl": paths["kubectl"], "jq": paths["yq"],
			"postrender":               suite.Program(t, "cmd/postrender"),
			"kubectl-pipeline_storage": suite.Program(t, "cmd/kubectl-pipeline_storage"),
		},
		Env: []string{"KUBECONFIG=" + suite.Plane(t).Kubeconfig},
	}
}
