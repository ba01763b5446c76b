package inject_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/internal/injecttest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
)

const (
	together  = "profiles: [{name: default, colocate: true}]\n"
	claimTerm = `{"labelSelector":{"matchLabels":{"default.pipeline-storage.io/claim":"CLAIM"}},` +
		`"topologyKey":"kubernetes.io/hostname"}`
	required = "requiredDuringSchedulingIgnoredDuringExecution"
)

// TestColocation holds what keeps a pod with the others of its claim, and what does not, rendered
// and admitted.
func TestColocation(t *testing.T) {
	const label = `add /metadata/labels/default.pipeline-storage.io~1claim "CLAIM"`
	const whole = `add /spec/affinity {"podAffinity":{"` + required + `":[` + claimTerm + `]}}`
	for name, tt := range map[string]struct {
		labels, spec string
		exp          []string // of labels and affinity
		expWarn      string
	}{
		"a pod without affinity": {"", "", []string{label, whole}, ""},
		"an affinity of null":    {"", "affinity: null", []string{label, whole}, ""},
		"an empty affinity":      {"", "affinity: {}", []string{label, whole}, ""},
		"an affinity to nodes": {
			"", "affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: []}}",
			[]string{label, `add /spec/affinity/podAffinity {"` + required + `":[` + claimTerm + `]}`},
			"",
		},
		"an empty affinity to pods": {
			"", "affinity: {podAffinity: {}, nodeAffinity: {}}",
			[]string{label, `add /spec/affinity/podAffinity {"` + required + `":[` + claimTerm + `]}`},
			"",
		},
		"a wish, which may stay": {
			"", "affinity: {podAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, podAffinityTerm: " +
				"{topologyKey: zone}}]}}",
			[]string{label, "add /spec/affinity/podAffinity/" + required + " [" + claimTerm + "]"},
			"",
		},
		"an empty list of terms": {
			"", "affinity: {podAffinity: {" + required + ": [], preferredDuringSchedulingIgnoredDuringExecution: []}}",
			[]string{label, "add /spec/affinity/podAffinity/" + required + " [" + claimTerm + "]"},
			"",
		},
		"a required affinity to others": {
			"",
			"affinity: {podAffinity: {" + required + ": [{topologyKey: zone, labelSelector: {matchLabels: {app: cache}}}]}}",
			[]string{label},
			"it has a required podAffinity of its own, and Kubernetes looks for pods that match all terms",
		},
		"an anti-affinity to itself": {
			", app: train",
			"affinity: {podAntiAffinity: {" + required +
				": [{topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: train}}}]}}",
			[]string{label},
			"its podAntiAffinity (topologyKey kubernetes.io/hostname) keeps pods like itself apart",
		},
		"an anti-affinity to its label": {
			"",
			"affinity: {podAntiAffinity: {" + required +
				": [{topologyKey: zone, labelSelector: {matchExpressions: [{key: default.pipeline-storage.io/claim, " +
				"operator: Exists}]}}]}}",
			[]string{label},
			"its podAntiAffinity (topologyKey zone)",
		},
		"an anti-affinity to others": {
			"",
			"affinity: {podAntiAffinity: {" + required +
				": [{topologyKey: zone, labelSelector: {matchLabels: {app: cache}}}]}}",
			[]string{label, `add /spec/affinity/podAffinity {"` + required + `":[` + claimTerm + `]}`},
			"",
		},
		"an anti-affinity in another place": {
			"",
			"affinity: {podAntiAffinity: {" + required + ": [{topologyKey: zone, labelSelector: {}, namespaces: [other]}]}}",
			[]string{label, `add /spec/affinity/podAffinity {"` + required + `":[` + claimTerm + `]}`},
			"",
		},
		"a pod of a DaemonSet's controller": {
			"",
			"affinity: {nodeAffinity: {" + required +
				": {nodeSelectorTerms: [{matchFields: [{key: metadata.name, operator: In, values: [a]}]}]}}}",
			[]string{label},
			"a DaemonSet runs a pod on every node",
		},
		"a pod that names its node": {
			"", "nodeName: a", []string{label}, "it names its node itself (nodeName a)",
		},
		"an affinity of another shape": {
			"", "affinity: {podAffinity: [1]}", []string{label}, "its affinity cannot be read",
		},
		"a spread of pods like itself": {
			", app: train",
			"topologySpreadConstraints: [{maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: " +
				"DoNotSchedule, labelSelector: {matchLabels: {app: train}}}]",
			[]string{label},
			"its topologySpreadConstraints (topologyKey kubernetes.io/hostname, DoNotSchedule) keep pods like itself " +
				"apart: set ScheduleAnyway",
		},
		"a spread over zones": {
			", app: train",
			"topologySpreadConstraints: [{maxSkew: 2, topologyKey: topology.kubernetes.io/zone, whenUnsatisfiable: " +
				"DoNotSchedule, matchLabelKeys: [app], labelSelector: {matchExpressions: [{key: app, operator: Exists}]}}]",
			[]string{label},
			"its topologySpreadConstraints (topologyKey topology.kubernetes.io/zone, DoNotSchedule)",
		},
		"a spread as a wish": {
			", app: train",
			"topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: ScheduleAnyway, " +
				"labelSelector: {matchLabels: {app: train}}}]",
			[]string{label, whole},
			"",
		},
		"a spread of others": {
			"",
			"topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule, " +
				"labelSelector: {matchLabels: {app: cache}}}]",
			[]string{label, whole},
			"",
		},
		"a spread without a selector": {
			"", "topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule}]",
			[]string{label, whole},
			"",
		},
		"a spread of null": {"", "topologySpreadConstraints: null", []string{label, whole}, ""},
		"a spread of another shape": {
			"", "topologySpreadConstraints: [1]", []string{label}, "its topologySpreadConstraints cannot be read",
		},
		"a port of the node": {
			"",
			"initContainers: [{name: a, ports: [{containerPort: 1, hostPort: 0}]}, {name: b, ports: [{containerPort: 80, " +
				"hostPort: 8080}]}]",
			[]string{label},
			"it takes port 8080 of its node, which only one pod like itself can have",
		},
		"the network of the node": {
			"", "hostNetwork: true\ninitContainers: [{name: b, ports: [{containerPort: 80}]}]",
			[]string{label},
			"it takes port 80 of its node",
		},
		"the node's network without ports": {"", "hostNetwork: true", []string{label, whole}, ""},
		"a port of its own": {
			"", "initContainers: [{name: b, ports: [{containerPort: 80}]}, {name: c, ports: null}]",
			[]string{label, whole},
			"",
		},
		"ports of another shape": {"", "initContainers: [{name: b, ports: {}}]", []string{label, whole}, ""},
		"what is there already": {
			", default.pipeline-storage.io/claim: CLAIM",
			"affinity: {podAffinity: {" + required + ": [" + claimTerm + "]}}", nil, "",
		},
		"the label alone is there": {", default.pipeline-storage.io/claim: CLAIM", "", []string{whole}, ""},
		"the term beside another one's stays": {
			", default.pipeline-storage.io/claim: CLAIM",
			"affinity: {podAffinity: {" + required + ": [{topologyKey: zone}, " + claimTerm + "]}}", nil, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			for claim, decide := range map[string]func(map[string]any) inject.Result{
				"pvc-data-pipeline.demo": func(d map[string]any) inject.Result { return patch(t, injecttest.Load(t, together), d) },
				"pvc-data-pipeline": func(d map[string]any) inject.Result {
					return admit(t, injecttest.LoadForAdmission(t, together), d, nil)
				},
			} {
				document := injecttest.Pod(
					t,
					strings.ReplaceAll("labels: {pipeline-storage: enabled"+tt.labels+"}\n---\n"+tt.spec+"\n"+main, "CLAIM", claim),
				)
				result := decide(document)
				require.Nil(t, result.Refused())
				var got []string
				for _, line := range lines(t, result) {
					if strings.HasPrefix(line, "add /metadata/labels") || strings.HasPrefix(line, "add /spec/affinity") {
						got = append(got, strings.ReplaceAll(line, `"`+claim+`"`, `"CLAIM"`))
					}
				}
				assert.ElementsMatch(t, tt.exp, got, claim)
				warnings := strings.Join(result.Decisions[0].Warnings, "\n")
				if tt.expWarn == "" {
					assert.Empty(t, warnings)
				} else {
					assert.Contains(
						t, warnings,
						`profile "default": colocate: the pod is not kept on the node of the claim "`+claim+`": `+tt.expWarn,
					)
				}
				again := decide(injecttest.Apply(t, document, result))
				assert.Empty(t, again.Operations)
				assert.Equal(t, result.Decisions[0].Warnings, again.Decisions[0].Warnings)
			}
		})
	}
}

