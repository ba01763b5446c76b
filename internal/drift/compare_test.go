package drift

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	v1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// file is what the chart renders, less what values add.
const file = `webhooks:
  - name: storage.pipeline-storage.io
    clientConfig:
      service: {name: ps, namespace: storage, path: /inject, port: 443}
    rules:
      - {apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods], scope: Namespaced}
    failurePolicy: Fail
    matchPolicy: Equivalent
    objectSelector: {matchLabels: {pipeline-storage: enabled}}
    namespaceSelector:
      matchExpressions:
        - {key: kubernetes.io/metadata.name, operator: NotIn, values: [kube-system, storage]}
    matchConditions:
      - {name: no-mirror-pod, expression: "true"}
    reinvocationPolicy: IfNeeded
    sideEffects: None
    timeoutSeconds: 5
    admissionReviewVersions: [v1]
`

func parse(t *testing.T, text string) *Expected {
	t.Helper()
	expected, err := Parse([]byte(text))
	require.NoError(t, err)
	return expected
}

// changes has one attack for each field, by its JSON name.
var changes = map[string]func(*v1.MutatingWebhook){
	"clientConfig.url": func(w *v1.MutatingWebhook) {
		w.ClientConfig = v1.WebhookClientConfig{URL: new("https://203.0.113.1/"), Service: w.ClientConfig.Service}
	},
	"clientConfig.service":    func(w *v1.MutatingWebhook) { w.ClientConfig.Service.Name = "another" },
	"rules":                   func(w *v1.MutatingWebhook) { w.Rules[0].Resources = []string{"pods", "secrets"} },
	"failurePolicy":           func(w *v1.MutatingWebhook) { w.FailurePolicy = new(v1.Ignore) },
	"matchPolicy":             func(w *v1.MutatingWebhook) { w.MatchPolicy = new(v1.Exact) },
	"namespaceSelector":       func(w *v1.MutatingWebhook) { w.NamespaceSelector = nil },
	"objectSelector":          func(w *v1.MutatingWebhook) { w.ObjectSelector = nil },
	"sideEffects":             func(w *v1.MutatingWebhook) { w.SideEffects = new(v1.SideEffectClassNoneOnDryRun) },
	"timeoutSeconds":          func(w *v1.MutatingWebhook) { w.TimeoutSeconds = new(int32(30)) },
	"admissionReviewVersions": func(w *v1.MutatingWebhook) { w.AdmissionReviewVersions = []string{"v1", "v1beta1"} },
	"reinvocationPolicy":      func(w *v1.MutatingWebhook) { w.ReinvocationPolicy = nil },
	"matchConditions":         func(w *v1.MutatingWebhook) { w.MatchConditions[0].Expression = "false" },
}

func TestReportsEveryField(t *testing.T) {
	t.Parallel()
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			expected := parse(t, file)
			live := parse(t, file).Webhooks
			change(&live[0])
			assert.Equal(t, []string{"webhook storage.pipeline-storage.io: " + name}, expected.Differences(live))
			assert.Empty(t, expected.Differences(expected.restored(live)), "what a repair writes has no difference")
		})
	}
}

// A field that a later API version adds is compared, and wants a row in changes.
func TestChangesHaveEveryField(t *testing.T) {
	t.Parallel()
	var want []string
	add := func(prefix string, of reflect.Type, but ...string) {
		for field := range of.Fields() {
			if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); !slices.Contains(but, name) {
				want = append(want, prefix+name)
			}
		}
	}
	add("", reflect.TypeFor[v1.MutatingWebhook](), "name", "clientConfig") // by its name a webhook is found
	add("clientConfig.", reflect.TypeFor[v1.WebhookClientConfig](), "caBundle")
	var have []string
	for name := range changes {
		have = append(have, name)
	}
	assert.ElementsMatch(t, want, have)
}

