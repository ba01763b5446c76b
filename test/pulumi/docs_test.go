package pulumi_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/test/parts"
)

var (
	// commandBlock is a block of commands to copy from the document.
	commandBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")
	// pulumiBlock is what needs Pulumi's engine.
	pulumiBlock = regexp.MustCompile("(?s)```console\n(.*?)```")
	setting     = regexp.MustCompile(`--config (\w+)=`)
)

// TestDocumentCommands runs those that need no Pulumi. The others are Pulumi's, with settings that
// the program has.
func TestDocumentCommands(t *testing.T) {
	text, err := os.ReadFile(document)
	require.NoError(t, err)

	blocks := commandBlock.FindAllStringSubmatch(string(text), -1)
	require.Len(t, blocks, 2)
	bin := t.TempDir()
	require.NoError(t, os.Symlink(parts.Require(t, "helm3")["helm3"], filepath.Join(bin, "helm")))
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	for _, block := range blocks {
		command := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", block[1])
		command.Dir = "../.."
		out, err := command.CombinedOutput()
		require.NoError(t, err, "%s\n%s", block[1], out)
		assert.Contains(t, string(out), "nightly-etl", block[1])
	}

	settings, err := os.ReadFile(filepath.Join(programs, "storage", "Pulumi.yaml"))
	require.NoError(t, err)
	blocks = pulumiBlock.FindAllStringSubmatch(string(text), -1)
	require.Len(t, blocks, 4)
	for _, block := range blocks {
		for line := range strings.Lines(block[1]) {
			assert.Regexp(t, `^\$ (pulumi|cd examples/pulumi/storage)`, line)
			for _, found := range setting.FindAllStringSubmatch(line, -1) {
				assert.Contains(t, string(settings), "\n  "+found[1]+":\n")
			}
		}
	}
}
