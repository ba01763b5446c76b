package injecttest

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// AdmissionProfiles are configurations without their head, for [AdmissionPods].
var AdmissionProfiles = []string{
	"profiles: [{name: default}]\n",
	"profiles: [{name: default, env: DATA, default: true}, {name: models, default: true, mount: {path: /models, " +
		"readOnly: true}}]\n",
	"profiles: [{name: default, mount: {subPath: \"{namespace}/{pod.name}/{pod.labels['job-name']}\"}}]\n",
	"profiles: [{name: default, colocate: true}, {name: disk, colocate: true, default: true, fsGroup: 7, mount: " +
		"{path: /disk, subPath: '{pod.name}'}}]\n",
	"profiles: [{name: default, env: [DATA, HF_HOME], seLinuxChangePolicy: Recursive, fsGroup: 7, storageClass: " +
		"{backend: nfs, parameters: {server: s, share: /x}}}]\n",
}

// The parts of which [AdmissionPods] makes all that can be made of them.
var (
	admissionMeta = []string{
		`"labels":{"pipeline-storage":"enabled"}`,
		`"labels":{"pipeline-storage":"enabled","job-name":"train-1"},"annotations":{"pipeline-storage.io/sub-path":"out"}`,
		`"labels":{"pipeline-storage":"enabled"},"annotations":{"pipeline-storage.io/mount-path":"/run/secrets/` +
			`kubernetes.io/serviceaccount"}`,
		`"labels":{"pipeline-storage":"enabled","disk.pipeline-storage.io/claim":"pvc-data-pipeline-disk"}`,
		`"labels":{"app":"a"},"annotations":{"pipeline-storage.io/selected-by":"other"}`,
		`"labels":null,"annotations":null`,
	}
	admissionSpecs = []string{
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
	admissionContainers = []string{
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

// AdmissionPods are pods with what matters at admission: each metadata with each spec and all
// containers of it, as JSON.
func AdmissionPods() []string {
	var pods []string
	for _, meta := range admissionMeta {
		for _, spec := range admissionSpecs {
			for _, containers := range admissionContainers {
				pods = append(pods, fmt.Sprintf(
					`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a",%s},"spec":{%s,"containers":[%s]}}`,
					meta, spec, containers,
				))
			}
		}
	}
	return pods
}

// SamplePods are the pods of this repository's examples and of the kinds' test data, as JSON. The
// test's package must be two directories below the root, as for [ChartPods].
func SamplePods(t testing.TB) []string {
	t.Helper()
	return podsIn(t, 60, "../../examples/*/*.yaml", "../../test/kinds/testdata/*.in.yaml",
		"../../pkg/postrender/testdata/render/objects-*.in.yaml")
}

// ChartPods are the pods of public charts, where they lie beside the repository. Without them it skips the test.
func ChartPods(t testing.TB) []string {
	t.Helper()
	if _, err := os.Stat("../../../shared/corpus"); err != nil {
		t.Skip("not covered: the pods of public charts. ../shared/corpus is not part of the repository")
	}
	return podsIn(t, 400, "../../../shared/corpus/*.yaml")
}

// podsIn finds the pod templates in files, wherever they are in their objects.
func podsIn(t testing.TB, atLeast int, patterns ...string) []string {
	t.Helper()
	var pods []string
	for _, pattern := range patterns {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			for document := range strings.SplitSeq(string(text), "\n---") {
				var content any
				if strings.Contains(document, "containers:") && !strings.Contains(document, "kind: CustomResourceDefinition") &&
					yaml.Unmarshal([]byte(document), &content) == nil {
					pods = appendPods(pods, content)
				}
			}
		}
	}
	require.GreaterOrEqual(t, len(pods), atLeast)
	return pods
}

// appendPods adds the pod templates in a value that the types of core/v1 can hold.
func appendPods(pods []string, value any) []string {
	switch value := value.(type) {
	case []any:
		for _, item := range value {
			pods = appendPods(pods, item)
		}
	case map[string]any:
		spec, _ := value["spec"].(map[string]any)
		if containers, _ := spec["containers"].([]any); len(containers) > 0 {
			meta, _ := value["metadata"].(map[string]any)
			if meta == nil {
				meta = map[string]any{}
			}
			text, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
			if err == nil && json.Unmarshal(text, &corev1.Pod{}) == nil {
				pods = append(pods, string(text))
			}
			return pods
		}
		for _, field := range value {
			pods = appendPods(pods, field)
		}
	}
	return pods
}

// The forms that the parts of a pod can have. Of each row a generated pod has one. A pod of an API
// server always has metadata.
var (
	oddMeta = []string{
		`{}`, `{"labels":null,"annotations":{}}`, `{"labels":{},"annotations":null}`,
		`{"name":"a","labels":{"pipeline-storage":"enabled","a/b~c":"d"},"annotations":{"x":"\u0041\"\\"}}`,
	}
	oddSpecs = [][]string{
		{
			``, `"volumes":null,`, `"volumes":[],`, `"volumes":[{}],`, `"volumes":[{"name":"v","persistentVolumeClaim":null}],`,
			`"volumes":[{"name":"v","persistentVolumeClaim":{"claimName":"c"}},{"name":"e","emptyDir":{}}],`,
			`"volumes":[{"name":"v","persistentVolumeClaim":{"claimName":"c","readOnly":true}},` +
				`{"name":"w","persistentVolumeClaim":{"claimName":"c","readOnly":null}}],`,
		},
		{
			``, `"securityContext":null,`, `"securityContext":{},`, `"securityContext":{"runAsUser":0},`,
			`"securityContext":{"fsGroup":null},`,
			`"securityContext":{"fsGroup":0,"fsGroupChangePolicy":"Always"},`,
			`"securityContext":{"fsGroupChangePolicy":"Always"},`,
			`"securityContext":{"seLinuxChangePolicy":"Recursive"},`, `"securityContext":{"seLinuxChangePolicy":null},`,
			`"securityContext":{"seLinuxOptions":{"level":"s0:c1"},"windowsOptions":{"runAsUserName":"a"}},`,
			`"securityContext":{"seLinuxOptions":{}},`, `"securityContext":{"seLinuxOptions":null,"windowsOptions":null},`,
			`"securityContext":{"windowsOptions":{"hostProcess":true}},`,
			`"securityContext":{"windowsOptions":{"hostProcess":null}},`,
		},
		{
			``, `"affinity":null,`, `"affinity":{},`, `"affinity":{"podAffinity":{}},`, `"affinity":{"nodeAffinity":null},`,
			`"affinity":{"podAntiAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":[{"topologyKey":"t"}]}},`,
			NodeAffinity(""), NodeAffinity(`{}`), NodeAffinity(`{"matchExpressions":[` + OnWindows + `]}`),
			NodeAffinity(`{"matchExpressions":[{"key":"a","operator":"Exists"},` + OnWindows + `]},{}`),
			NodeAffinity(`{"matchExpressions":[` + OnWindows + `]},{"matchExpressions":[{"key":"a","operator":"Exists"}]}`),
			NodeAffinity(`{"matchExpressions":[{"key":"kubernetes.io/os","operator":"NotIn","values":["windows"]}]}`),
			NodeAffinity(`{"matchFields":[{"key":"metadata.name","operator":"In","values":["windows"]}]}`),
		},
		{
			``, `"topologySpreadConstraints":null,`, `"topologySpreadConstraints":[],`,
			`"topologySpreadConstraints":[{"maxSkew":1,"topologyKey":"t","whenUnsatisfiable":"DoNotSchedule"}],`,
		},
		{
			``, `"os":null,`, `"os":{"name":"windows"},`, `"os":{"name":"linux"},`,
			`"nodeSelector":{"kubernetes.io/os":"windows"},`, `"nodeSelector":{},`,
			`"nodeSelector":{"beta.kubernetes.io/os":"windows"},`, `"nodeSelector":{"beta.kubernetes.io/os":"linux"},`,
		},
		{``, `"hostUsers":null,`, `"hostUsers":true,`, `"hostUsers":false,`},
		{``, `"nodeName":"n",`, `"hostNetwork":true,`, `"hostNetwork":false,"nodeName":"",`},
		{
			``, `"initContainers":null,`, `"initContainers":[],`,
			`"initContainers":[{"name":"i","ports":[{"containerPort":1,"hostPort":1}]}],`,
			`"ephemeralContainers":[{"name":"debug","volumeMounts":[{"name":"v","mountPath":"/e"}]}],`,
		},
	}
	oddContainers = []string{
		`{"name":"main"}`, `{"name":"main","volumeMounts":null,"env":null,"volumeDevices":null,"ports":null}`,
		`{"name":"main","volumeMounts":[],"env":[],"volumeDevices":[],"ports":[]}`,
		`{"name":"main","volumeMounts":[{}],"env":[{"name":"E"}],"volumeDevices":[{"name":"d","devicePath":"/dev/x"}],` +
			`"ports":[{"containerPort":80}]}`,
		`{"name":"main","volumeMounts":[{"name":"v","mountPath":"/a","subPath":"s"},{"name":"v","mountPath":"b"}]}`,
		`{"name":"main","env":[{"name":"A","value":"b"},{"name":"B","valueFrom":null},{"name":"C","valueFrom":{}},` +
			`{"name":"D",` +
			`"valueFrom":{"fieldRef":{"fieldPath":"metadata.name"}}},{"name":"E","valueFrom":{"fieldRef":null,` +
			`"secretKeyRef":{"name":"s","key":"k"}}}]}`,
		`{"name":"main","volumeMounts":[{"name":"v","mountPath":"/a","readOnly":true},{"name":"v","mountPath":"/b",` +
			`"readOnly":null}],"securityContext":{"seLinuxOptions":{"user":"u","role":"r","type":"t","level":"l"}}}`,
		`{"name":"main","securityContext":null},{"name":"b","securityContext":{"windowsOptions":{"hostProcess":true}}}`,
		`{"name":"main","securityContext":{}},{"name":"b","securityContext":{"windowsOptions":{"hostProcess":false}}}`,
		`{"name":"main"},{"name":"main","ports":[{"containerPort":80,"hostPort":8080}]},{"name":"c",` +
			`"volumeMounts":[{"name":"w","mountPath":"/w"}]}`,
	}
)

// OnWindows is a requirement of a node affinity.
const OnWindows = `{"key":"kubernetes.io/os","operator":"In","values":["windows"]}`

// NodeAffinity is a required one with these terms.
func NodeAffinity(terms string) string {
	return `"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[` + terms +
		`]}}},`
}

// GeneratedPods are pods of random parts, the same in every run.
func GeneratedPods(t testing.TB) []string {
	t.Helper()
	const count = 3000
	random := rand.New(rand.NewSource(1))
	pick := func(parts []string) string { return parts[random.Intn(len(parts))] }
	pods := make([]string, count)
	for i := range pods {
		var spec strings.Builder
		for _, parts := range oddSpecs {
			spec.WriteString(pick(parts))
		}
		pods[i] = fmt.Sprintf(`{"apiVersion":"v1","kind":"Pod","metadata":%s,"spec":{%s"containers":[%s]}}`,
			pick(oddMeta), spec.String(), pick(oddContainers))
	}
	assert.Len(t, pods, count)
	return pods
}
