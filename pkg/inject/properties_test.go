package inject_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	kjson "sigs.k8s.io/json"

	"github.com/pipeline-storage/pipeline-storage/internal/injecttest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// The parts of which TestProperties makes every pod that can be made of them.
var (
	metaParts = []string{
		"", "annotations: {pipeline-storage.io/profiles: 'default,b'}\n", "annotations: " +
			"{pipeline-storage.io/mount-path: /other}\n",
		"labels: {a: c}\nannotations: {pipeline-storage.io/profiles: b}\n",
	}
	volumeParts = []string{
		"", "volumes: null\n", "volumes: []\n", "volumes: [{name: scratch, emptyDir: {}}]\n",
		"volumes: [" + volume + "]\n",
		"volumes: [{name: scratch, emptyDir: {}}, {name: pipeline-storage, persistentVolumeClaim: {claimName: old}}]\n",
		"volumes: [{name: mine, persistentVolumeClaim: {claimName: pvc-data-pipeline.demo}}]\n",
		"volumes: [{name: pipeline-storage, emptyDir: {}}]\n",
		"volumes: [{name: mine, persistentVolumeClaim: {claimName: pvc-data-pipeline.demo, readOnly: true}}]\n",
		"volumes: [{name: mine, persistentVolumeClaim: {claimName: pvc-data-pipeline.demo, readOnly: true}}, " +
			"{name: scratch, persistentVolumeClaim: {claimName: pvc-data-pipeline.demo}}]\n",
	}
	contextParts = []string{
		"", "securityContext: null\n", "securityContext: {}\n", "securityContext: {runAsUser: 1}\n",
		"securityContext: {fsGroup: null}\n",
		"securityContext: {fsGroup: 7, fsGroupChangePolicy: Always}\n",
		"securityContext: {seLinuxChangePolicy: MountOption}\n",
		"affinity: null\n", "affinity: {nodeAffinity: {}}\n", "affinity: {podAffinity: " +
			"{requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: zone}]}}\n",
	}
	containerParts = []string{
		"containers: [{name: main}]\n",
		"containers: [{name: main, volumeMounts: null, env: []}, {name: b, env: [{name: DATA, value: /data}]}]\n",
		"initContainers: [{name: i, restartPolicy: Always}]\ncontainers: [{name: main, volumeMounts: [{name: scratch, " +
			"mountPath: /tmp}]}]\n",
		"containers: [{name: main, volumeMounts: [{name: mine, mountPath: /mine}, {name: pipeline-storage, mountPath: " +
			"/injected}]}]\n",
		"containers: [{name: main, env: [{name: OTHER, valueFrom: {fieldRef: {fieldPath: metadata.name}}}], " +
			"volumeDevices: [{name: r, devicePath: /dev/x}]}]\n",
		"containers: [{name: main}, {name: main, volumeMounts: [{name: scratch, mountPath: /data/}]}]\n",
	}
)

// propertyConfig exercises everything that can be added.
const propertyConfig = "profiles:\n" +
	"- {name: default, env: [DATA, HF_HOME], fsGroup: 1000, seLinuxChangePolicy: Recursive}\n" +
	"- {name: b, colocate: true, " +
	"mount: {path: /b, subPath: 'runs/{pod.name}'}}\n"

// TestProperties patches every combination of the parts, and checks what must hold for each.
func TestProperties(t *testing.T) {
	config := injecttest.Load(t, propertyConfig)
	counts := map[inject.Reason]int{}
	for m, meta := range metaParts {
		for v, volumes := range volumeParts {
			for s, context := range contextParts {
				for c, containers := range containerParts {
					document := injecttest.Pod(t, meta+"---\n"+volumes+context+containers)
					result := checkProperties(t, config, document)
					counts[result.Decisions[0].Reason]++
					require.Falsef(t, t.Failed(), "parts %d %d %d %d", m, v, s, c)
				}
			}
		}
	}
	for _, reason := range []inject.Reason{inject.ReasonInjected, inject.ReasonConflict} {
		assert.NotZero(t, counts[reason], "%s must occur, or the parts prove nothing", reason)
	}
}

