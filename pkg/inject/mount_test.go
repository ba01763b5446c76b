package inject_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/internal/injecttest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// withSubPath is a configuration whose only profile has this subPath.
func withSubPath(subPath string) string {
	return `profiles: [{name: default, mount: {subPath: "` + subPath + `"}}]` + "\n"
}

const (
	workflowLabel = "workflows.argoproj.io/workflow"
	podNameEnv    = `{"name":"PIPELINE_STORAGE_POD_NAME","valueFrom":{"fieldRef":{"fieldPath":"metadata.name"}}}`
	labelEnv      = `{"name":"PIPELINE_STORAGE_POD_LABEL_WORKFLOWS_ARGOPROJ_IO_WORKFLOW",` +
		`"valueFrom":{"fieldRef":{"fieldPath":"metadata.labels['workflows.argoproj.io/workflow']"}}}`
)

// TestDirectoriesOfPods holds what a placeholder becomes, for a pod that is rendered and one that
// is admitted.
func TestDirectoriesOfPods(t *testing.T) {
	mountOf := func(sub string) string {
		return `add /spec/containers/0/volumeMounts [{"mountPath":"/data","name":"pipeline-storage",` + sub + `}]`
	}
	const labelled = "labels: {pipeline-storage: enabled, " + workflowLabel + ": nightly-1}\n"
	for name, tt := range map[string]struct {
		subPath, pod string
		exp          []string // but for the volume and the injected annotation
	}{
		"the namespace is a plain path": {
			"runs/{namespace}", labeled + "---\n" + main, []string{mountOf(`"subPath":"runs/ml"`)},
		},
		"Argo's own placeholder stays": {"{{workflow.name}}", labeled + "---\n" + main, nil},
		"the pod's name is a variable": {
			"runs/{pod.name}", labeled + "---\n" + main,
			[]string{
				mountOf(`"subPathExpr":"runs/$(PIPELINE_STORAGE_POD_NAME)"`),
				`add /spec/containers/0/env [` + podNameEnv + `]`,
			},
		},
		"a label is a variable": {
			"{pod.labels['" + workflowLabel + "']}/out", labelled + "---\n" + main,
			[]string{
				mountOf(`"subPathExpr":"$(PIPELINE_STORAGE_POD_LABEL_WORKFLOWS_ARGOPROJ_IO_WORKFLOW)/out"`),
				`add /spec/containers/0/env [` + labelEnv + `]`,
			},
		},
		"all of them, one of them twice": {
			"{namespace}/{pod.name}/{pod.labels['" + workflowLabel + "']}-{pod.name}", labelled + "---\n" + main,
			[]string{
				mountOf(
					`"subPathExpr":"ml/$(PIPELINE_STORAGE_POD_NAME)/` +
						`$(PIPELINE_STORAGE_POD_LABEL_WORKFLOWS_ARGOPROJ_IO_WORKFLOW)-$(PIPELINE_STORAGE_POD_NAME)"`,
				),
				`add /spec/containers/0/env [` + podNameEnv + "," + labelEnv + `]`,
			},
		},
		"a dollar is no variable": {
			"$(HOME)/{pod.name}", labeled + "---\n" + main,
			[]string{
				mountOf(`"subPathExpr":"$$(HOME)/$(PIPELINE_STORAGE_POD_NAME)"`),
				`add /spec/containers/0/env [` + podNameEnv + `]`,
			},
		},
		"a dollar without variables stays": {
			"$(HOME)", labeled + "---\n" + main, []string{mountOf(`"subPath":"$(HOME)"`)},
		},
		"variables come before the pod's": {
			"{pod.name}", labeled + "---\ncontainers: [{name: main, env: [{name: A, value: b}]}]\n",
			[]string{mountOf(`"subPathExpr":"$(PIPELINE_STORAGE_POD_NAME)"`), `add /spec/containers/0/env/0 ` + podNameEnv},
		},
		"a variable that is there is used": {
			"{pod.name}", labeled + "---\ncontainers: [{name: main, env: [" + podNameEnv + "]}]\n",
			[]string{mountOf(`"subPathExpr":"$(PIPELINE_STORAGE_POD_NAME)"`)},
		},
		"an annotation narrows": {
			"{pod.name}", labeled + "annotations: {pipeline-storage.io/sub-path: out}\n---\n" + main,
			[]string{
				mountOf(`"subPathExpr":"$(PIPELINE_STORAGE_POD_NAME)/out"`),
				`add /spec/containers/0/env [` + podNameEnv + `]`,
			},
		},
		"what is mounted needs no variable": {
			"{pod.name}",
			labeled + "---\ncontainers: [{name: main, volumeMounts: [{name: mine, mountPath: /mine}]}]\nvolumes: [{name: " +
				"mine, persistentVolumeClaim: {claimName: CLAIM}}]\n",
			[]string{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			isVolumeOrAnnotation := func(line string) bool {
				return strings.HasPrefix(line, "add /spec/volumes") || strings.HasPrefix(line, "add /metadata")
			}
			paths := map[string]func() ([]string, inject.Result){
				"rendered": func() ([]string, inject.Result) {
					config, document := injecttest.Load(t, withSubPath(tt.subPath)), injecttest.Pod(
						t, strings.ReplaceAll(tt.pod, "CLAIM", "pvc-data-pipeline.demo"),
					)
					result := patch(t, config, document)
					assert.Empty(t, patch(t, config, injecttest.Apply(t, document, result)).Operations)
					return lines(t, result), result
				},
				"admitted": func() ([]string, inject.Result) {
					if strings.Contains(tt.subPath, "{{") {
						return nil, inject.Result{}
					}
					config, document := injecttest.LoadForAdmission(t, withSubPath(tt.subPath)), injecttest.Pod(
						t, strings.ReplaceAll(tt.pod, "CLAIM", "pvc-data-pipeline"),
					)
					result := admit(t, config, document, nil)
					assert.Empty(t, admit(t, config, injecttest.Apply(t, document, result), nil).Operations)
					return lines(t, result), result
				},
			}
			for path, decide := range paths {
				operations, result := decide()
				require.Nil(t, result.Refused(), path)
				var got []string
				for _, line := range operations {
					if !isVolumeOrAnnotation(line) {
						got = append(got, line)
					}
				}
				if tt.exp != nil {
					assert.ElementsMatch(t, tt.exp, got, path)
				}
			}
		})
	}
	config := injecttest.Load(t, withSubPath("{{workflow.name}}"))
	assert.Contains(t, lines(t, patch(t, config, injecttest.Pod(t, main))), mountOf(`"subPath":"{{workflow.name}}"`))
}

