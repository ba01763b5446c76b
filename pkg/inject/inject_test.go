package inject_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
)

var update = flag.Bool("update", false, "write the expected files anew")

// fileHead begins every configuration file. The text behind it starts on line 3.
const fileHead = "apiVersion: pipeline-storage.io/v1alpha1\nkind: StorageConfig\n"

// release is the release of most tests.
var release = inject.Release{Name: "demo", Namespace: "ml"}

// load reads a configuration file without its head.
func load(t testing.TB, text string) *inject.Config {
	t.Helper()
	config, _, err := inject.Load([]byte(fileHead + text))
	require.NoError(t, err)
	return config
}

// decode reads a YAML document as both paths decode it: numbers keep their text.
func decode(t testing.TB, text string) map[string]any {
	t.Helper()
	asJSON, err := yaml.YAMLToJSON([]byte(text))
	require.NoError(t, err)
	return decodeJSON(t, asJSON)
}

func decodeJSON(t testing.TB, text []byte) map[string]any {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var content map[string]any
	require.NoError(t, decoder.Decode(&content))
	return content
}

// find returns the objects of a document.
func find(t testing.TB, config *inject.Config, document map[string]any) []inject.Object {
	t.Helper()
	objects, err := inject.NewTable(config.Kinds).Find(document)
	require.NoError(t, err)
	return objects
}

// apply carries operations out with a JSON patch library that is not ours.
func apply(t testing.TB, document map[string]any, result inject.Result) map[string]any {
	t.Helper()
	before, err := json.Marshal(document)
	require.NoError(t, err)
	if len(result.Operations) == 0 {
		return decodeJSON(t, before)
	}
	ops, err := json.Marshal(result.Operations)
	require.NoError(t, err)
	patch, err := jsonpatch.DecodePatch(ops)
	require.NoError(t, err)
	after, err := patch.Apply(before)
	require.NoError(t, err)
	return decodeJSON(t, after)
}

// golden compares text with a file, or writes the file anew with -update.
func golden(t *testing.T, file string, actual []byte) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(file, actual, 0o644))
	}
	expected, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(expected), string(actual), "if this is intended: go test ./pkg/inject -update")
}
