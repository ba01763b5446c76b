package policy

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/internal/injecttest"
)

// TestPoliciesDoWhatTheWebhookDoes creates pods in both modes: the pods are the same then, or the refusals. What
// may differ is counted, and is in the table of docs/policy-mode.md.
func TestPoliciesDoWhatTheWebhookDoes(t *testing.T) {
	t.Parallel()

	for name, row := range map[string]struct {
		profiles string
		pods     func(testing.TB) []string
		atLeast  counts
	}{
		"one profile": {
			injecttest.AdmissionProfiles[0], admissionPods, counts{mounted: 400, refused: 150},
		},
		"two default profiles, one of them read-only": {
			injecttest.AdmissionProfiles[1], someAdmissionPods, counts{mounted: 60, refused: 40},
		},
		"two variables, an fsGroup and an SELinux policy": {
			injecttest.AdmissionProfiles[4], someAdmissionPods, counts{mounted: 60, refused: 30},
		},
		"pods with annotations": {annotatedProfiles, annotatedPods, counts{mounted: 70, refused: 90}},
		"pods of the samples":   {usualProfile, injecttest.SamplePods, counts{mounted: 50}},
		"pods of public charts": {usualProfile, injecttest.ChartPods, counts{mounted: 400, refused: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pods := row.pods(t)
			p := installPair(t, strings.ReplaceAll(strings.ReplaceAll(name, ",", ""), " ", "-")[:11], row.profiles,
				map[string]string{"team": "ml"})
			found := counts{}
			for _, pod := range pods {
				found.add(p.compare(t, labelled(pod)))
			}
			t.Logf("%d pods: %+v", len(pods), found)
			assert.GreaterOrEqual(t, found.mounted, row.atLeast.mounted)
			assert.GreaterOrEqual(t, found.refused, row.atLeast.refused)
			assert.LessOrEqual(t, found.invalid, len(pods)/8)
		})
	}
}

// counts are pods by what came of them in both modes: a pod, one refusal, or, where the API server finds the pod
// invalid, that in place of the webhook's refusal.
type counts struct{ mounted, refused, invalid int }

func (c *counts) add(of counts) {
	c.mounted, c.refused, c.invalid = c.mounted+of.mounted, c.refused+of.refused, c.invalid+of.invalid
}

// compare creates a pod in both modes.
func (p *pair) compare(t *testing.T, pod string) counts {
	t.Helper()

	want, wantRefusal := p.admit(t.Context(), p.webhook, pod)
	got, gotRefusal := p.admit(t.Context(), p.policy, pod)
	switch {
	case wantRefusal != "" && strings.HasPrefix(gotRefusal, `API server: Pod "a" is invalid`):
		return counts{invalid: 1}
	case wantRefusal != "":
		require.Equal(t, longText.ReplaceAllString(wantRefusal, "$1"), longText.ReplaceAllString(gotRefusal, "$1"), pod)
		return counts{refused: 1}
	}
	require.Empty(t, gotRefusal, pod)
	require.JSONEq(t, want, got, pod)
	return counts{mounted: 1}
}

// longText begins where each mode shortens a message in its own way.
var longText = regexp.MustCompile(`("[^"]{256}).*`)

func admissionPods(testing.TB) []string { return injecttest.AdmissionPods() }

// someAdmissionPods is every fifth of them, so that each part of a pod is among them.
func someAdmissionPods(testing.TB) []string {
	var some []string
	for i, pod := range injecttest.AdmissionPods() {
		if i%5 == 0 {
			some = append(some, pod)
		}
	}
	return some
}

const usualProfile = "profiles: [{name: default, env: DATA, fsGroup: 7}]"

// annotatedProfiles have everything that annotations can narrow, and what namespaces are refused by.
const annotatedProfiles = `profiles:
- {name: default, fsGroup: 7, mount: {path: /data/, subPath: "runs/{namespace}", containers: [main, side, b],
    excludeContainers: [b]}}
- {name: models, env: [HF_HOME], mount: {path: /models, readOnly: true},
    claim: {name: "models-{namespace}", create: false}}
- {name: gpu, mount: {path: /gpu}, namespaceSelector: {matchLabels: {team: gpu}, matchExpressions: [
    {key: zone, operator: In, values: [b, a]},
    {key: kubernetes.io/metadata.name, operator: NotIn, values: [kube-public]}]}}
- {name: ml, mount: {path: /ml}, namespaceSelector: {matchExpressions: [
    {key: team, operator: In, values: [ml, gpu]}, {key: team, operator: Exists}, {key: zone, operator: DoesNotExist}]}}
- {name: unlabelled, mount: {path: /unlabelled}, namespaceSelector: {matchExpressions: [
    {key: team, operator: In, values: [""]}]}}
- {name: disk, mount: {path: /disk}, volume: {handle: vol-1, namespace: other}}
`

