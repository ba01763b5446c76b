package postrender_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/pkg/postrender"
)

const (
	jobHead = "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: train\nspec:\n  template:\n    " +
		"metadata:\n      labels: {pipeline-storage: enabled}\n"
	oneJob = "    spec:\n      containers:\n      - name: main\n"
)

func TestEmptyStreams(t *testing.T) {
	for name, stream := range map[string]string{"nothing": "", "blanks": " \n\n"} {
		t.Run(name, func(t *testing.T) {
			r := labelled()
			out, err := r.Render([]byte(stream))
			require.NoError(t, err)
			assert.Equal(t, stream, string(out.Bytes()), "empty stays empty")
			r.Helm4 = true
			out, err = r.Render([]byte(stream))
			require.NoError(t, err)
			assert.Equal(t, "# pipeline-storage: no documents\n", string(out.Bytes()), "Helm 4 takes empty output for a failure")
		})
	}
}

func TestLargeStreams(t *testing.T) {
	const size = 100 << 20
	text := "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata:\n  a: |\n"
	text += strings.Repeat("    "+strings.Repeat("x", 95)+"\n", size/100)
	t.Run("a document that is not parsed may be of any size", func(t *testing.T) {
		out, err := labelled().Render([]byte(text + workload("Deployment", "a")))
		require.NoError(t, err)
		assert.Equal(t, 1, out.Report.Count(inject.ReasonInjected))
		assert.True(t, bytes.HasPrefix(out.Bytes(), []byte(text)))
	})
	t.Run("one that must be parsed may not", func(t *testing.T) {
		_, err := labelled().Render([]byte(strings.Replace(text, "kind: ConfigMap", "kind: Pod", 1)))
		require.EqualError(t, err, "document 1 Pod: is larger than 32 MiB, far more than an API server takes: split it")
	})
}

// TestErrorsHaveOrderOfStream holds that a stream is refused with all its errors, in its order.
func TestErrorsHaveOrderOfStream(t *testing.T) {
	t.Parallel()
	slow := "---\n" + jobHead + oneJob + "        x: [" + strings.Repeat("a,", 50_000) + "\n"
	quick := "---\nkind: Pod\nspec: [\n"
	r := &postrender.Renderer{Config: storage.Default(), Release: storage.Release{Name: "rel", Namespace: "ns"}}
	_, err := r.Render([]byte(slow + quick + quick))
	require.Error(t, err)
	lines := strings.Split(err.Error(), "\n")
	require.Len(t, lines, 3)
	assert.True(t, strings.HasPrefix(lines[0], "document 1 Job: cannot be parsed: "), lines[0])
	assert.True(t, strings.HasPrefix(lines[1], "document 2 Pod: cannot be parsed: "), lines[1])
	assert.True(t, strings.HasPrefix(lines[2], "document 3 Pod: cannot be parsed: "), lines[2])
}

// TestFindsKindsInOddPlaces has pods whose kind the scan of lines could miss.
func TestFindsKindsInOddPlaces(t *testing.T) {
	for name, line := range map[string]string{
		"a tab before the comment": "kind: Pod\t# x\n", "a tagged key": "!!str kind: Pod\n",
		"an anchored key": "&a kind: Pod\n",
		"a folded value":  "kind: \"Po\\\n  d\"\n", "a value on the next line": "kind:\n  Pod\n",
	} {
		t.Run(name, func(t *testing.T) {
			r := newRenderer(t, storage.DefaultMountPath)
			out := requireProperties(t, r, []byte("apiVersion: v1\n"+line+"metadata:\n  name: p\nspec:\n  "+
				"containers:\n  - name: c\n    image: x\n"))
			assert.Equal(t, 1, out.Report.Count(inject.ReasonInjected))
		})
	}
}