func TestDifferences(t *testing.T) {
	t.Parallel()
	type operator = metav1.LabelSelectorOperator
	requirement := func(key string, operator operator, values ...string) metav1.LabelSelectorRequirement {
		return metav1.LabelSelectorRequirement{Key: key, Operator: operator, Values: values}
	}
	for name, row := range map[string]struct {
		change func(live []v1.MutatingWebhook) []v1.MutatingWebhook
		want   []string
	}{
		"nothing": {func(live []v1.MutatingWebhook) []v1.MutatingWebhook { return live }, nil},
		"a caBundle": {func(live []v1.MutatingWebhook) []v1.MutatingWebhook {
			live[0].ClientConfig.CABundle = []byte("CA")
			return live
		}, nil},
		"the API's defaults are left out": {func(live []v1.MutatingWebhook) []v1.MutatingWebhook {
			live[0].FailurePolicy, live[0].MatchPolicy, live[0].ClientConfig.Service.Port = nil, nil, nil
			return live
		}, nil},
		"another order of a selector": {func(live []v1.MutatingWebhook) []v1.MutatingWebhook {
			slices.Reverse(live[0].NamespaceSelector.MatchExpressions[0].Values)
			return live
		}, nil},
		"the exclusions of AKS": {func(live []v1.MutatingWebhook) []v1.MutatingWebhook {
			s := live[0].NamespaceSelector
			s.MatchExpressions = append([]metav1.LabelSelectorRequirement{
				requirement("control-plane", metav1.LabelSelectorOpNotIn, "true"),
				requirement("kubernetes.azure.com/managedby", metav1.LabelSelectorOpNotIn, "aks"),
			}, s.MatchExpressions...)
			return live
		}, nil},
		"another exclusion": {func(live []v1.MutatingWebhook) []v1.MutatingWebhook {
			s := live[0].NamespaceSelector
			s.MatchExpressions = append(s.MatchExpressions, requirement("team", metav1.LabelSelectorOpNotIn, "a"))
			return live
		}, []string{"webhook storage.pipeline-storage.io: namespaceSelector"}},
		"no webhook": {
			func([]v1.MutatingWebhook) []v1.MutatingWebhook { return nil },
			[]string{"webhook storage.pipeline-storage.io is missing"},
		},
		"an additional one": {func(live []v1.MutatingWebhook) []v1.MutatingWebhook {
			return append(live, v1.MutatingWebhook{Name: "more.example.com"})
		}, []string{"webhook more.example.com is additional"}},
		"many": {func([]v1.MutatingWebhook) (live []v1.MutatingWebhook) {
			for i := range 10 {
				live = append(live, v1.MutatingWebhook{Name: fmt.Sprintf("w%d.example.com", i)})
			}
			return live
		}, []string{
			"webhook storage.pipeline-storage.io is missing", "webhook w0.example.com is additional",
			"webhook w1.example.com is additional",
			"webhook w2.example.com is additional", "webhook w3.example.com is additional", "6 more webhooks",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			expected := parse(t, file)
			live := row.change(parse(t, file).Webhooks)
			assert.Equal(t, row.want, expected.Differences(live))
			assert.Equal(t, expected, parse(t, file), "a comparison changes nothing")
			assert.Empty(t, expected.Differences(expected.restored(live)))
		})
	}
}

// TestRestoresEachWebhook has a file with two webhooks, of which a third party changes or removes one.
func TestRestoresEachWebhook(t *testing.T) {
	t.Parallel()
	second := strings.TrimPrefix(strings.ReplaceAll(strings.ReplaceAll(file,
		"name: storage.", "name: namespace.storage."), "path: /inject", "path: /inject/namespace"), "webhooks:\n")
	for name, row := range map[string]struct {
		change func(live []v1.MutatingWebhook) []v1.MutatingWebhook
		want   []string
	}{
		"another order": {func(live []v1.MutatingWebhook) []v1.MutatingWebhook {
			slices.Reverse(live)
			return live
		}, nil},
		"the second is missing": {
			func(live []v1.MutatingWebhook) []v1.MutatingWebhook { return live[:1] },
			[]string{"webhook namespace.storage.pipeline-storage.io is missing"},
		},
		"the second is called at the path of the first": {func(live []v1.MutatingWebhook) []v1.MutatingWebhook {
			live[1].ClientConfig.Service.Path = live[0].ClientConfig.Service.Path
			return live
		}, []string{"webhook namespace.storage.pipeline-storage.io: clientConfig.service"}},
		"the second selects everything": {func(live []v1.MutatingWebhook) []v1.MutatingWebhook {
			live[1].NamespaceSelector, live[1].MatchConditions = nil, nil
			return live
		}, []string{"webhook namespace.storage.pipeline-storage.io: namespaceSelector, matchConditions"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			expected := parse(t, file+second)
			live := parse(t, file+second).Webhooks
			for i := range live {
				live[i].ClientConfig.CABundle = []byte(live[i].Name)
			}
			live = row.change(live)
			assert.Equal(t, row.want, expected.Differences(live))
			restored := expected.restored(live)
			assert.Empty(t, expected.Differences(restored))
			require.Len(t, restored, 2)
			assert.Equal(t, []byte(restored[0].Name), restored[0].ClientConfig.CABundle)
		})
	}
}

func TestRestoredKeepsWhatOthersMaintain(t *testing.T) {
	t.Parallel()
	expected := parse(t, file)
	live := parse(t, file).Webhooks
	live[0].ClientConfig.CABundle = []byte("CA")
	live[0].NamespaceSelector.MatchExpressions = []metav1.LabelSelectorRequirement{
		exclusions[0],
		{Key: "team", Operator: metav1.LabelSelectorOpExists},
	}

	restored := expected.restored(live)
	assert.Equal(t, []byte("CA"), restored[0].ClientConfig.CABundle)
	assert.Equal(t, append(slices.Clone(expected.Webhooks[0].NamespaceSelector.MatchExpressions), exclusions[0]),
		restored[0].NamespaceSelector.MatchExpressions)
	assert.Equal(t, []string{"control-plane"}, expected.excluded(live))
}

func TestParse(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ text, want string }{
		"no YAML":          {"\t", "parse the expected webhooks"},
		"an unknown field": {"webhooks: [{name: a, rule: []}]", "unknown field"},
		"no webhook":       {"webhooks: []", "the file has none"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse([]byte(row.text))
			require.ErrorContains(t, err, row.want)
		})
	}
	assert.Equal(t, parse(t, file).Hash, parse(t, "\n"+file+"\n\n").Hash, "white space at the ends does not matter")
	assert.NotEqual(t, parse(t, file).Hash, parse(t, strings.Replace(file, "5", "6", 1)).Hash)
}