// annotations are those of one pod each.
var annotations = []string{
	``, `"profiles":"models"`, `"profiles":" models , default,models,"`, `"profiles":","`, `"profiles":"no-such"`,
	`"profiles":"models,gone"`, `"profiles":"gpu"`, `"profiles":"ml"`, `"profiles":"disk"`,
	`"profiles":"gpu,no-such"`, `"mount-path":"/mnt/x"`, `"mount-path":" /mnt//x/ "`, `"mount-path":""`,
	`"mount-path":"relative"`, `"mount-path":"/a:b"`, `"mount-path":"/a/../b"`, `"mount-path":"/a\u0007b"`,
	`"mount-path":"/etc"`, `"mount-path":"/etc/"`, `"mount-path":"/etc/x"`, `"mount-path":"/proc/x"`,
	`"mount-path":"/./usr//lib"`, `"mount-path":"/"`, `"mount-path":"/` + strings.Repeat("ä", 130) + `"`,
	`"mount-path":"/` + strings.Repeat("a/", 2100) + `"`, `"mount-path":"/mine"`, `"mount-path":"/mine/below"`,
	`"default.mount-path":"/mnt/x"`, `"default.mount-path":"/mnt/x","mount-path":"/mnt/y"`,
	`"models.mount-path":"/mnt/x"`, `"sub-path":"a"`, `"sub-path":"a//./b/"`, `"sub-path":""`, `"sub-path":"/a"`,
	`"sub-path":"a/../b"`, `"sub-path":"a/{pod.name}"`, `"sub-path":"{{workflow.name}}"`, `"sub-path":"a\u0007"`,
	`"sub-path":"` + strings.Repeat("b", 256) + `"`, `"read-only":"true"`, `"read-only":"false"`,
	`"read-only":"yes"`, `"read-only":" true "`, `"profiles":"models","read-only":"false"`,
	`"profiles":"models","models.read-only":"maybe"`, `"containers":"main"`, `"containers":"main, main,"`,
	`"containers":""`, `"containers":"other"`, `"containers":"main,other"`,
	`"profiles":"models","containers":"absent"`, `"exclude-containers":"main"`,
	`"exclude-containers":"main,side,init"`, `"profiles":"default,models","mount-path":"/x"`,
	`"profiles":"default,models","models.mount-path":"/data"`,
	`"profiles":"default,models","models.mount-path":"/data","models.containers":"side"`,
	`"profiles":"models,default","models.read-only":"true","default.sub-path":"x","models.sub-path":"y"`,
	`"profiles":"models,default","default.containers":""`, `"profiles":"models,gone","default.containers":"absent"`,
	`"injected":"models"`, `"injected":"forged, default,default"`, `"selected-by":"namespace"`, `"no-such":"x"`,
	`"profiles":"unlabelled"`, `"sub-path":"a\nb"`, `"profiles":"` + strings.Repeat("y", 6000) + `"`,
	`"sub-path":"{` + strings.Repeat("x", 6000) + `}"`,
	`"containers":"` + strings.Repeat("a,b", 3) + `"`,
}

// annotatedSpecs are those of pods with annotations.
var annotatedSpecs = []string{
	`"containers":[{"name":"main"}]`,
	`"volumes":[{"name":"mine","emptyDir":{}},{"name":"pipeline-storage-gone",` +
		`"persistentVolumeClaim":{"claimName":"c"}}],"initContainers":[{"name":"init"},` +
		`{"name":"side","restartPolicy":"Always","env":[{"name":"HF_HOME","value":"/models"}]}],` +
		`"containers":[{"name":"main","volumeMounts":[{"name":"mine","mountPath":"/mine/"}]},{"name":"b"}]`,
	`"volumes":[{"name":"own","persistentVolumeClaim":{"claimName":"pvc-data-pipeline"}},` +
		`{"name":"pipeline-storage-models","persistentVolumeClaim":{"claimName":"older"}}],` +
		`"containers":[{"name":"main","volumeMounts":[{"name":"own","mountPath":"/own"}],` +
		`"env":[{"name":"A","value":"$(HF_HOME)/a"}]},{"name":"side"}]`,
	`"volumes":[{"name":"pipeline-storage-old","persistentVolumeClaim":{"claimName":"older"}}],` +
		`"securityContext":{"fsGroup":1},"containers":[{"name":"main","volumeMounts":[` +
		`{"name":"pipeline-storage-old","mountPath":"/models/"}]}]`,
}

// annotatedPods are all pods of annotations and annotatedSpecs.
func annotatedPods(t testing.TB) []string {
	t.Helper()

	var pods []string
	for _, keys := range annotations {
		var short, long map[string]string
		require.NoError(t, json.Unmarshal([]byte("{"+keys+"}"), &short))
		long = map[string]string{}
		for key, value := range short {
			profile, field, isScoped := strings.Cut(key, ".")
			if !isScoped {
				profile, field = "", key
			} else {
				profile += "."
			}
			long[profile+"pipeline-storage.io/"+field] = value
		}
		text, err := json.Marshal(long)
		require.NoError(t, err)
		for _, spec := range annotatedSpecs {
			pods = append(pods, fmt.Sprintf(`{"metadata":{"annotations":%s},"spec":{%s}}`, text, spec))
		}
	}
	return pods
}
