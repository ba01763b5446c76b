// Package docs_test checks that the documents match the repository.
package docs_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	root        = "../.."
	threatModel = "docs/threat-model.md"
)

var (
	// declared matches a test, a fuzzer or a benchmark in a Go file.
	declared = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)[A-Z0-9]\w*)\(`)
	// named matches one in a document: a code span with its name, and with its package in front or
	// without.
	named = regexp.MustCompile("`(?:([\\w./-]+)\\.)?((?:Test|Fuzz|Benchmark)[A-Z0-9]\\w*)`")
)

// files returns the files of the repository with an extension, by their paths below the root.
func files(t *testing.T, suffix string) []string {
	t.Helper()
	var found []string
	require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch name := entry.Name(); {
		case err != nil:
			return err
		case entry.IsDir() && path != root &&
			(strings.HasPrefix(name, ".") || slices.Contains([]string{"testdata", "bin", "dist", "node_modules"}, name)):
			return filepath.SkipDir
		case !entry.IsDir() && strings.HasSuffix(name, suffix):
			relative, err := filepath.Rel(root, path)
			found = append(found, filepath.ToSlash(relative))
			return err
		}
		return nil
	}))
	return found
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, file))
	require.NoError(t, err)
	return string(text)
}

// packages returns the packages of the tests with each name.
func packages(t *testing.T) map[string][]string {
	t.Helper()
	of := map[string][]string{}
	for _, file := range files(t, "_test.go") {
		for _, match := range declared.FindAllStringSubmatch(read(t, file), -1) {
			of[match[1]] = append(of[match[1]], filepath.ToSlash(filepath.Dir(file)))
		}
	}
	return of
}

// TestNamedTestsExist checks the tests that documents name: a test that was renamed or deleted must
// not remain as a proof.
func TestNamedTestsExist(t *testing.T) {
	t.Parallel()
	of := packages(t)
	require.Contains(t, of["TestNamedTestsExist"], "test/docs")
	names := 0
	for _, document := range files(t, ".md") {
		for _, match := range named.FindAllStringSubmatch(read(t, document), -1) {
			names++
			pkg, test := match[1], match[2]
			if pkg == "" {
				assert.NotEmpty(t, of[test], "%s names %s, which does not exist", document, test)
				continue
			}
			assert.Contains(t, of[test], pkg, "%s names %s.%s, which does not exist", document, pkg, test)
		}
	}
	assert.Greater(t, names, 100)
}

// unmitigated are the threats for which the model of SIG Security has no mitigation.
var unmitigated = []string{"6", "17"}

// TestThreatModelIsComplete checks that there is a section for each threat and each attack, and a
// test in each.
func TestThreatModelIsComplete(t *testing.T) {
	t.Parallel()
	text := read(t, threatModel)
	for heading, count := range map[string]int{`### (\d+)\. `: 18, `### Attack (\d+)$`: 10} {
		pattern := regexp.MustCompile(`(?m)^` + heading)
		positions := pattern.FindAllStringSubmatchIndex(text, -1)
		require.Len(t, positions, count, heading)
		for i, match := range positions {
			number := text[match[2]:match[3]]
			assert.Equal(t, strconv.Itoa(i+1), number)
			section, _, _ := strings.Cut(text[match[1]:], "\n##")
			if strings.Contains(heading, "Attack") || !slices.Contains(unmitigated, number) {
				assert.Regexp(t, named, section, "%s%s names no test", heading, number)
			}
		}
	}
	for _, match := range named.FindAllStringSubmatch(text, -1) {
		assert.NotEmpty(t, match[1], "%s has no package in front: two packages may have a test of that name", match[2])
	}
}

// Anchors of headings as GitHub derives them, and explicit ones.
var (
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	written = regexp.MustCompile(`<a id="([^"]+)">`)
	local   = regexp.MustCompile(`\]\(([^)#:\s]*)#([^)\s]+)\)`)
	dropped = regexp.MustCompile(`[^\p{L}\p{N}\- _]`)
)

// TestAnchorsOfSecurityDocumentsExist checks the links to sections, in the documents on security
// and in those that they link to.
func TestAnchorsOfSecurityDocumentsExist(t *testing.T) {
	t.Parallel()
	for _, document := range []string{"SECURITY.md", threatModel, "docs/operations.md"} {
		checkAnchors(t, document)
	}
}

// checkAnchors checks the links of a document to sections of it and of other documents.
func checkAnchors(t *testing.T, document string) {
	t.Helper()
	for _, match := range local.FindAllStringSubmatch(strings.ReplaceAll(read(t, document), "\n", " "), -1) {
		target := document
		if match[1] != "" {
			target = filepath.ToSlash(filepath.Join(filepath.Dir(document), match[1]))
		}
		assert.Contains(t, anchors(read(t, target)), match[2], "a link of %s to %s", document, target)
	}
}

// anchors are those that GitHub gives to headings, the second of a name with -1, and those that are written.
func anchors(text string) []string {
	var found []string
	times := map[string]int{}
	for _, match := range heading.FindAllStringSubmatch(text, -1) {
		plain := dropped.ReplaceAllString(strings.ToLower(match[1]), "")
		anchor := strings.ReplaceAll(plain, " ", "-")
		if n := times[anchor]; n > 0 {
			found = append(found, fmt.Sprintf("%s-%d", anchor, n))
		} else {
			found = append(found, anchor)
		}
		times[anchor]++
	}
	for _, match := range written.FindAllStringSubmatch(text, -1) {
		found = append(found, match[1])
	}
	return found
}
