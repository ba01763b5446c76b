// Command write writes the Markdown reference of the command lines into a directory.
//
//	go run ./hack/reference/write docs/reference
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/pipeline-storage/pipeline-storage/hack/reference"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: write DIRECTORY")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(dir string) error {
	files, err := reference.Markdown()
	if err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
