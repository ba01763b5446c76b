package suite

import (
	"cmp"
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/pipeline-storage/pipeline-storage/test/parts"
)

// Shell runs commands as users copy them from a document.
type Shell struct {
	// Dir is the working directory. The default is that of the tests.
	Dir string
	// Programs are programs in the PATH in front of the machine's, by name.
	Programs map[string]string
	// Env is set in addition to PATH and a home directory of its own.
	Env []string
}

// Run runs lines of bash that end with the first error.
func (s Shell) Run(ctx context.Context, tb testing.TB, lines string) Result {
	tb.Helper()
	return s.exec(ctx, tb, lines, "bash", "-euo", "pipefail", "-c", lines)
}

// Exec runs one program, which may be one of Programs, without a shell.
func (s Shell) Exec(ctx context.Context, tb testing.TB, program string, args ...string) Result {
	tb.Helper()
	name := strings.Join(append([]string{program}, args...), " ")
	return s.exec(ctx, tb, name, cmp.Or(s.Programs[program], program), args...)
}

// exec runs a program. Its error has name.
func (s Shell) exec(ctx context.Context, tb testing.TB, name, program string, args ...string) Result {
	tb.Helper()
	bin := tb.TempDir()
	for name, path := range s.Programs {
		if err := os.Symlink(path, filepath.Join(bin, name)); err != nil {
			tb.Fatalf("put %s into the PATH: %v", name, err)
		}
	}
	command := exec.CommandContext(ctx, program, args...)
	command.Dir = s.Dir
	command.Env = append(homeEnv(tb.TempDir()), s.Env...)
	command.Env = append(command.Env, "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "GOGC=400") // as NewHelm
	return result(command, name)
}

// With returns a copy with more programs.
func (s Shell) With(programs map[string]string) Shell {
	all := map[string]string{}
	maps.Copy(all, s.Programs)
	maps.Copy(all, programs)
	s.Programs = all
	return s
}

// Blocks returns the blocks of a language, such as "sh", in a document of the repository, and fails the
// test when it finds no such block.
func Blocks(tb testing.TB, document, language string) []string {
	tb.Helper()
	blocks := BlocksIn(Document(tb, document), language)
	if len(blocks) == 0 {
		tb.Fatalf("%s has no block of %s", document, language)
	}
	return blocks
}

// BlocksIn returns the blocks of a language in a text.
func BlocksIn(text, language string) []string {
	var blocks []string
	for _, block := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(text, -1) {
		blocks = append(blocks, block[1])
	}
	return blocks
}

// Document returns the text of a file of the repository.
func Document(tb testing.TB, file string) string {
	tb.Helper()
	root, err := parts.Repository()
	if err != nil {
		tb.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		tb.Fatalf("read a document: %v", err)
	}
	return string(text)
}
