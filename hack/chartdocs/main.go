// Command chartdocs writes the generated files of the chart: values.schema.json and the table of
// README.md from the comments of values.yaml, the schema of a profile and files/backends.yaml,
// which the templates read, from package storage.
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

// generate writes the generated files of the chart in dir. A file that cannot be written does not
// keep the others from being written.
func generate(dir string) error {
	files, err := makeFiles(dir)
	if err != nil {
		return err
	}
	var errs []error
	for name, text := range files {
		errs = append(errs, os.WriteFile(filepath.Join(dir, name), text, 0o644))
	}
	return errors.Join(errs...)
}

// makeFiles returns the text of every generated file of the chart in dir, by its name there. It
// writes nothing, so that a test can compare the files that are checked in with what make generate
// would write.
func makeFiles(dir string) (map[string][]byte, error) {
	text, err := os.ReadFile(filepath.Join(dir, "values.yaml"))
	if err != nil {
		return nil, err
	}
	values, err := parseValues(text)
	if err != nil {
		return nil, fmt.Errorf("values.yaml: %w", err)
	}
	schema, err := makeSchema(values)
	if err != nil {
		return nil, err
	}
	backends, err := makeBackends()
	if err != nil {
		return nil, err
	}
	readme, err := makeReadme(filepath.Join(dir, "README.md"), makeTables(values))
	if err != nil {
		return nil, err
	}
	return map[string][]byte{
		"values.schema.json": schema, filepath.Join("files", "backends.yaml"): backends, "README.md": readme,
	}, nil
}
