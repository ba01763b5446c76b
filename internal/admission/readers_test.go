package admission

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/pipeline-storage/pipeline-storage/internal/injecttest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
)

// TestAllReadersReadTheSame reads pods with the three readers there are: the one of decoded
// documents, the typed one and the streaming one of admission. The pods are those of the samples,
// of public charts and generated ones.
func TestAllReadersReadTheSame(t *testing.T) {
	for name, pods := range map[string]func(testing.TB) []string{
		"pods of the samples": injecttest.SamplePods, "pods of public charts": injecttest.ChartPods,
		"generated pods": injecttest.GeneratedPods,
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

// TestWindowsIsReadWithoutAnyNeed: a profile may need neither the affinity nor anything else of a pod.
func TestWindowsIsReadWithoutAnyNeed(t *testing.T) {
	for _, text := range append(injecttest.GeneratedPods(t), `{"apiVersion":"v1","kind":"Pod","metadata":{},"spec":{`+
		strings.ReplaceAll(
			injecttest.NodeAffinity(`{"matchExpressions":[`+injecttest.OnWindows+`]}`), "windows", `w\u0069ndows`,
		)+
		`"containers":[{"name":"a"}]}}`) {
		body := `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u","object":` + text + `}}`
		read := &review{}
		require.NoError(t, decode([]byte(body), needs{}, read), text)
		require.Equal(t, decodedPod(t, text).Windows, read.request.object.Windows, text)
		require.Empty(t, read.request.object.Affinity, "nothing needs it")
	}
}
