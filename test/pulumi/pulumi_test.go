package pulumi_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/action"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/pipeline-storage/pipeline-storage/test/stream"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

const (
	chartType   = "kubernetes:helm.sh/v4:Chart"
	releaseType = "kubernetes:helm.sh/v3:Release"
)

// TestPulumiChartRendersAsHelm compares, for each of the program's configurations.
func TestPulumiChartRendersAsHelm(t *testing.T) {
	for _, configuration := range []string{"chart", "disk", "claim"} {
		t.Run(configuration, func(t *testing.T) {
			inputs := readChart(t, configuration, chartType)
			rendered, err := renderChart(t, inputs)
			require.NoError(t, err)

			args := []string{
				"template", inputs.Name, inputs.Chart, "--namespace", inputs.Namespace, "--no-hooks", "--include-crds",
				"--post-renderer", suite.Program(t, "cmd/postrender"),
			}
			for _, arg := range inputs.PostRenderer.Args {
				args = append(args, "--post-renderer-args="+arg)
			}
			command := suite.Helm(t, "helm3").Must(t, args...)
			assert.Equal(t, stream.Objects(t, command), stream.Objects(t, rendered))
			assert.Contains(t, rendered, "mountPath: /data")
		})
	}
}

func TestExistingClaimIsOnlyMounted(t *testing.T) {
	rendered, err := renderChart(t, readChart(t, "claim", chartType))
	require.NoError(t, err)
	assert.Contains(t, rendered, "claimName: pvc-data-pipeline\n")
	for _, object := range stream.Objects(t, rendered) {
		assert.NotContains(t, storageKinds, object.GetKind())
	}
}

func TestPulumiReportsConflictReason(t *testing.T) {
	inputs := readChart(t, "chart", chartType)
	inputs.Chart = "../helm/testdata/charts/conflict"
	_, err := renderChart(t, inputs)
	assert.ErrorContains(t, err,
		`container "main": mount path /data is taken by volume "scratch": choose another by mount.path, --mount-path or `+
			`the pod annotation pipeline-storage.io/mount-path`)
}

// TestReleaseScriptHasChartArguments checks the script: helm.v3.Release takes a program and no arguments.
func TestReleaseScriptHasChartArguments(t *testing.T) {
	chart, release := readChart(t, "chart", chartType), readChart(t, "release", releaseType)
	expected, err := renderChart(t, chart)
	require.NoError(t, err)

	assert.Equal(t, chart.Name, release.Name)
	assert.Equal(t, chart.Namespace, release.Namespace)
	chart.PostRenderer.Command, chart.PostRenderer.Args = filepath.Join(programs, "storage", release.Postrender), nil
	actual, err := renderChart(t, chart)
	require.NoError(t, err)
	assert.Equal(t, expected, actual)
}

// TestReleaseRetainsStorage installs, uninstalls and installs again, as Pulumi does when a release
// is removed from the stack and added again.
func TestReleaseRetainsStorage(t *testing.T) {
	cluster := suite.Dynamic(t)
	inputs := readChart(t, "release", releaseType)
	inputs.Postrender = filepath.Join(programs, "storage", inputs.Postrender)
	inputs.SkipAwait = true // no controller runs that would make the pods ready
	configuration := helm(t, inputs.Namespace)

	require.NoError(t, installRelease(t, configuration, inputs))
	first := claimOf(t, cluster, inputs)
	_, err := action.NewUninstall(configuration).Run(inputs.Name)
	require.NoError(t, err)
	require.NoError(t, installRelease(t, configuration, inputs))
	assert.Equal(t, first.GetUID(), claimOf(t, cluster, inputs).GetUID(), "the claim was recreated")
}

func claimOf(t *testing.T, cluster dynamic.Interface, inputs chartInputs) *unstructured.Unstructured {
	t.Helper()
	claim, err := cluster.Resource(resources["PersistentVolumeClaim"]).Namespace(inputs.Namespace).
		Get(t.Context(), "pvc-data-pipeline."+inputs.Name, metav1.GetOptions{})
	require.NoError(t, err)
	return claim
}

// resources are the kinds that the origin's program registers.
var resources = map[string]schema.GroupVersionResource{
	"StorageClass":          {Group: "storage.k8s.io", Version: "v1", Resource: "storageclasses"},
	"PersistentVolume":      {Version: "v1", Resource: "persistentvolumes"},
	"PersistentVolumeClaim": {Version: "v1", Resource: "persistentvolumeclaims"},
	"Pod":                   {Version: "v1", Resource: "pods"},
}

// TestOriginIsAccepted lets the API server validate the origin's objects, because the program
// writes fields as plain maps.
func TestOriginIsAccepted(t *testing.T) {
	cluster := suite.Dynamic(t)
	for _, backend := range []string{"aws-ebs", "azure-disk", "gce-pd"} {
		t.Run(backend, func(t *testing.T) {
			program := read(t, "origin", backend)
			require.Len(t, program, len(resources))
			for _, resource := range program {
				object := resource.object()
				var in dynamic.ResourceInterface = cluster.Resource(resources[object.GetKind()])
				if object.GetKind() == "Pod" || object.GetKind() == "PersistentVolumeClaim" {
					in = cluster.Resource(resources[object.GetKind()]).Namespace("default")
				}
				_, err := in.Create(t.Context(), object, metav1.CreateOptions{
					DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict,
				})
				assert.NoError(t, err, object.GetKind())
			}
		})
	}
}
