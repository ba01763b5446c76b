package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// scripts are the stories of the command line, in the format of testscript.
const scripts = "../testdata/script"

// TestEveryFlagHasAScript finds flags that no script runs.
func TestEveryFlagHasAScript(t *testing.T) {
	t.Parallel()
	used := scriptFlags(t)
	for _, fs := range new(Options).sections() {
		fs.VisitAll(func(f *pflag.Flag) {
			assert.True(t, used[f.Name], "no script runs --%s: add cmd/postrender/testdata/script/%s.txtar, "+
				"with a line that begins with exec postrender and has the flag", f.Name, strings.ReplaceAll(f.Name, "-", "_"))
		})
	}
}

// scriptFlags returns the flags of the runs that succeed. A refusal alone does not show what a flag
// does.
func scriptFlags(t *testing.T) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(scripts + "/*.txtar")
	require.NoError(t, err)
	used := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for line := range strings.Lines(string(text)) {
			arguments, isRun := strings.CutPrefix(line, "exec postrender ")
			for argument := range strings.FieldsSeq(arguments) {
				if name, isFlag := strings.CutPrefix(argument, "--"); isRun && isFlag {
					name, _, _ = strings.Cut(name, "=")
					used[name] = true
				}
			}
		}
	}
	return used
}