// TestDirectoriesThatAreRefused holds that no pod mounts the parent of all directories, and none
// breaks.
func TestDirectoriesThatAreRefused(t *testing.T) {
	const byLabel = "{pod.labels['" + workflowLabel + "']}"
	template := func(group, kind, place string) string {
		return "apiVersion: " + group + "\nkind: " + kind + "\nmetadata: {name: x}\nspec: " + strings.ReplaceAll(
			place, "TEMPLATE", "{spec: {containers: [{name: main}]}}",
		) + "\n"
	}
	for name, tt := range map[string]struct {
		subPath, document, exp string // no exp: accepted
	}{
		"a label that the pod lacks": {
			byLabel, "apiVersion: v1\nkind: Pod\nspec: {containers: [{name: main}]}\n",
			`container "main": mount.subPath ` + byLabel + `: the pod has no label ` + workflowLabel +
				`, and without it all pods would share one directory: add the label to the pod template`,
		},
		"a label that is empty": {
			byLabel,
			"apiVersion: v1\nkind: Pod\nmetadata: {labels: {" + workflowLabel + ": ''}}\nspec: {containers: [{name: main}]}\n",
			"the pod has no label",
		},
		"a label that a Job's controller adds": {
			"{pod.labels['job-name']}", template("batch/v1", "Job", "{template: TEMPLATE}"), "",
		},
		"which a Deployment's does not": {
			"{pod.labels['job-name']}", template("apps/v1", "Deployment", "{template: TEMPLATE}"),
			"the pod has no label job-name",
		},
		"nor that of a Job of another group": {
			"{pod.labels['job-name']}", template("example.com/v1", "Job", "{template: TEMPLATE}"),
			"the pod has no label job-name",
		},
		"a label that KubeRay adds to a cluster": {
			"{pod.labels['ray.io/cluster']}",
			template("ray.io/v1", "RayJob", "{rayClusterSpec: {headGroupSpec: {template: TEMPLATE}}}"), "",
		},
		"and not to the pod that submits the job": {
			"{pod.labels['ray.io/cluster']}", template("ray.io/v1", "RayJob", "{submitterPodTemplate: TEMPLATE}"),
			"the pod has no label ray.io/cluster",
		},
		"nor to a scheduled one's": {
			"{pod.labels['ray.io/cluster']}",
			template("ray.io/v1", "RayCronJob", "{jobTemplate: {submitterPodTemplate: TEMPLATE}}"),
			"the pod has no label ray.io/cluster",
		},
		"but to a scheduled job's cluster": {
			"{pod.labels['ray.io/cluster']}",
			template("ray.io/v1", "RayCronJob", "{jobTemplate: {rayClusterSpec: {headGroupSpec: {template: TEMPLATE}}}}"),
			"",
		},
		"a scheduled Spark application's": {
			"{pod.labels['sparkoperator.k8s.io/app-name']}",
			template("sparkoperator.k8s.io/v1beta2", "ScheduledSparkApplication", "{template: {driver: {cores: 1}}}"),
			"",
		},
		"a training runtime's": {
			"{pod.labels['jobset.sigs.k8s.io/jobset-name']}",
			template(
				"trainer.kubeflow.org/v1alpha1", "TrainingRuntime",
				"{template: {spec: {replicatedJobs: [{name: node, template: {spec: {template: TEMPLATE}}}]}}}",
			),
			"",
		},
		"a training runtime's of the cluster": {
			"{pod.labels['job-name']}",
			template(
				"trainer.kubeflow.org/v1alpha1", "ClusterTrainingRuntime",
				"{template: {spec: {replicatedJobs: [{name: node, template: {spec: {template: TEMPLATE}}}]}}}",
			),
			"",
		},
		"a training job's": {
			"{pod.labels['training.kubeflow.org/replica-index']}",
			template("kubeflow.org/v1", "PyTorchJob", "{pytorchReplicaSpecs: {Worker: {template: TEMPLATE}}}"), "",
		},
		"an MPI job's": {
			"{pod.labels['training.kubeflow.org/job-name']}",
			template("kubeflow.org/v2beta1", "MPIJob", "{mpiReplicaSpecs: {Launcher: {template: TEMPLATE}}}"), "",
		},
		"but not what only some of its pods have": {
			"{pod.labels['training.kubeflow.org/replica-index']}",
			template("kubeflow.org/v2beta1", "MPIJob", "{mpiReplicaSpecs: {Worker: {template: TEMPLATE}}}"),
			"the pod has no label",
		},
		"a leader's": {
			"{pod.labels['leaderworkerset.sigs.k8s.io/group-index']}/{pod.labels['leaderworkerset.sigs.k8s.io/worker-index']}",
			template(
				"leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet",
				"{leaderWorkerTemplate: {leaderTemplate: TEMPLATE, workerTemplate: TEMPLATE}}",
			),
			"",
		},
		"a Tekton task run's": {
			"{pod.labels['tekton.dev/taskRun']}",
			template("tekton.dev/v1", "TaskRun", "{taskSpec: {steps: [{name: main}]}}"), "",
		},
		"which belongs to no pipeline run": {
			"{pod.labels['tekton.dev/pipelineRun']}",
			template("tekton.dev/v1", "TaskRun", "{taskSpec: {steps: [{name: main}]}}"),
			"the pod has no label tekton.dev/pipelineRun",
		},
		"a Tekton pipeline run's": {
			"{pod.labels['tekton.dev/pipelineRun']}",
			template(
				"tekton.dev/v1", "PipelineRun", "{pipelineSpec: {tasks: [{name: a, taskSpec: {steps: [{name: main}]}}]}}",
			),
			"",
		},
		"a Volcano job's": {
			"{pod.labels['volcano.sh/task-index']}",
			template("batch.volcano.sh/v1alpha1", "Job", "{tasks: [{template: TEMPLATE}]}"), "",
		},
		"an index that a Job may not have": {
			"{pod.labels['batch.kubernetes.io/job-completion-index']}",
			template("batch/v1", "Job", "{completionMode: Indexed, template: TEMPLATE}"),
			"only pods of a Job with completionMode: Indexed get it: if this is one, leave the pod to the webhook",
		},
		"a Spark driver takes variables": {
			"{pod.name}", template("sparkoperator.k8s.io/v1beta2", "SparkApplication", "{driver: {cores: 1}}"), "",
		},
		"a container of Argo's would miss variables": {
			"{pod.name}",
			template("argoproj.io/v1alpha1", "Workflow", "{templates: [{name: a, container: {image: x}}]}"),
			"copies mounts to a container of its own",
		},
		"a Rollout is Argo's and copies nothing": {
			"{pod.name}", template("argoproj.io/v1alpha1", "Rollout", "{template: TEMPLATE}"), "",
		},
		"nor for a placeholder of Argo's own": {
			"{{pod.name}}", template(
				"argoproj.io/v1alpha1", "Workflow", "{templates: [{name: a, container: {name: main, image: x}}]}",
			), "",
		},
		"a label that leads out of its directory": {
			byLabel, "apiVersion: v1\nkind: Pod\nmetadata: {labels: {" + workflowLabel + ": ../../other}}\n" +
				"spec: {containers: [{name: main}]}\n",
			byLabel + ` is "../../other" here, which is not the name of a directory`,
		},
		"Argo fills its own": {
			"{{workflow.name}}",
			template("argoproj.io/v1alpha1", "Workflow", "{templates: [{name: a, container: {image: x}}]}"), "",
		},
		"the name of the variable is taken by a text": {
			"{pod.name}",
			"apiVersion: v1\nkind: Pod\nspec: {containers: [{name: main, env: [{name: PIPELINE_STORAGE_POD_NAME, value: " +
				"x}]}]}\n",
			`container "main": environment variable PIPELINE_STORAGE_POD_NAME, which mount.subPath needs for metadata.name, ` +
				`is set to something else`,
		},
		"the name of the variable is another field's": {
			"{pod.name}",
			"apiVersion: v1\nkind: Pod\nspec: {containers: [{name: main, env: [{name: PIPELINE_STORAGE_POD_NAME, " +
				"valueFrom: {fieldRef: {fieldPath: metadata.uid}}}]}]}\n",
			"is set to something else",
		},
		"two labels whose variables have one name": {
			"{pod.labels['a.b']}/{pod.labels['a-b']}",
			"apiVersion: v1\nkind: Pod\nmetadata: {labels: {a.b: one, a-b: two}}\nspec: {containers: [{name: main}]}\n",
			"is set to something else",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "Argo fills its own" || name == "a container of Argo's would miss variables" {
				tt.document = strings.Replace(tt.document, "{image: x}", "{name: main, image: x}", 1)
			}
			config := injecttest.Load(t, withSubPath(tt.subPath))
			config.Kinds = append(config.Kinds,
				kinds.Kind{Group: "example.com", Kind: "Job", Pods: []kinds.PodPaths{{PodTemplate: "spec.template"}}},
				kinds.Kind{Group: "argoproj.io", Kind: "Rollout", Pods: []kinds.PodPaths{{PodTemplate: "spec.template"}}})
			result := patch(t, config, injecttest.Decode(t, tt.document))
			if tt.exp == "" {
				require.Nil(t, result.Refused())
				assert.NotEmpty(t, result.Operations)
				return
			}
			require.NotNil(t, result.Refused())
			assert.Contains(t, result.Refused().Message, tt.exp)
			assert.Empty(t, result.Operations)
		})
	}
}