// TestColocationOfKinds is about objects whose pods have their labels and affinity in places of
// their own.
func TestColocationOfKinds(t *testing.T) {
	const template = "{spec: {containers: [{name: main}]}}"
	const term = `{"podAffinity":{"` + required +
		`":[{"labelSelector":{"matchLabels":{"default.pipeline-storage.io/claim":"pvc-data-pipeline.demo"}},` +
		`"topologyKey":"kubernetes.io/hostname"}]}}`
	const newLabels = `{"default.pipeline-storage.io/claim":"pvc-data-pipeline.demo"}`
	for name, tt := range map[string]struct {
		document string
		exp      []string
		expWarn  string
	}{
		"a template without metadata": {
			"apiVersion: batch/v1\nkind: Job\nspec: {template: " + template + "}",
			[]string{
				"add /spec/template/metadata " + `{"labels":` + newLabels + "}", "add /spec/template/spec/affinity " + term,
			},
			"",
		},
		"a template with empty metadata": {
			"apiVersion: batch/v1\nkind: Job\nspec: {template: {metadata: {labels: null}, spec: {containers: [{name: main}]}}}",
			[]string{"add /spec/template/metadata/labels " + newLabels, "add /spec/template/spec/affinity " + term},
			"",
		},
		"a DaemonSet": {
			"apiVersion: apps/v1\nkind: DaemonSet\nspec: {template: " + template + "}",
			[]string{"add /spec/template/metadata " + `{"labels":` + newLabels + "}"},
			"a DaemonSet runs a pod on every node",
		},
		"a template of Argo": {
			"apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nspec: {podMetadata: {labels: {a: b}}, templates: [{name: " +
				"a, container: {name: main}}]}",
			[]string{
				"add /spec/templates/0/metadata " + `{"labels":` + newLabels + "}",
				"add /spec/templates/0/affinity " + term,
			},
			"",
		},
		"a template of Argo under a workflow's affinity": {
			"apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nspec: {affinity: {nodeAffinity: {}}, templates: [{name: " +
				"a, container: {name: main}}]}",
			[]string{"add /spec/templates/0/metadata " + `{"labels":` + newLabels + "}"},
			"it shares an affinity with other templates",
		},
		"a template of Argo with its own affinity": {
			"apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nspec: {affinity: {nodeAffinity: {}}, templates: [{name: " +
				"a, affinity: {nodeAffinity: {a: b}}, container: {name: main}}]}",
			[]string{
				"add /spec/templates/0/metadata " + `{"labels":` + newLabels + "}",
				"add /spec/templates/0/affinity/podAffinity " + strings.TrimSuffix(
					strings.TrimPrefix(term, `{"podAffinity":`), "}",
				),
			},
			"",
		},
		"a Spark driver": {
			"apiVersion: sparkoperator.k8s.io/v1beta2\nkind: SparkApplication\nspec: {driver: {labels: {a: b}}}",
			[]string{
				`add /spec/driver/labels/default.pipeline-storage.io~1claim "pvc-data-pipeline.demo"`,
				"add /spec/driver/affinity " + term,
			},
			"",
		},
		"a kind without a place for either": {
			"apiVersion: example.com/v1\nkind: Bare\nspec: {containers: [{name: main}]}", nil, "this kind has no place " +
				"for the labels of its pods",
		},
		"a kind without a place for an affinity": {
			"apiVersion: example.com/v1\nkind: Labelled\nspec: {containers: [{name: main}]}",
			[]string{"add /spec/labels " + newLabels},
			"its kind has no place for an affinity",
		},
	} {
		t.Run(name, func(t *testing.T) {
			config := injecttest.Load(t, together+`kinds:
- {group: example.com, kind: Bare, pods: [{scope: spec, volumes: volumes, containers: ["containers[*]"]}]}
- group: example.com
  kind: Labelled
  pods: [{scope: spec, metadata: [.], volumes: volumes, containers: ["containers[*]"]}]
`)
			document := injecttest.Decode(t, tt.document)
			result := patch(t, config, document)
			require.Nil(t, result.Refused())
			var got []string
			for _, line := range lines(t, result) {
				if strings.Contains(line, "labels") || strings.Contains(line, "ffinity") {
					got = append(got, line)
				}
			}
			assert.ElementsMatch(t, tt.exp, got)
			assert.Contains(t, strings.Join(result.Decisions[0].Warnings, "\n"), tt.expWarn)
			assert.Equal(t, tt.expWarn == "", len(result.Decisions[0].Warnings) == 0)
			assert.Empty(t, patch(t, config, injecttest.Apply(t, document, result)).Operations)
		})
	}
}

