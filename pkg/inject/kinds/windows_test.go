package kinds_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/internal/injecttest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
)

// onNodes is a required node affinity with these terms.
const onNodes = "affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [%s]}}}"

func TestFormsOfWindows(t *testing.T) {
	const other = "{matchExpressions: [{key: gpu, operator: Exists}]}"
	terms := func(all ...string) string { return fmt.Sprintf(onNodes, strings.Join(all, ", ")) }
	requires := func(key, operator, values string) string {
		return fmt.Sprintf("{matchExpressions: [{key: a, operator: Exists}, {key: %s, operator: %s, values: [%s]}]}", key,
			operator, values)
	}
	onWindows := requires("kubernetes.io/os", "In", "windows")
	for name, tt := range map[string]struct {
		spec string
		exp  bool
	}{
		"nothing":                         {"", false},
		"the OS field":                    {"os: {name: windows}", true},
		"the OS field of Linux":           {"os: {name: linux}", false},
		"the stable label":                {"nodeSelector: {kubernetes.io/os: windows}", true},
		"the label before it":             {"nodeSelector: {beta.kubernetes.io/os: windows}", true},
		"the label before it, of Linux":   {"nodeSelector: {beta.kubernetes.io/os: linux}", false},
		"a label of another key":          {"nodeSelector: {example.com/os: windows}", false},
		"a HostProcess pod":               {"securityContext: {windowsOptions: {hostProcess: true}}", true},
		"Windows options without it":      {"securityContext: {windowsOptions: {hostProcess: false}}", false},
		"a term that requires Windows":    {terms(onWindows), true},
		"a term with the label before it": {terms(requires("beta.kubernetes.io/os", "In", "windows")), true},
		"a term with another key":         {terms(requires("example.com/os", "In", "windows")), false},
		"a term that requires Linux":      {terms(requires("kubernetes.io/os", "In", "linux")), false},
		"a term for both systems":         {terms(requires("kubernetes.io/os", "In", "windows, linux")), false},
		"a term for no system":            {terms(requires("kubernetes.io/os", "In", "")), false},
		"a term that excludes Windows":    {terms(requires("kubernetes.io/os", "NotIn", "windows")), false},
		"an alternative without Windows":  {terms(onWindows, other), false},
		"an alternative by the node's name": {
			terms(onWindows, "{matchFields: [{key: metadata.name, operator: In, values: [n]}]}"), false,
		},
		"two terms that require it":           {terms(onWindows, requires("beta.kubernetes.io/os", "In", "windows")), true},
		"an alternative that matches nothing": {terms("{}", onWindows), true},
		"no terms":                            {terms(""), false},
		"a preferred affinity": {
			"affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, preference: " +
				"{matchExpressions: [{key: kubernetes.io/os, operator: In, values: [windows]}]}}]}}", false,
		},
		"parts of other types": {
			"os: windows\nnodeSelector: [windows]\naffinity: {nodeAffinity: [a]}\nsecurityContext: {}", false,
		},
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
