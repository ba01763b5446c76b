// Command chartdocs writes what the chart says twice: from the comments of values.yaml its values.schema.json and the table
// in its README.md, from package storage the schema of a profile and files/backends.yaml, which the templates read.
//
//	go run ./hack/chartdocs charts/pipeline-storage
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: chartdocs CHART")
		os.Exit(2)
	}
	if err := generate(os.Args[1]); err != nil {
		fmt.Fprintf(os.Stderr, "error: %v\n", err)
		os.Exit(1)
	}
}

// generate writes the generated files of the chart in dir.
func generate(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, "values.yaml"))
	if err != nil {
		return err
	}
	values, err := parseValues(text)
	if err != nil {
		return fmt.Errorf("values.yaml: %w", err)
	}
	schema, err := makeSchema(values)
	if err != nil {
		return err
	}
	backends, err := makeBackends()
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "values.schema.json"), schema, 0o644),
		os.WriteFile(filepath.Join(dir, "files", "backends.yaml"), backends, 0o644),
		updateReadme(filepath.Join(dir, "README.md"), makeTables(values)),
	)
}
