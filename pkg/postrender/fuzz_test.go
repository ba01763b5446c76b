package postrender_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/pipeline-storage/pipeline-storage/internal/manifest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// helmReads reports whether the decoder that Helm uses takes every document.
func helmReads(stream []byte) bool {
	for _, doc := range manifest.Split(stream) {
		if _, err := yaml.YAMLToJSON(doc.Body); err != nil {
			return false
		}
	}
	return true
}

// FuzzRun renders arbitrary streams with the whole renderer and requires every property of its output.
func FuzzRun(f *testing.F) {
	files, err := filepath.Glob(filepath.Join("testdata", "render", "*.yaml"))
	require.NoError(f, err)
	require.NotEmpty(f, files)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(text)
	}
	for _, text := range []string{
		jsonPod("p") + jsonPod("q"), "\uFEFF {}\n" + jsonPod("p"), jsonPod("p") + "\n---\t\n" + jsonPod("q"),
		"{kind: Pod, spec: {containers: [{}]}}...\n", "kind: Pod\nspec: {containers: [{}]}\n...\n%TAG ! x\n---\n{}", "{}{}",
		`{"kind":"Namespace"}{"kind":"Pod","spec":{"containers":[{}]}}{"kind":"Namespace"}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		check := requireProperties
		if !helmReads(stream) {
			check = requireStable
		}
		check(t, newRenderer(t, storage.DefaultMountPath), stream)
	})
}
