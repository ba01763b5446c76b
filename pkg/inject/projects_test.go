package inject_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
)

// TestATrainJobSetsNoVariableThatTrainerRefuses has the container of the trainer, which takes variables from elsewhere, beside one
// of another name. Trainer refuses the whole TrainJob otherwise.
func TestATrainJobSetsNoVariableThatTrainerRefuses(t *testing.T) {
	const spec = "/spec/podTemplateOverrides/0/spec"
	config := load(t, "profiles: [{name: default, env: DATA}]\n")
	objects := find(t, config, decode(t, "apiVersion: trainer.kubeflow.org/v1alpha1\nkind: TrainJob\nmetadata: {name: t}\n"+
		"spec: {podTemplateOverrides: [{spec: {containers: [{name: node}, {name: metrics}]}}]}\n"))
	result := inject.Patch(config, inject.Request{Release: release, Namespace: "ml", Selector: labels.Everything()}, objects[0].Pods...)
	require.Len(t, result.Decisions, 1)
	assert.Contains(t, result.Decisions[0].Warnings, `container "node" gets no variable DATA, because this kind refuses one here; the storage is at /data`)
	var paths []string
	for _, op := range result.Operations {
		paths = append(paths, op.Path)
	}
	assert.Equal(t, []string{
		spec + "/volumes", spec + "/containers/0/volumeMounts", spec + "/containers/1/volumeMounts", spec + "/containers/1/env",
	}, paths)
}

// TestTheTemplateOfASparkDriverCanAsk has the label where the operator takes the driver's pod template from.
func TestTheTemplateOfASparkDriverCanAsk(t *testing.T) {
	config := load(t, "profiles: [{name: default}]\n")
	objects := find(t, config, decode(t, "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: SparkApplication\nmetadata: {name: s}\n"+
		"spec: {driver: {template: {metadata: {labels: {pipeline-storage: enabled}}}}, executor: {instances: 1}}\n"))
	result := inject.Patch(config, inject.Request{Release: release, Namespace: "ml"}, objects[0].Pods...)
	require.Len(t, result.Decisions, 2)
	assert.Equal(t, inject.ReasonInjected, result.Decisions[0].Reason)
	assert.Equal(t, inject.ReasonNotSelected, result.Decisions[1].Reason)
}
