package docs_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// pages are the documents whose every block is run by a test, or has a reason why not.
var pages = []string{"docs/quickstart.md", "docs/recipes.md", "docs/tools.md"}

// runners are the tests that run all commands of a document, in place of a line above each.
var runners = map[string]string{
	"README.md":                         "TestDocumentCommands",
	"charts/pipeline-storage/README.md": "TestDocumentCommands",
	"docs/gitops.md":                    "TestDocumentCommands",
	"docs/kinds.md":                     "TestDocumentCommands",
	"docs/leaving.md":                   "TestLeavingDocumentCommands",
	"docs/nothing-mounted.md":           "TestDocumentCommands",
	"docs/operations.md":                "TestRunbookCommands",
	"docs/policy-mode.md":               "TestDocumentedCommands",
	"docs/pulumi.md":                    "TestDocumentCommands",
	"docs/scale.md":                     "TestDocumentCommands",
	"docs/status.md":                    "TestRunsDocumentedCommands",
	"examples/README.md":                "TestDocumentCommands",
}

// isCommand is the first line of a block of commands.
var isCommand = regexp.MustCompile("^```(?:sh|bash|console)$")

// TestEveryCommandIsRunOrHasReason: a command of any document is run by a test, which may be that of its whole
// document, or the line above it has the reason why not.
func TestEveryCommandIsRunOrHasReason(t *testing.T) {
	t.Parallel()
	declaredIn := packages(t)
	for page, test := range runners {
		assert.NotEmpty(t, declaredIn[test], "%s: no test %s exists", page, test)
	}
	for _, page := range files(t, ".md") {
		if _, isRun := runners[page]; isRun {
			continue
		}
		above := ""
		for number, line := range strings.Split(read(t, page), "\n") {
			if isCommand.MatchString(line) {
				assert.True(t, ranBy.MatchString(above) || notRun.MatchString(above),
					"%s:%d: the line above the block names neither a test nor why none runs it: %q", page, number+1, above)
			}
			if line != "" {
				above = line
			}
		}
	}
}

var (
	// ranBy is the line above a block that a test runs. That test counts its blocks.
	ranBy = regexp.MustCompile(`^<!-- run: (Test\w+) -->$`)
	// notRun is the line above a block that no test runs.
	notRun = regexp.MustCompile(`^\*Not run here: .+\.\*$`)
)

// TestEveryBlockIsRunOrHasReason checks the line above every block. The output of a block, which its test compares,
// follows it as text.
func TestEveryBlockIsRunOrHasReason(t *testing.T) {
	t.Parallel()
	declaredIn := packages(t)
	for _, page := range pages {
		run, above, inBlock, isRun := 0, "", false, false
		for number, line := range strings.Split(read(t, page), "\n") {
			language, isEdge := strings.CutPrefix(line, "```")
			if isEdge && !inBlock {
				name := ranBy.FindStringSubmatch(above)
				if name != nil {
					run++
					assert.NotEmpty(t, declaredIn[name[1]], "%s:%d: no test %s exists", page, number+1, name[1])
				}
				isOutput := language == "text" && above == "```" && isRun
				isRun = name != nil
				assert.True(t, name != nil || isOutput || notRun.MatchString(above),
					"%s:%d: the line above the block names neither a test nor why none runs it: %q", page, number+1, above)
			}
			inBlock = isEdge != inBlock
			if line != "" && (isEdge || !inBlock) {
				above = line
			}
		}
		assert.False(t, inBlock, "%s: a block has no end", page)
		assert.Greater(t, run, 3, page)
	}
}

func TestAnchorsOfPagesExist(t *testing.T) {
	t.Parallel()
	for _, page := range pages {
		checkAnchors(t, page)
	}
}
