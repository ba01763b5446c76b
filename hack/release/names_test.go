package main

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/pipeline-storage/pipeline-storage/test/parts"
)

var (
	// anyVersion is a version, or a variable for it.
	anyVersion = regexp.MustCompile(`\d+\.\d+\.\d+|\$VERSION|\$\(VERSION\)`)
	// released finds the names of released files in a text.
	released = regexp.MustCompile(`pipeline-storage(?:-chart|-image)?-(?:` + anyVersion.String() + `)[\w.-]*\w`)
)

// TestEverybodyNamesTheSameFiles holds the documents, the Makefile and the workflows to the names of a release.
func TestEverybodyNamesTheSameFiles(t *testing.T) {
	t.Parallel()
	r := release{version: "1.2.3"}
	for _, file := range []string{
		"docs/releasing.md", "docs/install-image.md", "Makefile", ".github/workflows/release.yaml",
	} {
		text := string(read(t, filepath.Join(root, file)))
		names := released.FindAllString(text, -1)
		assert.NotEmpty(t, names, file)
		for _, found := range names {
			plain := anyVersion.ReplaceAllString(found, r.version)
			assert.Contains(t, r.files(), plain, "%s names it", file)
		}
	}
}

// TestDocumentsNameTargetsThatExist: the commands of these pages that need nothing but Go and make.
func TestDocumentsNameTargetsThatExist(t *testing.T) {
	t.Parallel()
	makefile := string(read(t, filepath.Join(root, "Makefile")))
	for _, file := range []string{"docs/releasing.md", "docs/install-image.md", ".github/workflows/release.yaml"} {
		lines := strings.Join(command.FindAllString(string(read(t, filepath.Join(root, file))), -1), "\n")
		targets := regexp.MustCompile(`\bmake (?:--[\w-]+ )*([a-z][\w-]*)`).FindAllStringSubmatch(lines, -1)
		assert.NotEmpty(t, targets, file)
		for _, target := range targets {
			assert.Contains(t, makefile, "\n.PHONY: "+target[1]+"\n", "%s names it", file)
		}
	}
}

// command finds commands in code spans, on lines of their own, and in workflows.
var command = regexp.MustCompile("(?m)`make [^`]+`|^ *make .*$|run: make .*$|\\$\\(make [^)]*\\)")

func TestPluginIsNamedAsHelmInstallsIt(t *testing.T) {
	t.Parallel()
	var description struct{ Name string }
	require.NoError(t, yaml.Unmarshal(read(t, filepath.Join(root, "plugin/helm4/plugin.yaml")), &description))
	assert.Equal(t, description.Name+"-1.2.3.tgz", release{version: "1.2.3"}.helmPlugin())
}

// workflows returns the text of each workflow by its path.
func workflows(t *testing.T) map[string]string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(root, ".github/workflows/*"))
	require.NoError(t, err)
	texts := map[string]string{}
	for _, file := range found {
		texts[file] = string(read(t, file))
	}
	require.Len(t, texts, 4)
	return texts
}

func TestWorkflowsAreValid(t *testing.T) {
	t.Parallel()
	// Without -shellcheck and -pyflakes it would depend on what the machine has.
	args := []string{"-no-color", "-shellcheck=", "-pyflakes="}
	for file := range workflows(t) {
		args = append(args, file)
	}
	out, err := exec.Command(parts.Require(t, "actionlint")["actionlint"], args...).CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// pinned matches an action at a commit, with its version for people and for Dependabot.
var pinned = regexp.MustCompile(`^(\./\S+|[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+)$`)

func TestActionsArePinnedByCommit(t *testing.T) {
	t.Parallel()
	commits := map[string]string{}
	for file, text := range workflows(t) {
		uses := regexp.MustCompile(`(?m)uses: (.*)$`).FindAllStringSubmatch(text, -1)
		assert.NotEmpty(t, uses, file)
		for _, use := range uses {
			assert.Regexp(t, pinned, use[1], file)
			action, commit, _ := strings.Cut(use[1], "@")
			if other, ok := commits[action]; ok {
				assert.Equal(t, other, commit, "one version of %s for all workflows", action)
			}
			commits[action] = commit
		}
	}
}

// TestWorkflowDoesWhatTheScriptDoes: a target that is added to one of the two must not be missing in the other.
func TestWorkflowDoesWhatTheScriptDoes(t *testing.T) {
	t.Parallel()
	var script []string
	for _, match := range regexp.MustCompile(`(?m)^make --no-print-directory (\S+)`).FindAllStringSubmatch(
		string(read(t, filepath.Join(root, ".ci/run"))), -1) {
		script = append(script, match[1])
	}
	var workflow struct {
		Jobs struct {
			Make struct {
				Strategy struct{ Matrix struct{ Target []string } }
			}
		}
	}
	require.NoError(t, yaml.Unmarshal(read(t, filepath.Join(root, ".github/workflows/ci.yaml")), &workflow))
	assert.Equal(t, script, workflow.Jobs.Make.Strategy.Matrix.Target)
}
