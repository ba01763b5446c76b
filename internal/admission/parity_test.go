package admission_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/internal/injecttest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// TestBothDecodersSeeTheSame sends pods to the webhook, which reads the few fields that matter, and
// has them decided as the post-renderer reads them. Answers and patched pods are the same.
func TestBothDecodersSeeTheSame(t *testing.T) {
	paths := slices.Sorted(maps.Keys(inject.AdmissionPaths))
	counts, reviews := map[bool]int{}, 0
	for _, profiles := range injecttest.AdmissionProfiles {
		h := handler(t)
		h.Config = config(t, profiles)
		for _, pod := range injecttest.AdmissionPods() {
			// Each path in turn, with the next containers and with the next spec.
			path := paths[(reviews+reviews/7)%len(paths)]
			reviews++
			result := asRendered(t, h.Config(), pod, inject.AdmissionPaths[path])
			review := answerOf(t, sendTo(t, h, path, "application/json", createOf(pod)))
			refused := result.Refused()
			counts[refused == nil]++
			require.Equal(t, refused == nil, review.Response.Allowed, pod)
			if refused != nil {
				require.Equal(t, "Pod/a: "+refused.Message, review.Response.Result.Message)
				continue
			}
			require.Equal(
				t, strings.Join(result.Decisions[0].Warnings, "\n"), strings.Join(review.Response.Warnings, "\n"), pod,
			)
			if len(result.Operations) == 0 {
				require.Nil(t, review.Response.Patch, pod)
				continue
			}
			operations, err := json.Marshal(result.Operations)
			require.NoError(t, err)
			patch, err := jsonpatch.DecodePatch(operations)
			require.NoError(t, err)
			expected, err := patch.Apply([]byte(pod))
			require.NoError(t, err)
			require.JSONEq(t, string(expected), patched(t, pod, review), pod)
		}
	}
	assert.Greater(t, counts[true], 100)
	assert.Greater(t, counts[false], 20)
}

// asRendered decides about a pod as pkg/postrender would, but for the injected annotation and the
// names of a release.
func asRendered(t *testing.T, config *storage.Config, pod string, by inject.SelectedBy) inject.Result {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(pod))
	decoder.UseNumber()
	var document map[string]any
	require.NoError(t, decoder.Decode(&document))
	objects, err := kinds.NewTable(config.Kinds).Find(document)
	require.NoError(t, err)
	require.Len(t, objects, 1)
	return inject.Patch(config, inject.Request{Namespace: "ml", Admission: true, SelectedBy: by}, objects[0].Pods...)
}