// TestColocationOfTwoClaims gives a pod both labels and the term of the first claim: Kubernetes
// would look for pods with both.
func TestColocationOfTwoClaims(t *testing.T) {
	config := injecttest.Load(
		t,
		"profiles: [{name: a, default: true, colocate: true}, {name: b, default: true, colocate: true, mount: {path: /b}}]\n",
	)
	for _, meta := range []string{"", "labels: {x: y1}\n"} {
		document := injecttest.Pod(t, meta+"---\n"+main)
		result := patch(t, config, document)
		patched := injecttest.Apply(t, document, result)
		assert.Subset(t, patched["metadata"].(map[string]any)["labels"], map[string]any{
			"a.pipeline-storage.io/claim": "pvc-data-pipeline-a.demo", "b.pipeline-storage.io/claim": "pvc-data-pipeline-b.demo",
		})
		warnings := []string{
			`profile "b": colocate: the pod is not kept on the node of the claim "pvc-data-pipeline-b.demo": it follows ` +
				`another claim already, and Kubernetes can follow one only`,
		}
		assert.Equal(t, warnings, result.Decisions[0].Warnings)
		again := patch(t, config, patched)
		assert.Empty(t, again.Operations)
		assert.Equal(t, warnings, again.Decisions[0].Warnings)
		required := patched["spec"].(map[string]any)["affinity"].(map[string]any)["podAffinity"].(map[string]any)[required]
		assert.Len(t, required, 1)
	}
}

