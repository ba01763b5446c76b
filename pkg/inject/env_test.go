package inject_test

import (
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
