package admission_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// The parts of pods and profiles of which TestBothDecodersSeeTheSame makes all that can be made of
// them.
var (
	parityProfiles = []string{
		"profiles: [{name: default}]\n",
		"profiles: [{name: default, env: DATA, default: true}, {name: models, default: true, mount: {path: /models, " +
			"readOnly: true}}]\n",
		"profiles: [{name: default, mount: {subPath: \"{namespace}/{pod.name}/{pod.labels['job-name']}\"}}]\n",
		"profiles: [{name: default, colocate: true}, {name: disk, colocate: true, default: true, fsGroup: 7, mount: " +
			"{path: /disk, subPath: '{pod.name}'}}]\n",
		"profiles: [{name: default, env: [DATA, HF_HOME], seLinuxChangePolicy: Recursive, fsGroup: 7, storageClass: " +
			"{backend: nfs, parameters: {server: s, share: /x}}}]\n",
	}
	parityMeta = []string{
		`"labels":{"pipeline-storage":"enabled"}`,
		`"labels":{"pipeline-storage":"enabled","job-name":"train-1"},"annotations":{"pipeline-storage.io/sub-path":"out"}`,
		`"labels":{"pipeline-storage":"enabled"},"annotations":{"pipeline-storage.io/mount-path":"/run/secrets/` +
			`kubernetes.io/serviceaccount"}`,
		`"labels":{"pipeline-storage":"enabled","disk.pipeline-storage.io/claim":"pvc-data-pipeline-disk"}`,
		`"labels":{"app":"a"},"annotations":{"pipeline-storage.io/selected-by":"other"}`,
		`"labels":null,"annotations":null`,
	}
	paritySpecs = []string{
		`"volumes":null`,
		`"affinity":null,"nodeName":"n"`,
		`"affinity":{},"securityContext":{"fsGroup":7}`,
		`"affinity":{"nodeAffinity":{"preferredDuringSchedulingIgnoredDuringExecution":[{"weight":1,"preference":{}}]},` +
			`"podAffinity":{}}`,
		`"affinity":{"podAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":[` +
			`{"topologyKey":"kubernetes.io/hostname",` +
			`"labelSelector":{"matchLabels":{"disk.pipeline-storage.io/claim":"pvc-data-pipeline-disk"}}}]}}`,
		`"affinity":{"podAntiAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":[{"topologyKey":"zone",` +
			`"labelSelector":{"matchLabels":{"pipeline-storage":"enabled"}}}]}}`,
		`"affinity":{"podAffinity":[]}`,
		`"affinity":[],"topologySpreadConstraints":{}`,
		`"topologySpreadConstraints":[{"maxSkew":1,"topologyKey":"zone","whenUnsatisfiable":"DoNotSchedule",` +
			`"labelSelector":{"matchLabels":{"pipeline-storage":"enabled"}}}]`,
		`"hostNetwork":true`,
		`"volumes":[{"name":"mine","persistentVolumeClaim":{"claimName":"pvc-data-pipeline"}}]`,
		`"volumes":[{"name":"mine","persistentVolumeClaim":{"claimName":"pvc-data-pipeline","readOnly":true}}]`,
		`"volumes":[{"name":"a","persistentVolumeClaim":{"claimName":"pvc-data-pipeline"}},{"name":"mine",` +
			`"persistentVolumeClaim":{"claimName":"pvc-data-pipeline","readOnly":true}}]`,
		`"hostUsers":false,"securityContext":{"seLinuxOptions":{"level":"s0:c1"}}`,
		`"securityContext":{"seLinuxChangePolicy":"MountOption"}`,
		`"nodeSelector":{"beta.kubernetes.io/os":"windows"}`,
		`"securityContext":{"windowsOptions":{"hostProcess":true}}`,
		`"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[` +
			`{"matchExpressions":[{"key":"kubernetes.io/os","operator":"In","values":["windows"]}]}]}}}`,
	}
	parityContainers = []string{
		`{"name":"main"}`,
		`{"name":"main","ports":[{"containerPort":80}]},{"name":"b","ports":null}`,
		`{"name":"main","ports":[{"containerPort":80,"hostPort":8080}]}`,
		`{"name":"main","volumeMounts":[{"name":"mine","mountPath":"/mine"}]},{"name":"b","env":[{"name":"A","value":"b"}]}`,
		`{"name":"main","env":[{"name":"PIPELINE_STORAGE_POD_NAME","valueFrom":{"fieldRef":{"apiVersion":"v1",` +
			`"fieldPath":"metadata.name"}}}]}`,
		`{"name":"main","env":[{"name":"PIPELINE_STORAGE_POD_NAME","valueFrom":{"configMapKeyRef":{"name":"c","key":"k"}}},` +
			`{"name":"DATA","valueFrom":null}]}`,
		`{"name":"main","securityContext":{"seLinuxOptions":{"level":"s0:c2"}}},{"name":"b","volumeMounts":[{"name":"x",` +
			`"mountPath":"/data/x"}]},{"name":"c","volumeMounts":[{"name":"x","mountPath":"/data/x"}],"env":[{"name":` +
			`"HF_HOME","value":"/data"}]}`,
	}
)

// TestBothDecodersSeeTheSame sends pods to the webhook, which reads the few fields that matter, and
// has them decided as the post-renderer reads them. Answers and patched pods are the same.
func TestBothDecodersSeeTheSame(t *testing.T) {
	paths := slices.Sorted(maps.Keys(inject.AdmissionPaths))
	counts, reviews := map[bool]int{}, 0
	for _, profiles := range parityProfiles {
		h := handler(t)
		h.Config = config(t, profiles)
		for _, meta := range parityMeta {
			for _, spec := range paritySpecs {
				for _, containers := range parityContainers {
					pod := fmt.Sprintf(
						`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a",%s},"spec":{%s,"containers":[%s]}}`, meta, spec,
						containers,
					)
					// Each path in turn, with the next containers and with the next spec.
					path := paths[(reviews+reviews/len(parityContainers))%len(paths)]
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