func TestAdmissionRefusesAMissingLabel(t *testing.T) {
	config := injecttest.LoadForAdmission(t, withSubPath("{pod.labels['job-name']}"))
	result := admit(t, config, injecttest.Pod(t, labeled+"---\n"+main), nil)
	require.NotNil(t, result.Refused())
	assert.Equal(t,
		`container "main": mount.subPath {pod.labels['job-name']}: the pod has no label job-name, and without it all pods `+
			`would share one directory: add the label to the pod`,
		result.Refused().Message)
}

func TestSubPathPlaceholdersAreChecked(t *testing.T) {
	for subPath, exp := range map[string]string{
		"{pod.names}":              "{pod.names} is not a placeholder: there are " + storage.PlaceholderPatterns(),
		"{pod.labels[job-name]}":   "is not a placeholder",
		"{pod.labels['job name']}": "{pod.labels['job name']} names no label",
		"{pod.labels['../..']}":    "names no label",
		"runs/{pod.name":           "has a brace without the other one",
		"{pod.name}/../other":      "without two dots",
		"/{pod.name}":              "must be a relative path",
	} {
		_, _, err := storage.Load([]byte(injecttest.FileHead + withSubPath(subPath)))
		require.ErrorContains(t, err, exp, subPath)
		require.ErrorContains(t, err, "profiles[0].mount.subPath", subPath)
	}
	for subPath, exp := range map[string]string{
		"{release}":         "at admission no release is known",
		"{{workflow.name}}": "at admission nothing fills {{…}}",
	} {
		_, _, err := storage.LoadForAdmission([]byte(injecttest.FileHead + withSubPath(subPath)))
		require.ErrorContains(t, err, exp)
	}
	_, _, err := storage.Load(
		[]byte(injecttest.FileHead + "profiles: [{name: default, env: PIPELINE_STORAGE_POD_NAME}]\n"),
	)
	require.ErrorContains(t, err, "begins with PIPELINE_STORAGE_POD_")

	result := patch(t, injecttest.Load(t, withSubPath("team")), annotated(t, "sub-path: {pod.name}"))
	assert.Contains(t, result.Refused().Message, "placeholders are for mount.subPath of the profile only")

	config := injecttest.Load(
		t, `profiles: [{name: default, claim: {name: theirs, create: false}, mount: {subPath: "{release}"}}]`+"\n",
	)
	objects := injecttest.Find(t, config, injecttest.Pod(t, labeled+"---\n"+main))
	result = inject.Patch(config, inject.Request{}, objects[0].Pods...)
	assert.Contains(
		t, result.Refused().Message,
		"the value of {release} is not known here: with postrender, add --namespace NAMESPACE --release RELEASE",
	)
}
