package kinds_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/internal/injecttest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
)

// onNodes is a required node affinity with these terms.
const onNodes = "affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [%s]}}}"

func TestFormsOfWindows(t *testing.T) {
	terms := func(text string) string { return fmt.Sprintf(onNodes, text) }
	for name, tt := range map[string]struct {
		spec string
		exp  bool
	}{
		"nothing":                             {"", false},
		"the OS field":                        {"os: {name: windows}", true},
		"the OS field of Linux":               {"os: {name: linux}", false},
		"the stable label":                    {"nodeSelector: {kubernetes.io/os: windows}", true},
		"the label before it":                 {"nodeSelector: {beta.kubernetes.io/os: windows}", true},
		"the label before it, of Linux":       {"nodeSelector: {beta.kubernetes.io/os: linux}", false},
		"a label of another key":              {"nodeSelector: {example.com/os: windows}", false},
		"a HostProcess pod":                   {"securityContext: {windowsOptions: {hostProcess: true}}", true},
		"Windows options without it":          {"securityContext: {windowsOptions: {hostProcess: false, runAsUserName: a}}", false},
		"a term that requires Windows":        {terms("{matchExpressions: [{key: kubernetes.io/os, operator: In, values: [windows]}]}"), true},
		"a term with the label before it":     {terms("{matchExpressions: [{key: beta.kubernetes.io/os, operator: In, values: [windows]}]}"), true},
		"a term that requires Linux":          {terms("{matchExpressions: [{key: kubernetes.io/os, operator: In, values: [linux]}]}"), false},
		"a term for both systems":             {terms("{matchExpressions: [{key: kubernetes.io/os, operator: In, values: [windows, linux]}]}"), false},
		"a term for no system":                {terms("{matchExpressions: [{key: kubernetes.io/os, operator: In, values: []}]}"), false},
		"a term that excludes Windows":        {terms("{matchExpressions: [{key: kubernetes.io/os, operator: NotIn, values: [windows]}]}"), false},
		"a requirement beside others":         {terms("{matchExpressions: [{key: gpu, operator: Exists}, {key: kubernetes.io/os, operator: In, values: [windows]}]}"), true},
		"an alternative without Windows":      {terms("{matchExpressions: [{key: kubernetes.io/os, operator: In, values: [windows]}]}, {matchExpressions: [{key: gpu, operator: Exists}]}"), false},
		"an alternative by the node's name":   {terms("{matchExpressions: [{key: kubernetes.io/os, operator: In, values: [windows]}]}, {matchFields: [{key: metadata.name, operator: In, values: [n]}]}"), false},
		"an alternative that matches nothing": {terms("{}, {matchExpressions: [{key: kubernetes.io/os, operator: In, values: [windows]}]}"), true},
		"no terms":                            {terms(""), false},
		"a preferred affinity": {
			"affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, preference: " +
				"{matchExpressions: [{key: kubernetes.io/os, operator: In, values: [windows]}]}}]}}", false,
		},
		"parts of other types": {"os: windows\nnodeSelector: [windows]\naffinity: {nodeAffinity: [a]}\nsecurityContext: {}", false},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tt.exp, podWith(t, tt.spec+"\ncontainers: [{name: main}]").Windows)
		})
	}
}

func TestHostProcessContainers(t *testing.T) {
	const host = "securityContext: {windowsOptions: {hostProcess: true}}"
	assert.True(t, podWith(t, "containers: [{name: main, "+host+"}]").Windows)
	assert.True(t, podWith(t, "initContainers: [{name: a, "+host+"}]\ncontainers: [{name: main}]").Windows)
	assert.False(t, podWith(t, "containers: [{name: main, securityContext: {windowsOptions: {}}}]").Windows)
}

// podWith is a pod with this spec, read of a document.
func podWith(t *testing.T, spec string) kinds.Pod {
	t.Helper()
	objects, err := kinds.NewTable(nil).Find(injecttest.Pod(t, spec))
	require.NoError(t, err)
	require.Len(t, objects, 1)
	return objects[0].Pods[0]
}

// TestWindowsOfOtherKinds has an affinity and a security context in the places where a kind has them.
func TestWindowsOfOtherKinds(t *testing.T) {
	term := fmt.Sprintf(onNodes, "{matchExpressions: [{key: kubernetes.io/os, operator: In, values: [windows]}]}")
	const argo = "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nspec: {"
	const templates = "templates: [{name: a, container: {image: x}}]}\n"
	for name, tt := range map[string]struct {
		document string
		exp      bool
	}{
		"a workflow's affinity": {argo + term + ", " + templates, true},
		"a template's own affinity in its place": {
			argo + term + ", templates: [{name: a, affinity: {podAffinity: {x: []}}, container: {image: x}}]}\n", false,
		},
		"a row of the configuration without a place for it": {
			"apiVersion: example.com/v1\nkind: Train\nspec: {" + term + ", containers: [{name: a}]}\n", true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			table := kinds.NewTable([]kinds.Kind{{
				Group: "example.com", Kind: "Train",
				Pods: []kinds.PodPaths{{
					Scope: "spec", Spec: ".", Volumes: "volumes", Containers: []string{"containers[*]"},
				}},
			}})
			objects, err := table.Find(injecttest.Decode(t, tt.document))
			require.NoError(t, err)
			require.NotEmpty(t, objects[0].Pods)
			assert.Equal(t, tt.exp, objects[0].Pods[0].Windows)
		})
	}
}
