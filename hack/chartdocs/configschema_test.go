package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// configSchema is the schema that is checked in: the one that editors read.
func configSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := os.ReadFile(configSchemaFile)
	require.NoError(t, err)
	schema, err := compile(text)
	require.NoError(t, err)
	return schema
}

// instance reads YAML as an editor does for its schema.
func instance(t *testing.T, text []byte) any {
	t.Helper()
	asJSON, err := yaml.YAMLToJSON(text)
	require.NoError(t, err)
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	require.NoError(t, err)
	return value
}

// configFiles are the StorageConfig files below the directories.
func configFiles(t *testing.T, dirs ...string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	root := os.DirFS(".")
	for _, dir := range dirs {
		require.NoError(t, fs.WalkDir(root, dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || filepath.Ext(path) != ".yaml" {
				return err
			}
			text, err := fs.ReadFile(root, path)
			if bytes.Contains(text, []byte("\nkind: "+storage.ConfigKind+"\n")) {
				files[path] = text
			}
			return err
		}))
	}
	return files
}

func TestConfigSchemaTakesEveryFile(t *testing.T) {
	schema := configSchema(t)
	files := configFiles(t, "config", "examples", "pkg/inject/storage/testdata/objects")
	for _, file := range []string{"config/samples/nfs.yaml", "examples/storageconfig.yaml", "config/manager/config.yaml"} {
		require.Contains(t, files, file)
	}
	for file, text := range files {
		if _, _, err := storage.Load(text); err != nil {
			assert.True(t, strings.HasPrefix(file, "pkg/"), "%s is not a valid configuration: %v", file, err)
			continue
		}
		assert.NoError(t, schema.Validate(instance(t, text)), file)
	}
}

// TestConfigSchemaRefuses also requires that the programs refuse each file: the schema must not be
// stricter than they are.
func TestConfigSchemaRefuses(t *testing.T) {
	const head = "apiVersion: pipeline-storage.io/v1alpha1\nkind: StorageConfig\n"
	schema := configSchema(t)
	require.NoError(t, schema.Validate(instance(t, []byte(head+"profiles: [{name: a}]"))))
	for name, c := range map[string]struct{ config, exp string }{
		"no kind":                 {"apiVersion: pipeline-storage.io/v1alpha1\nprofiles: [{name: a}]", "'kind'"},
		"no profiles":             {head, "'profiles'"},
		"another kind":            {strings.Replace(head, "StorageConfig", "Storage", 1) + "profiles: [{name: a}]", "/kind"},
		"a field at the top":      {head + "profile: []\nprofiles: [{name: a}]", "'profile'"},
		"a misspelt field":        {head + "profiles: [{name: a, claim: {sise: 1Gi}}]", "'/profiles/0/claim'"},
		"no such access mode":     {head + "profiles: [{name: a, claim: {accessModes: [RW]}}]", "/claim/accessModes/0"},
		"no such backend":         {head + "profiles: [{name: a, storageClass: {backend: aws}}]", "/storageClass/backend"},
		"no such reclaim policy":  {head + "profiles: [{name: a, storageClass: {reclaimPolicy: Keep}}]", "/reclaimPolicy"},
		"a size without its unit": {head + "profiles: [{name: a, claim: {size: 100}}]", "/claim/size"},
		"text for a boolean":      {head + `profiles: [{name: a, colocate: "yes"}]`, "'/profiles/0/colocate'"},
	} {
		t.Run(name, func(t *testing.T) {
			require.ErrorContains(t, schema.Validate(instance(t, []byte(c.config))), c.exp)
			_, _, err := storage.Load([]byte(c.config))
			assert.Error(t, err)
		})
	}
}

// TestDocumentedSchemaLineNamesTheFile follows the lines for editors, which begin at their own file.
func TestDocumentedSchemaLineNamesTheFile(t *testing.T) {
	const line = "# yaml-language-server: $schema="
	text, err := os.ReadFile("docs/configuration.md")
	require.NoError(t, err)
	assert.Contains(t, string(text), line+configSchemaFile+"\n")

	named := 0
	for file, text := range configFiles(t, "examples", "config") {
		_, rest, found := strings.Cut(string(text), line)
		if !found {
			continue
		}
		named++
		path, _, _ := strings.Cut(rest, "\n")
		assert.Equal(t, configSchemaFile, filepath.ToSlash(filepath.Join(filepath.Dir(file), path)), file)
	}
	assert.Positive(t, named, "an example shows the line")
}
