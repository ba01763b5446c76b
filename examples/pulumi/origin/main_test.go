package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/examples/pulumi/record"
)

func TestTheProgramRegistersThreeObjectsAndOneExport(t *testing.T) {
	registered, err := record.Run(t, program, nil)
	require.NoError(t, err)
	record.Equal(t, "testdata/aws-ebs.json", registered)

	assert.Len(t, registered.Resources, 3)
	assert.Equal(t, map[string]any{"persistent_volume_claim_name": "pvc-data-pipeline"}, registered.Exports)
	for _, resource := range registered.Resources {
		if resource.Inputs["kind"] != "StorageClass" {
			assert.Equal(t, []string{"storage-class"}, resource.DependsOn, "%s names the class by reference", resource.Name)
		}
	}
}
