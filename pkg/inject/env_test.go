package inject_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/pipeline-storage/pipeline-storage/internal/injecttest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
)

// TestMirrorsGetNoVariable because nothing of Argo's would give it to them.
func TestMirrorsGetNoVariable(t *testing.T) {
	result := patch(t, injecttest.Load(t, "profiles: [{name: default, env: DATA}]\n"), injecttest.Decode(t,
		"apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nspec: {templates: [{container: {image: x}, sidecars: "+
			"[{name: s, mirrorVolumeMounts: true}]}]}\n"))
	assert.Equal(t, []string{`container "s" has the mounts of "main", but gets no variable DATA; the storage is at /data`},
		result.Decisions[0].Warnings)
}

// TestATrainJobSetsNoVariableThatTrainerRefuses has the container of the trainer, which takes
// variables from another place, and one of another name. Trainer refuses the whole TrainJob
// otherwise.
func TestATrainJobSetsNoVariableThatTrainerRefuses(t *testing.T) {
	const spec = "/spec/podTemplateOverrides/0/spec"
	config := injecttest.Load(t, "profiles: [{name: default, env: DATA}]\n")
	objects := injecttest.Find(t, config, injecttest.Decode(t, "apiVersion: trainer.kubeflow.org/v1alpha1\nkind: "+
		"TrainJob\nmetadata: {name: t}\n"+
		"spec: {podTemplateOverrides: [{spec: {containers: [{name: node}, {name: metrics}]}}]}\n"))
	result := inject.Patch(
		config, inject.Request{Release: injecttest.Release, Namespace: "ml", Selector: labels.Everything()},
		objects[0].Pods...,
	)
	require.Len(t, result.Decisions, 1)
	assert.Contains(t, result.Decisions[0].Warnings,
		`container "node" gets no variable DATA, because this kind refuses one here; the storage is at /data`)
	var paths []string
	for _, op := range result.Operations {
		paths = append(paths, op.Path)
	}
	assert.Equal(t, []string{
		spec + "/volumes", spec + "/containers/0/volumeMounts", spec + "/containers/1/volumeMounts", spec +
			"/containers/1/env",
	}, paths)
}

// TestADirectoryNeedsItsVariables: where a kind refuses them, the directory would never be found.
func TestADirectoryNeedsItsVariables(t *testing.T) {
	result := patch(t, injecttest.Load(t, "profiles: [{name: default, mount: {subPath: "+
		"'{pod.name}'}}]\n"), injecttest.Decode(t, "apiVersion: trainer.kubeflow.org/v1alpha1\n"+
		"kind: TrainJob\nspec: {podTemplateOverrides: [{spec: {containers: [{name: node}]}}]}\n"))
	require.NotNil(t, result.Refused())
	assert.Equal(t,
		`container "node": this kind refuses the variables here that mount.subPath needs: leave these pods to the webhook, `+
			`or leave the container out`,
		result.Refused().Message)
}

func TestSeveralVariables(t *testing.T) {
	const config = "profiles: [{name: default, env: [HF_HOME, DATA]}]\n"
	const list = "add /spec/containers/0/env"
	for name, tt := range map[string]struct {
		env, conflict string
		exp           []string
	}{
		"a container without variables": {
			"", "", []string{list + ` [{"name":"HF_HOME","value":"/data"},{"name":"DATA","value":"/data"}]`},
		},
		"one with others": {
			", env: [{name: A, value: b}]", "",
			[]string{list + `/0 {"name":"HF_HOME","value":"/data"}`, list + `/1 {"name":"DATA","value":"/data"}`},
		},
		"one that has one of them": {
			", env: [{name: HF_HOME, value: /data}]", "", []string{list + `/0 {"name":"DATA","value":"/data"}`},
		},
		"one that has all": {", env: [{name: DATA, value: /data}, {name: HF_HOME, value: /data}]", "", nil},
		"one that has the second with another value": {
			", env: [{name: DATA, value: /other}]", "environment variable DATA is set to something else than /data", nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			result := patch(t, injecttest.Load(t, config), injecttest.Pod(t, "containers: [{name: main"+tt.env+"}]"))
			if tt.conflict != "" {
				require.NotNil(t, result.Refused())
				assert.Contains(t, result.Refused().Message, tt.conflict)
				return
			}
			var variables []string
			for _, line := range lines(t, result) {
				if strings.HasPrefix(line, list) {
					variables = append(variables, line)
				}
			}
			assert.Equal(t, tt.exp, variables)
		})
	}
}

func TestRemovesSeveralVariables(t *testing.T) {
	config := injecttest.Load(t, "profiles: [{name: default, env: [HF_HOME, DATA]}]\n")
	const pod = "containers: [{name: main, env: [{name: A, value: b}]}]"
	injected := injecttest.Apply(t, injecttest.Pod(t, pod), patch(t, config, injecttest.Pod(t, pod)))
	result := remove(t, config, injected)
	assert.Equal(t, []string{
		"/spec/containers/0/volumeMounts", "/spec/containers/0/env/1", "/spec/containers/0/env/0", "/spec/volumes",
	}, paths(t, result))
	assert.Empty(t, result.Decisions[0].Warnings)
}
