package pulumi_test

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/pipeline-storage/pipeline-storage/test/stream"
)

var update = flag.Bool("update", false, "update the table of docs/pulumi.md")

// document has the table between tableBegin and tableEnd.
const (
	document   = "docs/pulumi.md"
	tableBegin = "<!-- fields -->\n"
	tableEnd   = "<!-- /fields -->"
)

var storageKinds = []string{"StorageClass", "PersistentVolume", "PersistentVolumeClaim"}

// The parts of the table that are not an object's fields.
const (
	export = "Export"
	mount  = "Mount"
)

// fields are those of a side of the table, by part and path.
type fields map[string]map[string]string

// reasons are why a field differs. Each is needed, and each difference has one.
var reasons = map[string]string{
	"StorageClass allowVolumeExpansion": "The origin's claims cannot grow: without the field Kubernetes takes `false`. " +
		"The default of pipeline-storage is `true`.",
	"StorageClass metadata.name": "A class is the cluster's: two releases with one name would " +
		"meet. `--set=storageClass.name=fast` sets it.",
	"StorageClass provisioner": "Kubernetes 1.27 removed the in-tree plugin; its CSI driver " +
		"replaces it.",
	"StorageClass parameters.type": "`gp3` is the default of the backend aws-ebs. " +
		"`--set=storageClass.parameters.type=gp2` sets the origin's.",
	"StorageClass parameters." + fsType: "Written out: the plugin takes `ext4` where nothing is set.",
	"PersistentVolume metadata.name": "A volume is the cluster's, as a class is. " +
		"`--set=volume.name=pv-data-pipeline` sets it.",
	"PersistentVolume spec.awsElasticBlockStore.volumeID": "See `spec.csi`.",
	"PersistentVolume spec.csi.driver":                    "The CSI driver in place of the plugin, with the same disk.",
	"PersistentVolume spec.csi.fsType":                    "That of the class.",
	"PersistentVolume spec.csi.volumeHandle":              "The same disk.",
	"PersistentVolume spec.storageClassName":              "The class's name.",
	"PersistentVolume spec.claimRef":                      "No other claim of this class and size can bind the disk.",
	"PersistentVolume spec.nodeAffinity": "Pods start where the disk is. Without it they wait on a " +
		"node that cannot attach it.",
	"PersistentVolumeClaim metadata.name": "Two releases in one namespace have two claims. " +
		"`--claim=pvc-data-pipeline` sets it.",
	"PersistentVolumeClaim metadata.namespace": "That of the release. The origin sets none, which is " +
		"`default`.",
	"PersistentVolumeClaim spec.storageClassName": "The class's name.",
	"PersistentVolumeClaim spec.volumeName":       "The claim gets this disk and no other.",
	export + " " + exported: "The claim's name. A file exports nothing: its claim has the " +
		"name that it sets.",
	mount + " claimName": "The claim's name. The origin exports it and leaves the mount to you.",
	mount + " mountPath": "The default. `--mount-path` sets another one.",
	mount + " pods":      "By the label `pipeline-storage: enabled` in the chart, not by hand.",
	mount + " volume":    "Named so that it meets no volume of a chart.",
}

const fsType = "csi.storage.k8s.io/fstype"

// everywhere are reasons for fields that all three objects have.
var everywhere = map[string]string{
	"metadata.annotations.argocd.argoproj.io/sync-options":   "Argo CD neither prunes nor deletes it.",
	"metadata.annotations.kustomize.toolkit.fluxcd.io/prune": "Flux neither prunes nor deletes it.",
	"metadata.annotations.helm.sh/resource-policy":           "Helm and Pulumi retain it.",
	"metadata.labels.pipeline-storage.io/profile":            "The profile to which it belongs.",
	"after `pulumi destroy`":                                 "Pulumi's Chart retains what Helm retains.",
}

// TestDocumentHasTable compares what the origin's program registers with what the post-renderer
// makes of the sample and of the program storage, field by field.
func TestDocumentHasTable(t *testing.T) {
	rendered, err := renderChart(t, readChart(t, "disk", chartType))
	require.NoError(t, err)
	program := renderedFields(t, rendered)
	program[export] = exportedFields(t, "storage", "disk")
	sampled, err := renderChart(t, sampleInputs(t))
	require.NoError(t, err)
	expected := rows(t, originFields(t), renderedFields(t, sampled), program)

	file := filepath.Join(root, document)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	before, rest, begins := bytes.Cut(text, []byte(tableBegin))
	table, after, ends := bytes.Cut(rest, []byte(tableEnd))
	require.True(t, begins && ends, "%s has no place for the table", document)
	if *update {
		table = []byte(expected)
		require.NoError(t,
			os.WriteFile(file, slices.Concat(before, []byte(tableBegin), table, []byte(tableEnd), after), 0o644))
	}
	assert.Equal(t, expected, string(table), "if this is intended: go test ./test/pulumi -run Table -update")
}

// sampleInputs are those of a chart with the sample of the origin, in the namespace of its claim.
func sampleInputs(t *testing.T) chartInputs {
	t.Helper()
	sample, err := filepath.Abs(root + "/config/samples/origin-aws-ebs.yaml")
	require.NoError(t, err)
	inputs := readChart(t, "chart", chartType)
	inputs.Namespace = "default"
	inputs.PostRenderer.Args = []string{"--config=" + sample, "--namespace=default", "--release=" + inputs.Name}
	return inputs
}

