package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/examples/pulumi/record"
)

func TestTheProgramRegistersStorageAndAPod(t *testing.T) {
	for backend, disk := range map[string]string{
		"aws-ebs":    "vol-0123456789abcdef0",
		"azure-disk": "/subscriptions/0000/resourceGroups/ml/providers/Microsoft.Compute/disks/pipelines",
		"gce-pd":     "pipelines",
	} {
		t.Run(backend, func(t *testing.T) {
			resources, err := record.Run(t, program, map[string]string{"backend": backend, "disk": disk})
			require.NoError(t, err)
			record.Equal(t, "testdata/"+backend+".json", resources)
		})
	}
}

func TestAnUnknownBackendIsRefused(t *testing.T) {
	resources, err := record.Run(t, program, map[string]string{"backend": "nfs", "disk": "d"})
	assert.ErrorContains(t, err, `the backend "nfs" is not one of`)
	assert.Empty(t, resources)
}
