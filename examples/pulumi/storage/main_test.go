package main

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/examples/pulumi/record"
)

func TestTheProgramRegistersAChartWithItsPostRenderer(t *testing.T) {
	for file, settings := range map[string]map[string]string{
		"chart":   {}, // by default
		"disk":    {"disk": "vol-0123456789abcdef0", "zone": "us-east-1a"},
		"claim":   {"claim": "pvc-data-pipeline"},
		"release": {"resource": "release"},
	} {
		t.Run(file, func(t *testing.T) {
			registered, err := record.Run(t, program, settings)
			require.NoError(t, err)
			record.Equal(t, "testdata/"+file+".json", registered)
		})
	}
}

func TestSettingsThatCannotBeAreRefused(t *testing.T) {
	for reason, settings := range map[string]map[string]string{
		`the resource "deployment" is neither chart nor release`: {"resource": "deployment"},
		`a release takes the arguments of ./postrender.sh`:       {"resource": "release", "claim": "pvc-data-pipeline"},
	} {
		registered, err := record.Run(t, program, settings)
		assert.ErrorContains(t, err, reason)
		assert.Empty(t, registered.Resources)
		assert.Empty(t, registered.Exports)
	}
}

func TestTheScriptHasItsArguments(t *testing.T) {
	text, err := os.ReadFile(script)
	require.NoError(t, err)
	assert.Contains(t, string(text), "\nexec "+command+" "+strings.Join(scriptArguments, " ")+"\n")
}