func originFields(t *testing.T) fields {
	t.Helper()
	all := fields{export: exportedFields(t, "origin", "aws-ebs")}
	for _, resource := range read(t, "origin", "aws-ebs") {
		object := resource.object()
		all[object.GetKind()] = flatten(object)
		all[object.GetKind()]["after `pulumi destroy`"] = destroyed(resource.Retained)
	}
	return all
}

func exportedFields(t *testing.T, program, file string) map[string]string {
	t.Helper()
	return readRegistered(t, program, file).Exports
}

// renderedFields reads a rendered stream. Pulumi retains what has Helm's policy "keep"
// (pulumi-kubernetes, provider/pkg/provider/helm/v4/chart.go, preregister).
func renderedFields(t *testing.T, rendered string) fields {
	t.Helper()
	all := fields{}
	var pods []string
	for _, object := range stream.Objects(t, rendered) {
		switch {
		case slices.Contains(storageKinds, object.GetKind()):
			all[object.GetKind()] = flatten(&object)
			isRetained := object.GetAnnotations()["helm.sh/resource-policy"] == "keep"
			all[object.GetKind()]["after `pulumi destroy`"] = destroyed(isRetained)
		case object.GetKind() == "CronJob":
			template, _, err := unstructured.NestedMap(object.Object, "spec", "jobTemplate", "spec", "template")
			require.NoError(t, err)
			all[mount] = mountOf(t, object, template)
			pods = append(pods, all[mount]["pods"])
		case object.GetKind() == "Deployment":
			template, _, err := unstructured.NestedMap(object.Object, "spec", "template")
			require.NoError(t, err)
			pods = append(pods, mountOf(t, object, template)["pods"])
		}
	}
	slices.Sort(pods)
	all[mount]["pods"] = strings.Join(pods, ", ")
	return all
}

func destroyed(retained bool) string {
	if retained {
		return "retained"
	}
	return "deleted"
}

// mountOf describes how the pod template of an object mounts its claim.
func mountOf(t *testing.T, object unstructured.Unstructured, template map[string]any) map[string]string {
	t.Helper()
	var pod corev1.PodTemplateSpec
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(template, &pod))
	for _, volume := range pod.Spec.Volumes {
		if volume.PersistentVolumeClaim == nil {
			continue
		}
		for _, at := range pod.Spec.Containers[0].VolumeMounts {
			if at.Name == volume.Name {
				return map[string]string{
					"volume": volume.Name, "claimName": volume.PersistentVolumeClaim.ClaimName, "mountPath": at.MountPath,
					"pods": object.GetKind() + "/" + object.GetName(),
				}
			}
		}
	}
	require.Fail(t, "no claim is mounted", object.GetName())
	return nil
}

// flatten returns the fields of an object by path. A deep value that belongs together is one field.
func flatten(object *unstructured.Unstructured) map[string]string {
	all := map[string]string{}
	var walk func(path string, value any)
	walk = func(path string, value any) {
		inner, ok := value.(map[string]any)
		switch {
		case path == "spec.claimRef":
			all[path] = fmt.Sprintf("%s/%s", inner["namespace"], inner["name"])
		case path == "spec.nodeAffinity":
			all[path] = affinity(inner)
		case ok:
			for key, child := range inner {
				walk(strings.TrimPrefix(path+"."+key, "."), child)
			}
		case path != "apiVersion" && path != "kind":
			all[path] = strings.Trim(fmt.Sprint(value), "[]")
		}
	}
	walk("", object.Object)
	return all
}

// affinity is the one expression of a volume's node affinity.
func affinity(value map[string]any) string {
	terms, _, _ := unstructured.NestedSlice(value, "required", "nodeSelectorTerms")
	expressions, _, _ := unstructured.NestedSlice(terms[0].(map[string]any), "matchExpressions")
	only := expressions[0].(map[string]any)
	return fmt.Sprintf("%s %s", only["key"], only["values"])
}

// rows writes the table. A field that is not the origin's on every side has a reason.
func rows(t *testing.T, origin, sampled, rendered fields) string {
	t.Helper()
	needed := map[string]bool{}
	var table strings.Builder
	table.WriteString("\n| Field | The origin's program | `origin-aws-ebs.yaml` | `storage` | Why |\n" +
		"|---|---|---|---|---|\n")
	for _, part := range append(slices.Clone(storageKinds), export, mount) {
		paths := map[string]string{}
		for _, side := range []fields{origin, sampled, rendered} {
			maps.Copy(paths, side[part])
		}
		fmt.Fprintf(&table, "| **%s** | | | | |\n", part)
		for _, path := range slices.Sorted(maps.Keys(paths)) {
			left, middle, right, why := origin[part][path], sampled[part][path], rendered[part][path], ""
			if left != middle || left != right {
				why = reason(part, path, needed)
				assert.NotEmpty(t, why, "%s %s differs: %q, %q and %q", part, path, left, middle, right)
			}
			fmt.Fprintf(&table, "| %s | %s | %s | %s | %s |\n", name(path), cell(left), cell(middle), cell(right), why)
		}
	}
	for key := range reasons {
		assert.True(t, needed[key], "%s does not differ, or is no field", key)
	}
	for key := range everywhere {
		assert.True(t, needed[key], "%s does not differ, or is no field", key)
	}
	table.WriteString("\n")
	return table.String()
}

func reason(part, path string, needed map[string]bool) string {
	if why, ok := reasons[part+" "+path]; ok {
		needed[part+" "+path] = true
		return why
	}
	needed[path] = true
	return everywhere[path]
}

func name(path string) string {
	if strings.Contains(path, "`") {
		return path
	}
	return "`" + path + "`"
}

func cell(value string) string {
	if value == "" {
		return "–"
	}
	return "`" + value + "`"
}
