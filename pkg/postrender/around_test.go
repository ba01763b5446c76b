package postrender_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
)

// wrapper is an AppWrapper, in flow style, with an object in it.
func wrapper(labels, annotations, object string) string {
	return "{apiVersion: workload.codeflare.dev/v1beta2, kind: AppWrapper, metadata: {name: w, labels: {" + labels +
		"}, annotations: {" + annotations + "}}, spec: {components: [{template: " + object + "}]}}"
}

// sensor is an object of a kind with pods of its own, which are not here, and an object in it.
func sensor(labels, object string) string {
	return "{apiVersion: argoproj.io/v1alpha1, kind: Sensor, metadata: {name: s, labels: {" + labels +
		"}}, spec: {triggers: [{template: {k8s: {source: {resource: " + object + "}}}}]}}"
}

// training is an object without a name, as it stands in others.
func training(labels string) string {
	return "{apiVersion: kubeflow.org/v1, kind: PyTorchJob, spec: {pytorchReplicaSpecs: {Master: {template: {metadata: " +
		"{labels: {" + labels + "}}, spec: {containers: [{name: pytorch, image: i}]}}}}}}"
}

func podIn(labels string) string {
	return "{apiVersion: v1, kind: Pod, metadata: {labels: {" + labels + "}}, spec: {containers: [{name: a, image: i}]}}"
}

const (
	trainingPlace = "put it into the labels of its pod template, spec.pytorchReplicaSpecs.Master.template"
	jobPlace      = "put it into the labels of its pod template, spec.template"
)

// aroundCases are objects in others that have the requests, and the lines about those.
var aroundCases = map[string]struct {
	stream string
	exp    []string
}{
	"nothing": {wrapper("", "", training("")), nil},
	"the label of an AppWrapper": {wrapper(enabled, "", training("")), []string{
		"document 1 PyTorchJob: the label is on the AppWrapper around it, not on its pods: " + trainingPlace,
	}},
	"the label of an AppWrapper, and of the pods": {wrapper(enabled, "", training(enabled)), nil},
	"the label of an AppWrapper, whose pods are left out": {
		wrapper(enabled, "", training("pipeline-storage: disabled")), nil,
	},
	"the annotation of an AppWrapper": {wrapper("", mountPath, training(enabled)), []string{
		"document 1 PyTorchJob: the annotation pipeline-storage.io/mount-path is on the AppWrapper around it, not on its " +
			"pods, and does nothing there: put it into the annotations of its pod template, " +
			"spec.pytorchReplicaSpecs.Master.template",
	}},
	"the label of a Sensor around a pod": {sensor(enabled, podIn("")), []string{
		"document 1 Sensor/s: the label is on the Sensor, not on its pods: put it into spec.template.metadata.labels",
		"document 1 Pod: the label is on the Sensor around it, not on its pods: put it into the labels of the Pod",
	}},
	"the label of an unknown kind around an AppWrapper": {
		"{apiVersion: work.open-cluster-management.io/v1, kind: ManifestWork, metadata: {name: m, labels: {" + enabled +
			"}}, spec: {workload: {manifests: [" + wrapper("", "", training("")) + "]}}}", []string{
			"document 1 PyTorchJob: the label is on the ManifestWork around it, not on its pods: " + trainingPlace,
		},
	},
	"the label of a List": {
		"{apiVersion: v1, kind: List, metadata: {labels: {" + enabled + "}}, items: [{apiVersion: batch/v1, kind: Job, " +
			"metadata: {name: j}, spec: {template: {spec: {containers: [{name: a}]}}}}]}", []string{
			"document 1 Job/j: the label is on the List around it, not on its pods: " + jobPlace,
		},
	},
	"the label of something between": {
		"{apiVersion: example.com/v1, kind: Trigger, metadata: {name: t}, spec: {run: {metadata: {labels: {" + enabled +
			"}}, object: " + podIn("") + "}}}", []string{
			"document 1 Pod: the label is on spec.run of the Trigger around it, not on its pods: put it into the labels of " +
				"the Pod",
		},
	},
	"the label of an AppWrapper around a workflow of references": {
		wrapper(enabled, "", "{apiVersion: argoproj.io/v1alpha1, kind: Workflow, spec: {workflowTemplateRef: {name: y}}}"),
		[]string{
			"document 1 Workflow: the label is on the AppWrapper around it, not on its pods: put it into " +
				"spec.podMetadata.labels",
		},
	},
	"the label of an AppWrapper around an object without pods": {
		wrapper(enabled, "", "{apiVersion: apps/v1, kind: Deployment, spec: {}}"),
		[]string{"document 1 Deployment: NoPods: it has no containers of its own"},
	},
	"the label of an AppWrapper around an unknown kind": {
		wrapper(enabled, "", "{apiVersion: example.com/v1, kind: Training, spec: {template: {spec: {containers: "+
			"[{name: a}]}}}}"),
		[]string{
			`document 1 Training: UnsupportedKind: it seems to hold a pod, but kind Training of group "example.com" is not ` +
				`known: add a row for it under kinds: in the configuration file, such as {group: "example.com", ` +
				`kind: "Training", pods: [{podTemplate: "spec.template"}]}`,
		},
	},
}

// TestWarnsOfRequestsOfTheObjectAround has requests on an object in which another one stands.
func TestWarnsOfRequestsOfTheObjectAround(t *testing.T) {
	for name, tc := range aroundCases {
		t.Run(name, func(t *testing.T) {
			out, err := labelled().Render([]byte(tc.stream))
			require.NoError(t, err)
			var lines []string
			for i := range out.Report.Workloads {
				w := &out.Report.Workloads[i]
				for _, warning := range w.Warnings {
					lines = append(lines, w.Title()+": "+warning)
				}
			}
			assert.Equal(t, tc.exp, lines)

			r := labelled()
			r.Strict = true
			_, err = r.Render([]byte(tc.stream))
			if len(tc.exp) == 0 {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, strings.Join(tc.exp, "\n")+strictEnd)
		})
	}
}

// TestLabelWorksWhereItIsAdvised has the label in the places that the warnings above name.
func TestLabelWorksWhereItIsAdvised(t *testing.T) {
	for _, stream := range []string{wrapper("", "", training(enabled)), sensor("", podIn(enabled))} {
		out, err := labelled().Render([]byte(stream))
		require.NoError(t, err)
		assert.Equal(t, 1, out.Report.Count(inject.ReasonInjected))
	}
}

// TestNamesNoObjectWithoutAName has messages about objects that stand in others and have no name.
func TestNamesNoObjectWithoutAName(t *testing.T) {
	taken := strings.Replace(podIn(enabled), "image: i", "volumeMounts: [{name: x, mountPath: /data}]", 1)
	_, err := labelled().Render([]byte(sensor("", taken)))
	require.ErrorContains(t, err, `document 1 Pod: container "a": mount path /data is taken`)

	out, err := labelled().Render([]byte(wrapper("", "", training(""))))
	require.NoError(t, err)
	require.Len(t, out.Report.Warnings, 1)
	assert.Contains(t, out.Report.Warnings[0], "no storage was added: document 1 PyTorchJob: NotSelected: ")

	out, err = labelled().Render([]byte("kind: ConfigMap\ndata:\n  a: '" + podIn("") + "'\n"))
	require.NoError(t, err)
	require.Len(t, out.Report.Workloads, 1)
	assert.Equal(t, "document 1 ConfigMap", out.Report.Workloads[0].Title())
}
