package stream

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// limits are the sizes that the benchmark's table promises.
var limits = map[string]struct{ least, most, workloads, crds int }{
	"small":  {least: 16_000, most: 24_000, workloads: 2},
	"medium": {least: 170_000, most: 230_000, workloads: 8},
	"large":  {least: 4_000_001, most: 6_000_000, workloads: 5, crds: 10},
}

func TestGeneratesStatedSize(t *testing.T) {
	for _, size := range Sizes() {
		t.Run(size.Name, func(t *testing.T) {
			want := limits[size.Name]
			stream := generate(t, size)
			kinds := count(documents(t, stream), "kind")

			assert.GreaterOrEqual(t, len(stream), want.least)
			assert.LessOrEqual(t, len(stream), want.most)
			assert.Equal(t, want.workloads, size.Workloads())
			assert.Equal(t, want.workloads, kinds["Deployment"]+kinds["StatefulSet"]+kinds["Job"])
			assert.Equal(t, want.crds, kinds["CustomResourceDefinition"])
		})
	}
}

func TestGeneratesSameBytes(t *testing.T) {
	for _, size := range Sizes() {
		assert.True(t, bytes.Equal(generate(t, size), generate(t, size)), "the %s stream differs from "+
			"call to call", size.Name)
	}
}

// Every object has an identity of its own, or kustomize refuses the stream.
func TestGeneratesUniqueObjects(t *testing.T) {
	for _, size := range Sizes() {
		seen := map[string]bool{}
		for _, document := range documents(t, generate(t, size)) {
			metadata := document["metadata"].(map[string]any)
			id := document["kind"].(string) + "/" + metadata["name"].(string)
			assert.False(t, seen[id], "the %s stream has %s twice", size.Name, id)
			seen[id] = true
		}
	}
}

func TestGeneratesNoConflictWithClaim(t *testing.T) {
	for _, size := range Sizes() {
		stream := generate(t, size)
		assert.NotRegexp(t, `mountPath: "?/data\b`, string(stream))
		assert.NotContains(t, string(stream), "pipeline-storage")
	}
}

func TestGeneratesHelmOutput(t *testing.T) {
	for _, size := range Sizes() {
		stream := generate(t, size)
		separators := bytes.Count(stream, []byte("\n---\n")) + 1
		sources := bytes.Count(stream, []byte("\n---\n# Source: "+size.Chart+"/")) + 1

		assert.True(t, bytes.HasPrefix(stream, []byte("---\n# Source: "+size.Chart+"/")))
		assert.Equal(t, separators, sources, "every document names its source")
		assert.Len(t, documents(t, stream), separators)
	}
}

func generate(t *testing.T, size Size) []byte {
	t.Helper()
	stream, err := Generate(size)
	require.NoError(t, err)
	return stream
}

func documents(t *testing.T, stream []byte) []map[string]any {
	t.Helper()
	var found []map[string]any
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(stream)))
	for {
		text, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return found
		}
		require.NoError(t, err)
		var document map[string]any
		require.NoError(t, yaml.UnmarshalStrict(text, &document))
		found = append(found, document)
	}
}

func count(documents []map[string]any, field string) map[string]int {
	counts := map[string]int{}
	for _, document := range documents {
		counts[document[field].(string)]++
	}
	return counts
}
