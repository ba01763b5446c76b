package gitops_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

// unlabeledChart renders workloads whose templates have no place for labels of a user, as many charts do. Two have
// no labels at all, which their API allows.
const unlabeledChart = `apiVersion: v1
kind: Namespace
metadata: {name: pipelines}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}-worker}
spec:
  selector: {matchLabels: {app: worker}}
  template:
    metadata: {labels: {app: worker}}
    spec: {containers: [{name: main, image: x}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}-web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: main, image: x}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: {{ .Release.Name }}-state}
spec:
  serviceName: state
  selector: {matchLabels: {app: state}}
  template:
    metadata: {labels: {app: state}}
    spec: {containers: [{name: main, image: x}]}
  volumeClaimTemplates:
  - metadata: {name: own}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: {{ .Release.Name }}-nightly}
spec:
  schedule: "0 0 * * *"
  jobTemplate:
    spec:
      template:
        spec: {restartPolicy: Never, containers: [{name: main, image: x}]}
---
apiVersion: batch/v1
kind: Job
metadata: {name: {{ .Release.Name }}-once}
spec:
  template:
    spec: {restartPolicy: Never, containers: [{name: main, image: x}]}
---
apiVersion: ray.io/v1
kind: RayCluster
metadata: {name: {{ .Release.Name }}-ray}
spec:
  headGroupSpec: {template: {spec: {containers: [{name: head, image: x}]}}}
  workerGroupSpecs:
  - groupName: a
    template: {spec: {containers: [{name: worker, image: x}]}}
---
apiVersion: v1
kind: Service
metadata: {name: {{ .Release.Name }}-web}
spec: {selector: {app: web}, ports: [{port: 80}]}
`

// newChart writes the chart into a directory of the test and returns it with what Helm renders of it, in chart.yaml.
func newChart(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "charts", "nightly", "templates"), 0o700))
	write(t, dir, "charts/nightly/Chart.yaml", "apiVersion: v2\nname: nightly\nversion: 1.2.3\n")
	write(t, dir, "charts/nightly/values.yaml", "{}\n")
	write(t, dir, "charts/nightly/templates/all.yaml", unlabeledChart)
	rendered := shell(t, dir).Exec(t.Context(), t, "helm", "template", "nightly", "charts/nightly")
	write(t, dir, "chart.yaml", rendered.Must(t))
	return dir
}

// documented returns the example of a kind in docs/gitops.md.
func documented(t *testing.T, kind string) string {
	t.Helper()
	blocks := suite.Blocks(t, "docs/gitops.md", "yaml")
	i := slices.IndexFunc(blocks, func(block string) bool { return strings.Contains(block, "\nkind: "+kind+"\n") })
	require.NotEqual(t, -1, i, kind)
	return blocks[i]
}

// labeled returns the workloads whose pods have the label after kustomize has built the directory. Nothing else has
// changed but labels of the objects themselves.
func labeled(t *testing.T, dir string, args ...string) []string {
	t.Helper()
	before, err := os.ReadFile(filepath.Join(dir, "chart.yaml"))
	require.NoError(t, err)
	was := objects(t, string(before))
	built := shell(t, dir).Exec(t.Context(), t, "kustomize", append([]string{"build", dir}, args...)...).Must(t)
	var found []string
	for key, object := range objects(t, built) {
		if removeLabels(object) {
			found = append(found, object.GetKind()+"/"+object.GetName())
		}
		unstructured.RemoveNestedField(object.Object, "metadata", "labels")
		assert.Equal(t, was[key].Object, object.Object, "selectors and everything else stay")
	}
	slices.Sort(found)
	return found
}

// removeLabels removes the label from the pod templates of an object, with maps that held nothing else, and reports
// whether it was there.
func removeLabels(object *unstructured.Unstructured) bool {
	isFound := false
	var walk func(value any) any
	walk = func(value any) any {
		switch value := value.(type) {
		case map[string]any:
			for key, inner := range value {
				value[key] = walk(inner)
			}
			if template, ok := value["template"].(map[string]any); ok {
				isFound = dropLabel(template) || isFound
			}
			if job, ok := value["jobTemplate"].(map[string]any); ok { // the Jobs of a CronJob get it, too
				dropLabel(job)
			}
		case []any:
			for i := range value {
				value[i] = walk(value[i])
			}
		}
		return value
	}
	walk(object.Object["spec"])
	return isFound
}

// dropLabel removes the label of one template.
func dropLabel(template map[string]any) bool {
	labels, _, _ := unstructured.NestedStringMap(template, "metadata", "labels")
	if labels["pipeline-storage"] != "enabled" {
		return false
	}
	if unstructured.RemoveNestedField(template, "metadata", "labels", "pipeline-storage"); len(labels) == 1 {
		delete(template, "metadata")
	}
	return true
}

