package inject_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/internal/injecttest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

func TestTheGroupOfASecondProfileIsWarnedOf(t *testing.T) {
	config, _, err := storage.Load([]byte(injecttest.FileHead + `profiles:
- name: default
  fsGroup: 1
- name: b
  fsGroup: 2
  mount: {path: /b}
`))
	require.NoError(t, err)
	pod := kinds.Pod{
		VolumesPath: "/spec/volumes", SecurityContextPath: "/spec/securityContext",
		Annotations: map[string]string{inject.AnnotationProfiles: "default,b"},
		Labels:      map[string]string{kinds.Label: kinds.LabelEnabled},
		Containers:  []kinds.Container{{Path: "/spec/containers/0", Name: "main"}},
	}
	decision := inject.Patch(config, inject.Request{Release: injecttest.Release, Namespace: "ml"}, pod).Decisions[0]
	assert.Equal(t, inject.ReasonInjected, decision.Reason, decision.Message)
	assert.Contains(t, decision.Warnings, `fsGroup 2 of profile "b" is not set: the pod has 1 for another profile`)
}

// TestWarnsOfTheGroupWhereItHasNoPlace is about kinds without a security context of the pod.
func TestWarnsOfTheGroupWhereItHasNoPlace(t *testing.T) {
	result := patch(
		t, injecttest.Load(t, "profiles: [{name: default, fsGroup: 1000}]\n"),
		injecttest.Decode(t, "apiVersion: tekton.dev/v1\nkind: Task\nspec: {steps: [{name: a}]}\n"),
	)
	assert.Equal(t,
		[]string{`fsGroup 1000 of profile "default" is not set: this kind has no security context of the pod, or its ` +
			`parent is missing`},
		result.Decisions[0].Warnings)
}

// TestArgoSecurityContext is about a template without a security context of its own: Argo then
// takes the workflow's, and would lose it to one that we make. Source: argo-workflows,
// workflow/controller/workflowpod.go.
func TestArgoSecurityContext(t *testing.T) {
	const group = `{"fsGroup":1000,"fsGroupChangePolicy":"OnRootMismatch"}`
	for name, tt := range map[string]struct {
		workflow, first string
		exp             []string
	}{
		"neither has one: each template gets its own": {
			"", "", []string{
				"add /spec/templates/0/securityContext " + group, "add /spec/templates/1/securityContext " + group,
			},
		},
		"the template has one": {
			"", "securityContext: {runAsUser: 1}, ", []string{
				"add /spec/templates/0/securityContext/fsGroup 1000",
				`add /spec/templates/0/securityContext/fsGroupChangePolicy "OnRootMismatch"`,
				"add /spec/templates/1/securityContext " + group,
			},
		},
		"the workflow has one: it is extended, once": {
			"  securityContext: {runAsNonRoot: true}\n", "", []string{
				"add /spec/securityContext/fsGroup 1000", `add /spec/securityContext/fsGroupChangePolicy "OnRootMismatch"`,
			},
		},
		"both have one: the template's counts for it": {
			"  securityContext: {runAsNonRoot: true}\n", "securityContext: {runAsUser: 1}, ", []string{
				"add /spec/templates/0/securityContext/fsGroup 1000",
				`add /spec/templates/0/securityContext/fsGroupChangePolicy "OnRootMismatch"`,
				"add /spec/securityContext/fsGroup 1000", `add /spec/securityContext/fsGroupChangePolicy "OnRootMismatch"`,
			},
		},
		"the defaults of templates have one, which hides the workflow's": {
			"  templateDefaults: {securityContext: {runAsUser: 1}}\n  securityContext: {runAsNonRoot: true}\n", "", []string{
				"add /spec/templateDefaults/securityContext/fsGroup 1000",
				`add /spec/templateDefaults/securityContext/fsGroupChangePolicy "OnRootMismatch"`,
			},
		},
		"the workflow has a group": {"  securityContext: {fsGroup: 7}\n", "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			result := patch(t, injecttest.Load(t, "profiles: [{name: default, fsGroup: 1000}]\n"), injecttest.Decode(t,
				"apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nspec:\n"+tt.workflow+
					"  templates: [{"+tt.first+"container: {image: x}}, {script: {image: x}}]\n"))
			var contexts []string
			for _, line := range lines(t, result) {
				if strings.Contains(line, "securityContext") {
					contexts = append(contexts, line)
				}
			}
			assert.Equal(t, tt.exp, contexts)
		})
	}
}
