package manifest_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pipeline-storage/pipeline-storage/internal/manifest"
)

func TestEncodeJSONIsJSONOnOneLine(t *testing.T) {
	text, err := manifest.EncodeJSON(map[string]any{
		"apiVersion": "v1", "kind": "X", "empty": "", "list": []string{"no", "a\nb", "é\u0085"}, "n": 1, "yes": true,
	})
	require.NoError(t, err)
	assert.JSONEq(t, `{"apiVersion":"v1","kind":"X","empty":"","list":["no","a\nb","é\u0085"],"n":1,"yes":true}`,
		string(text))
	assert.Equal(t, "\n", string(text[len(text)-1:]))
	assert.NotContains(t, string(text[:len(text)-1]), "\n")

	text, err = manifest.EncodeJSON(metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"})
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(string(text), `{"apiVersion": "v1", `), "as people write it: %s", text)
	_, err = manifest.EncodeJSON(make(chan int))
	require.Error(t, err)
}

// TestSplitFindsEndsOfJSON holds the ends of objects to those that encoding/json finds.
func TestSplitFindsEndsOfJSON(t *testing.T) {
	objects := []any{
		map[string]any{},
		map[string]any{"a": `}{"\`},
		map[string]any{"kind": []any{map[string]any{"kind": "x"}, nil, -1.5e-7}},
		map[string]any{"]": "\u2028\t'#", "kind": "Pod"},
		map[string]any{"deep": []any{[]any{[]any{map[string]any{"x": "["}}}}},
	}
	for indent, name := range map[string]string{"": "on lines", "\t": "indented by tabs", "  ": "indented by spaces"} {
		t.Run(name, func(t *testing.T) {
			var stream []byte
			var exp []string
			for _, object := range objects {
				text, err := json.MarshalIndent(object, "", indent)
				require.NoError(t, err)
				exp = append(exp, string(text)+"\n")
				stream = append(append(stream, text...), '\n')
			}
			var got []string
			for _, doc := range manifest.Split(stream) {
				assert.True(t, doc.IsJSON)
				got = append(got, string(doc.Body))
			}
			assert.Equal(t, exp, got)
		})
	}
}
