// Package stream reads streams of manifests for tests, apart from the code that they test.
package stream

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// Objects decodes the documents of a stream with the decoder that Helm uses. Comments alone make
// no document. A document that is not a mapping fails the test. The order is that of the stream.
// Splitting is simple on purpose: it must not share mistakes with package manifest. An empty
// stream has none.
func Objects(t testing.TB, stream string) []unstructured.Unstructured {
	t.Helper()
	var all []unstructured.Unstructured
	for text := range strings.SplitSeq("\n"+stream, "\n---") {
		var object map[string]any
		require.NoError(t, yaml.Unmarshal([]byte(text), &object), text)
		if object != nil {
			all = append(all, unstructured.Unstructured{Object: object})
		}
	}
	return all
}