func TestColocationThatIsRefused(t *testing.T) {
	result := patch(
		t, injecttest.Load(t, together),
		injecttest.Pod(t, "labels: {default.pipeline-storage.io/claim: other}\n---\n"+main),
	)
	require.NotNil(t, result.Refused())
	assert.Equal(
		t,
		`the label default.pipeline-storage.io/claim is "other", but the claim is "pvc-data-pipeline.demo": remove the label`,
		result.Refused().Message,
	)
}

// TestColocationOfALongName: a label holds 63 characters.
func TestColocationOfALongName(t *testing.T) {
	config := injecttest.Load(
		t, "profiles: [{name: default, colocate: true, claim: {name: "+strings.Repeat("long.", 40)+"name}}]\n",
	)
	document := injecttest.Pod(t, main)
	labels := injecttest.Apply(t, document,
		patch(t, config, document))["metadata"].(map[string]any)["labels"].(map[string]any)
	value := labels["default.pipeline-storage.io/claim"].(string)
	assert.Len(t, value, 63)
	assert.Regexp(t, `^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$`, value)
}

func TestColocateWhereItDoesNothing(t *testing.T) {
	const noEffect = `profile "default": colocate has no effect`
	for profile, exp := range map[string]string{
		"": "",

		", claim: {accessModes: [ReadWriteOncePod]}": noEffect + " for ReadWriteOncePod",

		", storageClass: {backend: nfs, parameters: {server: s, share: /x}}": noEffect,

		", storageClass: {backend: csi, driver: d}, claim: {accessModes: [ReadWriteOnce, ReadWriteMany]}": noEffect,
	} {
		config := injecttest.Load(t, "profiles: [{name: default, colocate: true"+profile+"}]\n")
		warnings := strings.Join(config.Profiles[0].Warnings(), "\n")
		assert.Contains(t, warnings, exp)
		assert.Equal(t, exp == "", warnings == "")
		assert.Equal(
			t, exp == "",
			strings.Contains(strings.Join(lines(t, patch(t, config, injecttest.Pod(t, main))), "\n"), "podAffinity"),
			profile,
		)
	}
}
