package helm_test

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

// TestDocumentCommands runs them as a user would, in a directory with the examples and the packaged
// plugin, against the API server. Helm is Helm 4 from the block on that installs the plugin.
func TestDocumentCommands(t *testing.T) {
	t.Parallel()
	for _, document := range []string{
		"README.md", "charts/pipeline-storage/README.md", "docs/kinds.md", "docs/nothing-mounted.md", "docs/scale.md",
		"examples/README.md",
	} {
		for _, block := range suite.Blocks(t, document, "sh") {
			if strings.HasPrefix(block, "kubectl pipeline-storage ") { // test/status runs the plugin
				continue
			}
			t.Run(document+"/"+strings.Fields(block)[1], func(t *testing.T) {
				t.Parallel()
				if targets := makeTargets(block); len(targets) > 0 {
					assertMakeTargets(t, targets)
					return
				}
				runBlock(t, documentsDir(t), newNamespace(t), block)
			})
		}
	}
}

// TestLeavingDocumentCommands runs them in their order and in one namespace: each needs the ones
// before it.
func TestLeavingDocumentCommands(t *testing.T) {
	t.Parallel()
	dir, namespace := documentsDir(t), newNamespace(t)
	for _, block := range suite.Blocks(t, "docs/leaving.md", "sh") {
		runBlock(t, dir, namespace, block)
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
	require.NoError(t, os.Symlink(dist(t), filepath.Join(dir, "dist")))
	return dir
}

// runBlock runs the commands of one block in a namespace.
func runBlock(t *testing.T, dir, namespace, block string) {
	t.Helper()
	h := helm3(t)
	if strings.Contains(block, "plugin install") {
		h = helm4(t)
	}
	shell := suite.Shell{Dir: dir, Env: []string{"KUBECONFIG=" + suite.Plane(t).Kubeconfig}, Programs: map[string]string{
		"helm": h.Program, "postrender": postrenderer(t), "kubectl": parts.Require(t, "kubectl")["kubectl"],
	}}
	r := shell.Run(t.Context(), t, strings.ReplaceAll(asDryRun(block), "pipelines", namespace))
	r.Must(t)
	assert.NotContains(t, r.Stdout+r.Stderr, "nothing was selected", "%s", block)
}

// asDryRun sends the webhook's chart to the API server as a dry run: no controller here would start
// its pods, and no labelled pod of the other tests would be admitted. test/webhook installs it. So
// there is nothing to uninstall, either.
func asDryRun(block string) string {
	block = installsWebhook.ReplaceAllString(block, "$0 --dry-run=server")
	return strings.ReplaceAll(block, "helm uninstall ps", "helm uninstall ps --ignore-not-found")
}

var installsWebhook = regexp.MustCompile(`helm install \S+ charts/pipeline-storage`)

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
	out := suite.Shell{}.Exec(t.Context(), t, filepath.Join("..", "..", "hack", "demo.sh"),
		parts.Require(t, "helm3")["helm3"], postrenderer(t)).Must(t)
	assert.Contains(t, out, `"reason": "Injected"`)
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
