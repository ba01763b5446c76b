// Command chartdocs writes the generated files of the chart: values.schema.json and the table of
// README.md from the comments of values.yaml, the schema of a profile and files/backends.json,
// which the templates read, from package storage. Beside the chart it writes the schema of a
// StorageConfig file, schema/storageconfig.schema.json.
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
	for path, text := range files {
		errs = append(errs, os.WriteFile(path, text, 0o644))
	}
	return errors.Join(errs...)
}

// makeFiles returns the text of every generated file, those of the chart in dir and the schema beside
// it, by path. It writes nothing, so that a test can compare the files that are checked in with what
// make generate would write.
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
	configSchema, err := makeConfigSchema()
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
		filepath.Join(dir, "values.schema.json"):     schema,
		filepath.Join(dir, "files", "backends.json"): backends,
		filepath.Join(dir, "README.md"):              readme,
		configSchemaFile:                             configSchema,
	}, nil
}
