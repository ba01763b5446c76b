package pulumi_test

import (
	"path/filepath"
	"slices"
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
	// exported is the output of every program's stack.
	exported = "persistent_volume_claim_name"
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

// TestProgramExportsTheClaim holds the name that the program exports to that of the claim that the
// chart's pods mount.
func TestProgramExportsTheClaim(t *testing.T) {
	for _, configuration := range []string{"chart", "disk", "claim"} {
		rendered, err := renderChart(t, readChart(t, configuration, chartType))
		require.NoError(t, err)
		name := readRegistered(t, "storage", configuration).Exports[exported]
		require.NotEmpty(t, name)
		assert.Equal(t, name, renderedFields(t, rendered)[mount]["claimName"], configuration)
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

	blocks := suite.Blocks(t, document, "sh")
	status := slices.IndexFunc(blocks, needsCluster)
	require.NotEqual(t, -1, status)
	output := shell(t).Run(t.Context(), t, blocks[status]).Must(t)
	assert.Equal(t, readRegistered(t, "storage", "release").Exports[exported]+"\n", output, "the documented line")
}

func claimOf(t *testing.T, cluster dynamic.Interface, inputs chartInputs) *unstructured.Unstructured {
	t.Helper()
	claim, err := cluster.Resource(resources["PersistentVolumeClaim"]).Namespace(inputs.Namespace).
		Get(t.Context(), readRegistered(t, "storage", "release").Exports[exported], metav1.GetOptions{})
	require.NoError(t, err)
	return claim
}

// resources are the kinds that the origin's program registers.
var resources = map[string]schema.GroupVersionResource{
	"StorageClass":          {Group: "storage.k8s.io", Version: "v1", Resource: "storageclasses"},
	"PersistentVolume":      {Version: "v1", Resource: "persistentvolumes"},
	"PersistentVolumeClaim": {Version: "v1", Resource: "persistentvolumeclaims"},
}

// originObjects are the fields of the origin's three objects, by kind. They are written by hand, and no
// flag updates them: the original does not change.
var originObjects = map[string]map[string]string{
	"StorageClass": {
		"metadata.name": "fast", "provisioner": "kubernetes.io/aws-ebs", "parameters.type": "gp2",
		"reclaimPolicy": "Retain", "volumeBindingMode": "WaitForFirstConsumer",
	},
	"PersistentVolume": {
		"metadata.name": "pv-data-pipeline", "spec.capacity.storage": "100Gi", "spec.accessModes": "ReadWriteOnce",
		"spec.persistentVolumeReclaimPolicy": "Retain", "spec.storageClassName": "fast",
		"spec.awsElasticBlockStore.volumeID": "vol-0123456789abcdef0", // a placeholder
	},
	"PersistentVolumeClaim": {
		"metadata.name": "pvc-data-pipeline", "spec.accessModes": "ReadWriteOnce",
		"spec.resources.requests.storage": "100Gi", "spec.storageClassName": "fast",
	},
}

// TestOriginHasItsFieldsAndNoOther holds the program to the original: objects, names in Pulumi, and
// the one export.
func TestOriginHasItsFieldsAndNoOther(t *testing.T) {
	program := readRegistered(t, "origin", "aws-ebs")
	objects, names := map[string]map[string]string{}, []string{}
	for _, resource := range program.Resources {
		names = append(names, resource.Name)
		objects[resource.object().GetKind()] = flatten(resource.object())
	}
	assert.Equal(t, originObjects, objects)
	assert.ElementsMatch(t, []string{"storage-class", "persistent-volume", "persistent-volume-claim"}, names)
	assert.Equal(t, map[string]string{exported: "pvc-data-pipeline"}, program.Exports)
}

// TestOriginIsAccepted lets the API server validate the origin's objects, because the program
// writes fields as plain maps.
func TestOriginIsAccepted(t *testing.T) {
	cluster := suite.Dynamic(t)
	program := read(t, "origin", "aws-ebs")
	require.Len(t, program, len(resources))
	for _, resource := range program {
		object := resource.object()
		var in dynamic.ResourceInterface = cluster.Resource(resources[object.GetKind()])
		if object.GetKind() == "PersistentVolumeClaim" {
			in = cluster.Resource(resources[object.GetKind()]).Namespace("default")
		}
		_, err := in.Create(t.Context(), object, metav1.CreateOptions{
			DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict,
		})
		assert.NoError(t, err, object.GetKind())
	}
}
