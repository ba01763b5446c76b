// Package reference writes the reference of the command lines: Markdown for docs/reference, and man
// pages for a release. Both are made from the commands themselves.
package reference

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	plugin "github.com/pipeline-storage/pipeline-storage/cmd/kubectl-pipeline_storage/app"
	postrender "github.com/pipeline-storage/pipeline-storage/cmd/postrender/app"
)

// manSection is the section of man pages for commands that users run.
const manSection = "1"

// commands are the command lines that have a reference. The webhook has none: the chart runs it.
func commands() []*cobra.Command {
	all := []*cobra.Command{postrender.Command(), plugin.Command()}
	for _, command := range all {
		command.DisableAutoGenTag = true // the day of generation would make each run differ
	}
	return all
}

// Markdown returns the pages by the names of their files.
func Markdown() (map[string][]byte, error) {
	return write(doc.GenMarkdownTree)
}

// Man returns the man pages of a version by the names of their files. They have no date, so that a
// release is the same bytes on every day.
func Man(version string) (map[string][]byte, error) {
	return write(func(command *cobra.Command, dir string) error {
		return doc.GenManTree(command, &doc.GenManHeader{
			Section: manSection,
			Source:  "pipeline-storage " + version,
			Manual:  "pipeline-storage",
			Date:    new(time.Time{}),
		}, dir)
	})
}

// write has a generator of cobra write into a directory, and returns its files.
func write(generate func(*cobra.Command, string) error) (map[string][]byte, error) {
	dir, err := os.MkdirTemp("", "reference-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for the pages: %w", err)
	}
	defer os.RemoveAll(dir)
	for _, command := range commands() {
		if err := generate(command, dir); err != nil {
			return nil, fmt.Errorf("the reference of %s: %w", command.Name(), err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, entry := range entries {
		if files[entry.Name()], err = os.ReadFile(filepath.Join(dir, entry.Name())); err != nil {
			return nil, err
		}
	}
	return files, nil
}
