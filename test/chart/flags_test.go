package chart_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/pipeline-storage/pipeline-storage/cmd/webhook/app"
)

func TestProgramTakesTheArguments(t *testing.T) {
	t.Setenv("POD_NAMESPACE", "storage") // as the pod has it
	for name, file := range valueSets(t) {
		t.Run(name, func(t *testing.T) {
			deployment := one(t, render(t, "storage", "--values", file), "Deployment")
			options, err := app.ParseOptions(argumentsIn(t, deployment))
			require.NoError(t, err)
			assert.Equal(t, "storage", options.Namespace)
			assert.Contains(t, options.Service, "pipeline-storage")
		})
	}
}

func TestProgramPrintsItsVersionInHelmTest(t *testing.T) {
	t.Parallel()
	options, err := app.ParseOptions(argumentsIn(t, one(t, render(t, "storage"), "Pod")))
	require.NoError(t, err)
	assert.True(t, options.Version)
}

func TestProgramLooksForTheAnnotationInHelmTest(t *testing.T) {
	t.Parallel()
	pod := one(t, render(t, "storage", "--set", "test.profile=default"), "Pod")
	options, err := app.ParseOptions(argumentsIn(t, pod))
	require.NoError(t, err)
	assert.Equal(t, new("$(PIPELINE_STORAGE_INJECTED)"), options.Admitted)
}

// argumentsIn returns the arguments of the first container.
func argumentsIn(t *testing.T, object *unstructured.Unstructured) []string {
	t.Helper()
	path := []string{"spec", "containers"}
	if object.GetKind() != "Pod" {
		path = append([]string{"spec", "template"}, path...)
	}
	containers, found, err := unstructured.NestedSlice(object.Object, path...)
	require.NoError(t, err)
	require.True(t, found)
	container, ok := containers[0].(map[string]any)
	require.True(t, ok)
	texts, found, err := unstructured.NestedStringSlice(container, "args")
	require.NoError(t, err)
	require.True(t, found)
	return texts
}