// checkProperties patches a pod, and checks what must hold whatever it is.
func checkProperties(t testing.TB, config *storage.Config, document map[string]any) inject.Result {
	t.Helper()
	document["x-unknown"] = map[string]any{"kept": true}
	document["spec"].(map[string]any)["fieldOfTomorrow"] = []any{json.Number("1e3"), nil}
	before, err := json.Marshal(document)
	require.NoError(t, err)
	objects := injecttest.Find(t, config, document)
	podsBefore := fmt.Sprintf("%+v", objects[0].Pods)

	result := patch(t, config, document)
	assert.Equal(t, podsBefore, fmt.Sprintf("%+v", objects[0].Pods), "the input is not changed")
	assert.Equal(t, lines(t, result), lines(t, patch(t, config, document)), "nothing depends on chance")
	for _, op := range result.Operations {
		assert.Equal(t, "add", op.Operation)
	}
	patched := injecttest.Apply(t, document, result)
	after, err := json.Marshal(document)
	require.NoError(t, err)
	assert.Equal(t, string(before), string(after), "the document is not changed")
	assertContains(t, "", patched, document)

	again := patch(t, config, patched)
	assert.Empty(t, again.Operations, "what is patched needs nothing more")
	if result.Refused() == nil {
		assert.Equal(t, inject.ReasonAlreadyMounted, again.Decisions[0].Reason)
		assertMounted(t, result.Decisions[0], patched)
	}
	delete(patched, "x-unknown")
	delete(patched["spec"].(map[string]any), "fieldOfTomorrow")
	text, err := json.Marshal(patched)
	require.NoError(t, err)
	strict, err := kjson.UnmarshalStrict(text, &corev1.Pod{})
	require.NoError(t, err)
	assert.Empty(t, strict, "Kubernetes has every field that was added")
	return result
}

// assertMounted checks that every container mounts every claim of the decision, at paths of its
// own.
func assertMounted(t testing.TB, decision inject.Decision, patched map[string]any) {
	t.Helper()
	text, err := json.Marshal(patched)
	require.NoError(t, err)
	var typed corev1.Pod
	require.NoError(t, json.Unmarshal(text, &typed))
	claimOf := map[string]string{}
	for _, v := range typed.Spec.Volumes {
		assert.NotContains(t, claimOf, v.Name, "volumes have names of their own")
		claimOf[v.Name] = ""
		if v.PersistentVolumeClaim != nil {
			claimOf[v.Name] = v.PersistentVolumeClaim.ClaimName
		}
	}
	for _, c := range slices.Concat(typed.Spec.InitContainers, typed.Spec.Containers) {
		var claims, paths []string
		for _, m := range c.VolumeMounts {
			claims = append(claims, claimOf[m.Name])
			clean := strings.TrimSuffix(m.MountPath, "/")
			assert.NotContains(t, paths, clean, "container %s", c.Name)
			paths = append(paths, clean)
		}
		for _, claim := range decision.Claims {
			assert.Contains(t, claims, claim, "container %s", c.Name)
		}
	}
}

// assertContains checks that everything of a value is still there: objects and lists may only have
// grown, lists at their head, and null or empty ones may have been filled.
func assertContains(t testing.TB, at string, after, before any) {
	t.Helper()
	switch before := before.(type) {
	case nil:
	case map[string]any:
		grown, ok := after.(map[string]any)
		require.True(t, ok, at)
		for key, value := range before {
			require.Contains(t, grown, key, at)
			assertContains(t, at+"/"+key, grown[key], value)
		}
	case []any:
		grown, ok := after.([]any)
		require.True(t, ok, at)
		require.GreaterOrEqual(t, len(grown), len(before), at)
		for i, value := range before {
			assertContains(t, fmt.Sprintf("%s/%d", at, i), grown[len(grown)-len(before)+i], value)
		}
	default:
		require.Equal(t, before, after, at)
	}
}

// TestPatchLeavesSpareRoomAlone is about slices that have room behind their end, which an append
// would fill.
func TestPatchLeavesSpareRoomAlone(t *testing.T) {
	config := injecttest.Load(t, propertyConfig)
	volumes := make([]kinds.PodVolume, 1, 4)
	volumes[0] = kinds.PodVolume{Name: "x"}
	mounts := make([]kinds.VolumeMount, 1, 4)
	mounts[0] = kinds.VolumeMount{Volume: "x", Path: "/x"}
	env := make([]kinds.Env, 1, 4)
	env[0] = kinds.Env{Name: "X"}
	result := inject.Patch(config, inject.Request{Release: injecttest.Release, Selector: labels.Everything()}, kinds.Pod{
		VolumesPath: "/spec/volumes", Volumes: volumes, SecurityContextPath: "/spec/securityContext",
		Containers: []kinds.Container{{Path: "/spec/containers/0", Name: "main", Mounts: mounts, Env: env}},
	})
	require.NotEmpty(t, result.Operations)
	assert.Equal(t, []kinds.PodVolume{{Name: "x"}, {}, {}, {}}, volumes[:cap(volumes)])
	assert.Equal(t, []kinds.VolumeMount{{Volume: "x", Path: "/x"}, {}, {}, {}}, mounts[:cap(mounts)])
	assert.Equal(t, []kinds.Env{{Name: "X"}, {}, {}, {}}, env[:cap(env)])
}
