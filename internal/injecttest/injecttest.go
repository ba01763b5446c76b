// Package injecttest has what the tests of pkg/inject and of the packages below it share: they
// read configurations and documents, find pods, and carry operations out with an independent
// library.
package injecttest

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// FileHead begins every configuration file. The text behind it starts on line 3. Line numbers in
// expected messages count these two lines.
const FileHead = "apiVersion: pipeline-storage.io/v1alpha1\nkind: StorageConfig\n"

// Release is the release of most tests. Tests of the webhook have none. The names that tests
// expect are made of it.
var Release = storage.Release{Name: "demo", Namespace: "ml"}

// Load reads a configuration file without its head. Defaults are set and warnings dropped. It
// fails the test for an invalid configuration.
func Load(t testing.TB, text string) *storage.Config {
	t.Helper()
	config, _, err := storage.Load([]byte(FileHead + text))
	require.NoError(t, err)
	return config
}

// LoadForAdmission reads a configuration file without its head, as the webhook does. It fails the
// test for names that need a release, because the webhook has none.
func LoadForAdmission(t testing.TB, text string) *storage.Config {
	t.Helper()
	config, _, err := storage.LoadForAdmission([]byte(FileHead + text))
	require.NoError(t, err)
	return config
}

// Decode reads a YAML document as both paths decode it: numbers keep their text. The result is
// what package kinds gets from a stream or an AdmissionReview.
func Decode(t testing.TB, text string) map[string]any {
	t.Helper()
	asJSON, err := yaml.YAMLToJSON([]byte(text))
	require.NoError(t, err)
	return DecodeJSON(t, asJSON)
}

// DecodeJSON reads a JSON document; numbers keep their text. The text has one object; what
// follows it is not read. It fails the test for a text that is not JSON.
func DecodeJSON(t testing.TB, text []byte) map[string]any {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var content map[string]any
	require.NoError(t, decoder.Decode(&content))
	return content
}

// Find returns the objects of a document. It uses the kinds of the configuration in addition to
// the built-in ones.
func Find(t testing.TB, config *storage.Config, document map[string]any) []kinds.Object {
	t.Helper()
	objects, err := kinds.NewTable(config.Kinds).Find(document)
	require.NoError(t, err)
	return objects
}

// Apply carries operations out with an independent JSON patch library. The document is not
// changed: the result is a copy. A patch that does not fit the document fails the test.
func Apply(t testing.TB, document map[string]any, result inject.Result) map[string]any {
	t.Helper()
	before, err := json.Marshal(document)
	require.NoError(t, err)
	if len(result.Operations) == 0 {
		return DecodeJSON(t, before)
	}
	ops, err := json.Marshal(result.Operations)
	require.NoError(t, err)
	patch, err := jsonpatch.DecodePatch(ops)
	require.NoError(t, err)
	after, err := patch.Apply(before)
	require.NoError(t, err)
	return DecodeJSON(t, after)
}

// Pod wraps the fields of a pod's spec, and of its metadata in front of a line "---". Text is in
// block style and not indented: its lines are moved below spec, so that a case of a test states
// only what it is about.
func Pod(t testing.TB, text string) map[string]any {
	t.Helper()
	meta, spec, ok := strings.Cut(text, "---\n")
	if !ok {
		meta, spec = "", text
	}
	indent := func(s string) string { return strings.ReplaceAll("\n"+strings.Trim(s, "\n"), "\n", "\n  ") + "\n" }
	return Decode(t, "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n"+indent(meta)+"spec:"+indent(spec))
}
