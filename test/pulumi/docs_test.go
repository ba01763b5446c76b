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
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/test/parts"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

// setting is a setting of a program in a command of the document.
var setting = regexp.MustCompile(`--config (\w+)=`)

// TestDocumentCommands runs those that need no Pulumi. The others are Pulumi's, with settings that
// the program has.
func TestDocumentCommands(t *testing.T) {
	blocks := suite.Blocks(t, document, "sh")
	require.Len(t, blocks, 2)
	shell := suite.Shell{Dir: root, Programs: map[string]string{
		"helm": parts.Require(t, "helm3")["helm3"], "postrender": suite.Program(t, "cmd/postrender"),
	}}
	for _, block := range blocks {
		assert.Contains(t, shell.Run(t.Context(), t, block).Must(t), "nightly-etl", block)
	}

	settings, err := os.ReadFile(filepath.Join(programs, "storage", "Pulumi.yaml"))
	require.NoError(t, err)
	blocks = suite.Blocks(t, document, "console") // what needs Pulumi's engine
	require.Len(t, blocks, 4)
	for _, block := range blocks {
		for line := range strings.Lines(block) {
			assert.Regexp(t, `^\$ (pulumi|cd examples/pulumi/storage)`, line)
			for _, found := range setting.FindAllStringSubmatch(line, -1) {
				assert.Contains(t, string(settings), "\n  "+found[1]+":\n")
			}
		}
	}
}
