package admission

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/yaml"

	"github.com/pipeline-storage/pipeline-storage/internal/injecttest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
)

// TestAllReadersReadTheSame reads pods with the three readers there are: the one of decoded
// documents, the typed one and the streaming one of admission. The pods are those of the samples,
// of public charts and generated ones.
func TestAllReadersReadTheSame(t *testing.T) {
	for name, pods := range map[string]func(testing.TB) []string{
		"pods of the samples": podsOfSamples, "pods of public charts": podsOfCharts, "generated pods": generatedPods,
	} {
		t.Run(name, func(t *testing.T) {
			for _, text := range pods(t) {
				var typed corev1.Pod
				require.NoError(t, json.Unmarshal([]byte(text), &typed), text)
				want := comparablePod(t, decodedPod(t, text))
				requireSame(t, "typed", want, comparablePod(t, kinds.FromPod(&typed)), text)
				requireSame(t, "streamed", want, comparablePod(t, streamedPod(t, text)), text)
			}
		})
	}
}

func decodedPod(t *testing.T, text string) kinds.Pod {
	t.Helper()
	objects, err := kinds.NewTable(nil).Find(injecttest.DecodeJSON(t, []byte(text)))
	require.NoError(t, err, text)
	require.Len(t, objects[0].Pods, 1, text)
	return objects[0].Pods[0]
}

func streamedPod(t *testing.T, text string) kinds.Pod {
	t.Helper()
	body := `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u","object":` + text + `}}`
	read := &review{}
	require.NoError(t, decode([]byte(body), needs{env: true, scheduling: true}, read), text)
	return read.request.object.Pod
}

// compared is what the readers must agree on. The parts that pkg/inject reads as the types of
// core/v1 are of these types.
type compared struct {
	Pod      kinds.Pod
	Affinity corev1.Affinity
	Spread   []corev1.TopologySpreadConstraint
	Ports    []corev1.ContainerPort
}

// comparablePod leaves out which object holds the pod, and whether something is empty or absent
// where a typed reader finds no difference.
func comparablePod(t *testing.T, pod kinds.Pod) compared {
	t.Helper()
	var c compared
	convert(t, pod.Affinity, &c.Affinity)
	convert(t, pod.Spread, &c.Spread)
	for _, list := range pod.Ports {
		var ports []corev1.ContainerPort
		convert(t, list, &ports)
		c.Ports = append(c.Ports, ports...)
	}
	slices.SortFunc(c.Ports, func(a, b corev1.ContainerPort) int { return strings.Compare(a.String(), b.String()) })
	pod.HasLabels = len(pod.Labels) > 0
	pod.Affinity, pod.Spread, pod.Ports = nil, nil, nil
	if pod.SecurityContext != nil && *pod.SecurityContext == (kinds.SecurityContext{}) {
		pod.SecurityContext = nil
	}
	c.Pod = pod
	return c
}

// requireSame compares, and takes empty lists and maps for absent ones.
func requireSame(t *testing.T, reader string, want, got compared, text string) {
	t.Helper()
	if !equality.Semantic.DeepEqual(want, got) {
		require.Equal(t, want, got, "%s: %s", reader, text)
		require.Fail(t, "the readers differ", "%s: %s", reader, text)
	}
}

func convert(t *testing.T, from, into any) {
	t.Helper()
	text, err := json.Marshal(from)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, into))
}

// podsOfSamples are the pods of this repository's examples and of the kinds' test data.
func podsOfSamples(t testing.TB) []string {
	t.Helper()
	return podsIn(t, 60, "../../examples/*/*.yaml", "../../test/kinds/testdata/*.in.yaml",
		"../../pkg/postrender/testdata/render/objects-*.in.yaml")
}

// podsOfCharts are the pods of public charts, where they lie beside the repository.
func podsOfCharts(t testing.TB) []string {
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
			nodeAffinity(""), nodeAffinity(`{}`), nodeAffinity(`{"matchExpressions":[` + onWindows + `]}`),
			nodeAffinity(`{"matchExpressions":[{"key":"a","operator":"Exists"},` + onWindows + `]},{}`),
			nodeAffinity(`{"matchExpressions":[` + onWindows + `]},{"matchExpressions":[{"key":"a","operator":"Exists"}]}`),
			nodeAffinity(`{"matchExpressions":[{"key":"kubernetes.io/os","operator":"NotIn","values":["windows"]}]}`),
			nodeAffinity(`{"matchFields":[{"key":"metadata.name","operator":"In","values":["windows"]}]}`),
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

// onWindows is a requirement of a node affinity.
const onWindows = `{"key":"kubernetes.io/os","operator":"In","values":["windows"]}`

// nodeAffinity is a required one with these terms.
func nodeAffinity(terms string) string {
	return `"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[` + terms +
		`]}}},`
}

// TestWindowsIsReadWithoutAnyNeed: a profile may need neither the affinity nor anything else of a pod.
func TestWindowsIsReadWithoutAnyNeed(t *testing.T) {
	for _, text := range append(generatedPods(t), `{"apiVersion":"v1","kind":"Pod","metadata":{},"spec":{`+
		strings.ReplaceAll(nodeAffinity(`{"matchExpressions":[`+onWindows+`]}`), "windows", `w\u0069ndows`)+
		`"containers":[{"name":"a"}]}}`) {
		body := `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u","object":` + text + `}}`
		read := &review{}
		require.NoError(t, decode([]byte(body), needs{}, read), text)
		require.Equal(t, decodedPod(t, text).Windows, read.request.object.Windows, text)
		require.Empty(t, read.request.object.Affinity, "nothing needs it")
	}
}

// generatedPods are pods of random parts, the same in every run.
func generatedPods(t testing.TB) []string {
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
