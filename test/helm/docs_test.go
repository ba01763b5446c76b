package helm_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/plugin"
	"github.com/pipeline-storage/pipeline-storage/test/parts"
)

// commandBlock is a block of commands to copy from a document.
var commandBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")

// TestDocumentCommands runs them as a user would, in a directory with the examples and the packaged
// plugin, against the API server. Helm is Helm 4 from the block on that installs the plugin.
func TestDocumentCommands(t *testing.T) {
	dir := documentsDir(t)
	for _, document := range []string{"README.md", "examples/README.md", "docs/kinds.md"} {
		text, err := os.ReadFile(filepath.Join("..", "..", document))
		require.NoError(t, err)
		blocks := commandBlock.FindAllStringSubmatch(string(text), -1)
		require.NotEmpty(t, blocks, document)
		for _, block := range blocks {
			if targets := makeTargets(block[1]); len(targets) > 0 {
				assertMakeTargets(t, targets)
				continue
			}
			t.Run(document+"/"+strings.Fields(block[1])[1], func(t *testing.T) { runBlock(t, dir, newNamespace(t), block[1]) })
		}
	}
}

// TestLeavingDocumentCommands runs them in their order and in one namespace: each needs the ones
// before it.
func TestLeavingDocumentCommands(t *testing.T) {
	dir, namespace := documentsDir(t), newNamespace(t)
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "leaving.md"))
	require.NoError(t, err)
	blocks := commandBlock.FindAllStringSubmatch(string(text), -1)
	require.NotEmpty(t, blocks)
	for _, block := range blocks {
		runBlock(t, dir, namespace, block[1])
	}
}

// documentsDir has the files that the documents name: examples, charts and dist.
func documentsDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"examples", "charts"} {
		target, err := filepath.Abs(filepath.Join("..", "..", name))
		require.NoError(t, err)
		require.NoError(t, os.Symlink(target, filepath.Join(dir, name)))
	}
	packager := plugin.Packager{Helm: helm4.program, Version: "0.1.0", Platforms: []plugin.Platform{plugin.Host()}}
	_, err := packager.Package(t.Context(), filepath.Join(dir, "dist"))
	require.NoError(t, err)
	return dir
}

// runBlock runs the commands of one block in a namespace.
func runBlock(t *testing.T, dir, namespace, block string) {
	t.Helper()
	h := helm3
	if strings.Contains(block, "plugin install") {
		h = helm4
	}
	bin, homeDir := t.TempDir(), t.TempDir()
	require.NoError(t, os.Symlink(h.program, filepath.Join(bin, "helm")))
	require.NoError(t, os.Symlink(postrenderer, filepath.Join(bin, "postrender")))
	require.NoError(t, os.Symlink(parts.Require(t, "kubectl")["kubectl"], filepath.Join(bin, "kubectl")))
	command := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c",
		strings.ReplaceAll(asDryRun(block), "pipelines", namespace))
	command.Dir = dir
	command.Env = []string{
		"PATH=" + bin + string(os.PathListSeparator) + os.Getenv("PATH"), "HOME=" + homeDir, "KUBECONFIG=" + kubeconfig,
		"HELM_DATA_HOME=" + homeDir, "HELM_CACHE_HOME=" + homeDir, "HELM_CONFIG_HOME=" + homeDir,
	}
	out, err := command.CombinedOutput()
	require.NoError(t, err, "%s\n%s", block, out)
	assert.NotContains(t, string(out), "nothing was selected", "%s", block)
}

// asDryRun sends the webhook's chart to the API server as a dry run: no controller here would start
// its pods, and no labelled pod of the other tests would be admitted. test/webhook installs it. So
// there is nothing to uninstall, either.
func asDryRun(block string) string {
	return strings.NewReplacer(
		"helm install ps charts/pipeline-storage", "helm install ps charts/pipeline-storage --dry-run=server",
		"helm uninstall ps", "helm uninstall ps --ignore-not-found",
	).Replace(block)
}

// makeTargets are the targets that a block of make commands names.
func makeTargets(block string) []string {
	var targets []string
	for line := range strings.Lines(block) {
		if target, ok := strings.CutPrefix(line, "make "); ok {
			targets = append(targets, strings.Fields(target)[0])
		}
	}
	return targets
}

// assertMakeTargets checks that the Makefile has the targets, and runs the demonstration. The
// target test runs this test.
func assertMakeTargets(t *testing.T, targets []string) {
	t.Helper()
	makefile, err := os.ReadFile(filepath.Join("..", "..", "Makefile"))
	require.NoError(t, err)
	for _, target := range targets {
		assert.Contains(t, string(makefile), "\n"+target+":", "make %s", target)
	}
	demo := exec.CommandContext(t.Context(), filepath.Join("..", "..", "hack", "demo.sh"),
		parts.Require(t, "helm3")["helm3"], postrenderer)
	out, err := demo.CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.Contains(t, string(out), `"reason": "Injected"`)
}

// link is a Markdown link to a file of the repository.
var link = regexp.MustCompile(`\]\(([^)#:]+)\)`)

func TestDocumentLinksResolve(t *testing.T) {
	root := filepath.Join("..", "..")
	documents := []string{"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "examples/README.md"}
	more, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	require.NoError(t, err)
	decisions, err := filepath.Glob(filepath.Join(root, "docs", "*", "*.md"))
	require.NoError(t, err)
	for _, file := range append(more, decisions...) {
		name, err := filepath.Rel(root, file)
		require.NoError(t, err)
		documents = append(documents, name)
	}
	for _, document := range documents {
		text, err := os.ReadFile(filepath.Join(root, document))
		require.NoError(t, err)
		for _, target := range link.FindAllStringSubmatch(string(text), -1) {
			_, err := os.Stat(filepath.Join(root, filepath.Dir(document), target[1]))
			assert.NoError(t, err, "a link of %s", document)
		}
	}
}
