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

// pageBlock is a block that this test runs, with the output below it.
var pageBlock = regexp.MustCompile("(?s)<!-- run: TestPages -->\n```(sh|yaml)\n(.*?)```\n(?:\n```text\n(.*?)```)?")

// TestPages runs what the pages have for this test, in the order of a page: a block of YAML is the file that its first
// line names. The objects go to the API server as a dry run, and each values.yaml by the command that installs one.
func TestPages(t *testing.T) {
	t.Parallel()
	for page, count := range map[string]int{"docs/quickstart.md": 8, "docs/recipes.md": 14} {
		t.Run(page, func(t *testing.T) {
			t.Parallel()
			r := newPageRunner(t)
			blocks := pageBlock.FindAllStringSubmatch(suite.Document(t, page), -1)
			require.Len(t, blocks, count, "the page has another number of blocks: does each have its line above?")
			for _, block := range blocks {
				if language, text := block[1], block[2]; language == "yaml" {
					r.writeFile(t, text)
				} else {
					assert.Equal(t, block[3], r.run(t, text), "%s", text)
				}
			}
			assert.Equal(t, r.values, r.installed, "each values.yaml")
		})
	}
}

// pageRunner runs the blocks of one page in a directory with the charts.
type pageRunner struct {
	shell             suite.Shell
	namespaces        map[string]string // of the page: those of the API server
	install           string
	values, installed int
}

func newPageRunner(t *testing.T) *pageRunner {
	t.Helper()
	return &pageRunner{
		shell: suite.Shell{
			Dir: documentsDir(t), Env: []string{"KUBECONFIG=" + suite.Plane(t).Kubeconfig},
			Programs: map[string]string{
				"helm": helm4(t).Program, "postrender": postrenderer(t), "kubectl": parts.Require(t, "kubectl")["kubectl"],
			},
		},
		namespaces: map[string]string{"ml": newNamespace(t), "etl": newNamespace(t)},
	}
}

// writeFile writes the file that a block's first line names.
func (r *pageRunner) writeFile(t *testing.T, text string) {
	t.Helper()
	first, _, _ := strings.Cut(text, "\n")
	name, found := strings.CutPrefix(first, "# ")
	require.True(t, found, "the first line is no file name: %s", text)
	require.NoError(t, os.WriteFile(filepath.Join(r.shell.Dir, name), []byte(text), 0o600))
	if name == "values.yaml" {
		r.values++
		if r.install != "" {
			r.run(t, r.install)
		}
	}
}

// run runs commands and returns what the page shows of them: for an installation nothing.
func (r *pageRunner) run(t *testing.T, text string) string {
	t.Helper()
	lines := strings.NewReplacer(
		"helm install", "helm install --dry-run=server", "kubectl apply", "kubectl apply --dry-run=server",
	).Replace(text)
	for name, made := range r.namespaces {
		lines = strings.ReplaceAll(lines, "--namespace "+name+" ", "--namespace "+made+" ")
	}
	out := r.shell.Run(t.Context(), t, lines).Must(t)
	if strings.Contains(text, "helm install") {
		r.install, r.installed = text, r.installed+1
		assert.Contains(t, out, "\nSTATUS: pending-install\n")
		return ""
	}
	for name, made := range r.namespaces {
		out = strings.ReplaceAll(out, made, name)
	}
	return strings.ReplaceAll(out, " (server dry run)", "")
}