// TestKustomizeLabelsTemplates builds the kustomization of the document on a chart without such a value.
func TestKustomizeLabelsTemplates(t *testing.T) {
	t.Parallel()
	dir := newChart(t)
	write(t, dir, "kustomization.yaml", documented(t, "Kustomization"))
	assert.Equal(t, []string{
		"CronJob/nightly-nightly", "Deployment/nightly-web", "Deployment/nightly-worker", "Job/nightly-once",
		"RayCluster/nightly-ray", "StatefulSet/nightly-state",
	}, labeled(t, dir))

	built := shell(t, dir).Exec(t.Context(), t, "kustomize", "build", dir).Must(t)
	namespace := objects(t, built)["Namespace//pipelines"]
	assert.Equal(t, "enabled", namespace.GetLabels()["pipeline-storage"], "and so the label for all pods has another key")
	assert.NotContains(t, namespace.GetLabels(), inject.LabelAllPods)
}

// TestArgoCDLabelsTemplates edits a kustomization as Argo CD does for the Application of the document.
// Source: argo-cd, docs/user-guide/kustomize.md, and util/kustomize/kustomize.go Build, which runs kustomize edit.
func TestArgoCDLabelsTemplates(t *testing.T) {
	t.Parallel()
	var application struct {
		Spec struct {
			Source struct {
				Kustomize struct {
					CommonLabels          map[string]string `json:"commonLabels"`
					LabelWithoutSelector  bool              `json:"labelWithoutSelector"`
					LabelIncludeTemplates bool              `json:"labelIncludeTemplates"`
				} `json:"kustomize"`
			} `json:"source"`
		} `json:"spec"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(documented(t, "Application")), &application))
	source := application.Spec.Source.Kustomize
	require.True(t, source.LabelWithoutSelector && source.LabelIncludeTemplates)
	args := []string{"edit", "add", "label", "--without-selector", "--include-templates"}
	for key, value := range source.CommonLabels {
		args = append(args, key+":"+value)
	}
	dir := newChart(t)
	write(t, dir, "kustomization.yaml", "resources: [chart.yaml]\n")
	shell(t, dir).Exec(t.Context(), t, "kustomize", args...).Must(t)
	assert.Equal(t, []string{
		"CronJob/nightly-nightly", "Deployment/nightly-web", "Deployment/nightly-worker", "Job/nightly-once",
		"StatefulSet/nightly-state",
	}, labeled(t, dir))
}

// TestKustomizeRendersChartWithLabels has kustomize render the chart, which is what an Application of a chart needs.
func TestKustomizeRendersChartWithLabels(t *testing.T) {
	t.Parallel()
	dir := newChart(t)
	write(t, dir, "kustomization.yaml", strings.Replace(documented(t, "Kustomization"), "resources: [chart.yaml]",
		"helmGlobals: {chartHome: charts}\nhelmCharts: [{name: nightly, releaseName: nightly}]", 1))
	assert.Len(t, labeled(t, dir, "--enable-helm"), 6)
}

// TestFluxLabelsTemplates patches what the chart renders as helm-controller does: a kustomization of that one file,
// with the patches of the HelmRelease of the document.
// Source: helm-controller, internal/postrender/kustomize.go Run.
func TestFluxLabelsTemplates(t *testing.T) {
	t.Parallel()
	var release struct {
		Spec struct {
			PostRenderers []struct {
				Kustomize struct {
					Patches []any `json:"patches"`
				} `json:"kustomize"`
			} `json:"postRenderers"`
		} `json:"spec"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(documented(t, "HelmRelease")), &release))
	require.Len(t, release.Spec.PostRenderers, 1)
	text, err := yaml.Marshal(map[string]any{
		"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
		"resources": []string{"chart.yaml"}, "patches": release.Spec.PostRenderers[0].Kustomize.Patches,
	})
	require.NoError(t, err)
	dir := newChart(t)
	write(t, dir, "kustomization.yaml", string(text))
	assert.Equal(t, []string{"CronJob/nightly-nightly", "Deployment/nightly-worker", "StatefulSet/nightly-state"},
		labeled(t, dir))
}

// TestLabelsReachTheRenderer has the post-renderer mount the claim into what kustomize labeled, which shows that the
// label is where the pods have it.
func TestLabelsReachTheRenderer(t *testing.T) {
	t.Parallel()
	dir := newChart(t)
	write(t, dir, "kustomization.yaml", documented(t, "Kustomization"))
	r := shell(t, dir).Run(t.Context(), t, "kustomize build . | postrender --namespace pipelines --release nightly")
	built := objects(t, r.Must(t))
	assert.Contains(t, keys(built), "PersistentVolumeClaim/pipelines/pvc-data-pipeline.nightly")
	for _, name := range []string{"Deployment//nightly-worker", "StatefulSet//nightly-state", "Job//nightly-once"} {
		assert.Equal(t, map[string]string{"pvc-data-pipeline.nightly": "/data"}, mounts(t, built[name]), name)
	}
}
