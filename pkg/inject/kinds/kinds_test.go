package kinds_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/internal/injecttest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// summary is where the pods of an object are, one line each.
func summary(o kinds.Object) []string {
	var out []string
	for _, p := range o.Pods {
		var containers []string
		for _, c := range p.Containers {
			containers = append(containers, c.Name+"="+c.Path)
		}
		line := fmt.Sprintf("pod=%s volumes=%s context=%s replicas=%d app=%s %s",
			p.Path, p.VolumesPath, p.SecurityContextPath, p.Replicas, p.Labels["app"], strings.Join(containers, " "))
		if len(p.ExternalContainers) > 0 {
			line += " external=" + strings.Join(p.ExternalContainers, ",")
		}
		if p.Label != nil {
			line += " label=" + strings.Join(append([]string{p.Label.Path}, p.Label.Missing...), "+")
		}
		out = append(out, line)
	}
	return out
}

// podTemplate is a flow-style PodTemplateSpec with the label app.
func podTemplate(app string, containers ...string) string {
	return fmt.Sprintf("{metadata: {labels: {app: %s}}, spec: {containers: [%s]}}", app, strings.Join(containers, ", "))
}

// templateAt is the summary of a pod template with the label app and one container, main, and of
// its label.
func templateAt(path, app string, replicas int, more ...string) string {
	return strings.Join(append([]string{fmt.Sprintf("pod=%[1]s volumes=%[1]s/spec/volumes "+
		"context=%[1]s/spec/securityContext replicas=%[2]d app=%[3]s main=%[1]s/spec/containers/0",
		path, replicas, app)}, more...), " ")
}

// trainJobs is where a TrainJob patches the jobs of its runtime.
const trainJobs = "/spec/runtimePatches/0/trainingRuntimeSpec/template/spec/replicatedJobs"

// replicaSpecs are the body and the summary of a job of the training operator, whose roles are a
// map.
func replicaSpecs(field string) (body string, exp []string) {
	return "spec: {" + field + ": {Worker: {replicas: 4, template: " + podTemplate("w", "{name: main}") +
			"}, Master: {template: " + podTemplate("m", "{name: main}") + "}}}",
		[]string{
			templateAt("/spec/"+field+"/Master/template", "m", 1), templateAt("/spec/"+field+"/Worker/template", "w", 4),
		}
}

func TestFindBuiltinKinds(t *testing.T) {
	main := podTemplate("a", "{name: main}")
	const (
		mainAt = "main=/spec/template/spec/containers/0"
		argo   = "{name: etl, metadata: {labels: {app: a}}, initContainers: [{name: i}], container: {image: x}, " +
			"sidecars: [{name: s}]}"
		argoEnd = "pod=%[1]s/templates/0 volumes=%[1]s/templates/0/volumes context=%[1]s/templates/0/securityContext " +
			"replicas=1 app=a " +
			"i=%[1]s/templates/0/initContainers/0 main=%[1]s/templates/0/container s=%[1]s/templates/0/sidecars/0"
		ray = "{headGroupSpec: {template: %s}, workerGroupSpecs: [{replicas: 3, template: %s}, {template: %s}]}"
	)
	rayAt := func(cluster string) []string {
		head, workers := cluster+"/headGroupSpec/template", cluster+"/workerGroupSpecs/"
		return []string{
			"pod=" + head + " volumes=" + head + "/spec/volumes context=" + head +
				"/spec/securityContext replicas=1 app=h main=" + head + "/spec/containers/0",
			"pod=" + workers + "0/template volumes=" + workers + "0/template/spec/volumes context=" + workers +
				"0/template/spec/securityContext replicas=3 app=w main=" + workers + "0/template/spec/containers/0",
			"pod=" + workers + "1/template volumes=" + workers + "1/template/spec/volumes context=" + workers +
				"1/template/spec/securityContext replicas=1 app=x main=" + workers + "1/template/spec/containers/0",
		}
	}
	rayCluster := fmt.Sprintf(
		ray, podTemplate("h", "{name: main}"), podTemplate("w", "{name: main}"), podTemplate("x", "{name: main}"),
	)
	template := func(replicas int) []string {
		return []string{
			fmt.Sprintf(
				"pod=/spec/template volumes=/spec/template/spec/volumes context=/spec/template/spec/securityContext "+
					"replicas=%d app=a %s",
				replicas, mainAt,
			),
		}
	}
	type object struct {
		apiVersion, body          string
		exp                       []string
		expPerNode, expIsDeferred bool
	}
	objects := map[string]object{
		"Pod": {
			apiVersion: "v1", body: "metadata: {name: p, labels: {app: a}}\nspec: {initContainers: [{name: i}], " +
				"containers: [{name: main}], ephemeralContainers: [{name: debug}]}",
			exp: []string{
				"pod= volumes=/spec/volumes context=/spec/securityContext replicas=1 app=a i=/spec/initContainers/0 " +
					"main=/spec/containers/0",
			},
		},
		"PodTemplate": {
			apiVersion: "v1", body: "template: " + main, expIsDeferred: true,
			exp: []string{
				"pod=/template volumes=/template/spec/volumes context=/template/spec/securityContext replicas=1 app=a " +
					"main=/template/spec/containers/0",
			},
		},
		"ReplicationController": {apiVersion: "v1", body: "spec: {replicas: 2, template: " + main + "}", exp: template(2)},
		"Deployment": {
			apiVersion: "apps/v1", body: "spec: {replicas: 5, template: " + main + "}", exp: template(5),
		},
		"ReplicaSet": {
			apiVersion: "apps/v1", body: "spec: {replicas: 0, template: " + main + "}", exp: template(0),
		},
		"StatefulSet": {
			apiVersion: "apps/v1",
			body:       "spec: {replicas: 3, volumeClaimTemplates: [{metadata: {name: db}}], template: " + main + "}",
			exp:        template(3),
		},
		"DaemonSet": {
			apiVersion: "apps/v1", body: "spec: {template: " + main + "}", exp: template(1), expPerNode: true,
		},
		"Job": {
			apiVersion: "batch/v1", body: "spec: {parallelism: 4, completions: 9, template: " + main + "}",
			exp: template(4),
		},
		"CronJob": {
			apiVersion: "batch/v1", body: "spec: {jobTemplate: {spec: {parallelism: 2, template: " + main +
				"}}}", expIsDeferred: true,
			exp: []string{"pod=/spec/jobTemplate/spec/template volumes=/spec/jobTemplate/spec/template/spec/volumes " +
				"context=/spec/jobTemplate/spec/template/spec/securityContext replicas=2 app=a " +
				"main=/spec/jobTemplate/spec/template/spec/containers/0"},
		},
		"Workflow": {
			apiVersion: "argoproj.io/v1alpha1", body: "spec: {templates: [" + argo + "]}",
			exp: []string{fmt.Sprintf(argoEnd, "/spec")},
		},
		"WorkflowTemplate": {
			apiVersion: "argoproj.io/v1alpha1", body: "spec: {templates: [" + argo + "]}",
			exp: []string{fmt.Sprintf(argoEnd, "/spec")}, expIsDeferred: true,
		},
		"ClusterWorkflowTemplate": {
			apiVersion: "argoproj.io/v1alpha1", body: "spec: {templates: [" + argo + "]}",
			exp: []string{fmt.Sprintf(argoEnd, "/spec")}, expIsDeferred: true,
		},
		"CronWorkflow": {
			apiVersion: "argoproj.io/v1alpha1", body: "spec: {workflowSpec: {templates: [" + argo + "]}}",
			exp: []string{fmt.Sprintf(argoEnd, "/spec/workflowSpec")}, expIsDeferred: true,
		},
		"RayCluster": {apiVersion: "ray.io/v1", body: "spec: " + rayCluster, exp: rayAt("/spec")},
		"RayService": {
			apiVersion: "ray.io/v1", body: "spec: {rayClusterConfig: " + rayCluster + "}",
			exp: rayAt("/spec/rayClusterConfig"),
		},
		"RayJob": {
			apiVersion: "ray.io/v1", body: "spec: {rayClusterSpec: " + rayCluster + ", submitterPodTemplate: " + main + "}",
			exp: append(rayAt("/spec/rayClusterSpec"), "pod=/spec/submitterPodTemplate "+
				"volumes=/spec/submitterPodTemplate/spec/volumes "+
				"context=/spec/submitterPodTemplate/spec/securityContext replicas=1 app=a "+
				"main=/spec/submitterPodTemplate/spec/containers/0"),
		},
		"JobSet": {
			apiVersion: "jobset.x-k8s.io/v1alpha2",
			body: "spec: {replicatedJobs: [{replicas: 2, template: {spec: {parallelism: 3, template: " + main + "}}}, " +
				"{template: {spec: {parallelism: 7, template: " + podTemplate("b", "{name: main}") + "}}}]}",
			exp: []string{
				"pod=/spec/replicatedJobs/0/template/spec/template " +
					"volumes=/spec/replicatedJobs/0/template/spec/template/spec/volumes " +
					"context=/spec/replicatedJobs/0/template/spec/template/spec/securityContext replicas=6 app=a " +
					"main=/spec/replicatedJobs/0/template/spec/template/spec/containers/0",
				"pod=/spec/replicatedJobs/1/template/spec/template " +
					"volumes=/spec/replicatedJobs/1/template/spec/template/spec/volumes " +
					"context=/spec/replicatedJobs/1/template/spec/template/spec/securityContext replicas=7 app=b " +
					"main=/spec/replicatedJobs/1/template/spec/template/spec/containers/0",
			},
		},
		"SparkApplication": {
			apiVersion: "sparkoperator.k8s.io/v1beta2",
			body: "spec:\n  driver: {cores: 1, labels: {app: d}, initContainers: [{name: i}], sidecars: [{name: s}]}\n" +
				"  executor: {instances: 8, labels: {app: e}}",
			exp: []string{
				"pod=/spec/driver volumes=/spec/volumes context=/spec/driver/podSecurityContext replicas=1 app=d " +
					"i=/spec/driver/initContainers/0 spark-kubernetes-driver=/spec/driver s=/spec/driver/sidecars/0",
				"pod=/spec/executor volumes=/spec/volumes context=/spec/executor/podSecurityContext replicas=8 app=e " +
					"spark-kubernetes-executor=/spec/executor",
			},
		},
		"RayCronJob": {
			apiVersion: "ray.io/v1", body: "spec: {jobTemplate: {rayClusterSpec: " + rayCluster +
				", submitterPodTemplate: " + main + "}}", expIsDeferred: true,
			exp: append(
				rayAt("/spec/jobTemplate/rayClusterSpec"), templateAt("/spec/jobTemplate/submitterPodTemplate", "a", 1),
			),
		},
		"ScheduledSparkApplication": {
			apiVersion: "sparkoperator.k8s.io/v1beta2", expIsDeferred: true,
			body: "spec: {template: {driver: {labels: {app: d}}, executor: {instances: 2, labels: {app: e}}}}",
			exp: []string{
				"pod=/spec/template/driver volumes=/spec/template/volumes context=/spec/template/driver/podSecurityContext " +
					"replicas=1 app=d spark-kubernetes-driver=/spec/template/driver",
				"pod=/spec/template/executor volumes=/spec/template/volumes " +
					"context=/spec/template/executor/podSecurityContext replicas=2 app=e " +
					"spark-kubernetes-executor=/spec/template/executor",
			},
		},
		"SparkConnect": {
			apiVersion: "sparkoperator.k8s.io/v1alpha1", body: "spec: {server: {template: " + main +
				"}, executor: {instances: 3}}",
			exp: []string{
				templateAt("/spec/server/template", "a", 1, "label=/spec/server/template/metadata/labels"),
				"pod=/spec/executor/template volumes= context= replicas=3 app=  label=/spec+sparkConf",
			},
		},
		"SparkApplication.spark.apache.org": {
			apiVersion: "spark.apache.org/v1", body: "spec: {sparkConf: {x: y}, executorSpec: {podTemplateSpec: " + main +
				"}}",
			exp: []string{
				"pod=/spec/driverSpec/podTemplateSpec volumes= context= replicas=1 app=  label=/spec/sparkConf",
				templateAt("/spec/executorSpec/podTemplateSpec", "a", 1, "label=/spec/sparkConf"),
			},
		},
		"SparkCluster": {
			apiVersion: "spark.apache.org/v1",
			body: "spec: {clusterTolerations: {instanceConfig: {initWorkers: 5}}, masterSpec: {statefulSetSpec: " +
				"{template: {metadata: {}, spec: {containers: [{name: master}]}}}}, " +
				"workerSpec: {statefulSetSpec: {template: {spec: {containers: [{name: main}]}}}}}",
			exp: []string{
				strings.Replace(
					templateAt(
						"/spec/masterSpec/statefulSetSpec/template", "", 1,
						"label=/spec/masterSpec/statefulSetSpec/template/metadata+labels",
					),
					"main=", "master=", 1,
				),
				templateAt(
					"/spec/workerSpec/statefulSetSpec/template", "", 5,
					"external=worker label=/spec/workerSpec/statefulSetSpec/template+metadata+labels",
				),
			},
		},
		"Task": {
			apiVersion: "tekton.dev/v1", expIsDeferred: true,
			body: "metadata: {labels: {app: t}}\nspec: {steps: [{name: a}, {name: b, ref: {name: x}}, {image: c}], " +
				"sidecars: [{name: s}]}",
			exp: []string{
				"pod=/spec volumes=/spec/volumes context= replicas=1 app=t a=/spec/steps/0 2=/spec/steps/2 " +
					"s=/spec/sidecars/0 external=b label=/metadata/labels",
			},
		},
		"TaskRun": {
			apiVersion: "tekton.dev/v1", body: "metadata: {labels: {app: t}}\nspec: {podTemplate: {}, taskRef: {name: " +
				"x}, taskSpec: {steps: [{name: a}]}}",
			exp: []string{
				"pod=/spec/taskSpec volumes=/spec/taskSpec/volumes context=/spec/podTemplate/securityContext replicas=1 " +
					"app=t a=/spec/taskSpec/steps/0 label=/metadata/labels",
				"pod=/spec/taskRef volumes= context= replicas=1 app=t  label=/metadata/labels",
			},
		},
		"Pipeline": {
			apiVersion: "tekton.dev/v1", expIsDeferred: true,
			body: "metadata: {name: p}\nspec: {tasks: [{taskRef: {name: x}}, {taskSpec: {metadata: {labels: {app: i}}, " +
				"steps: [{name: a}]}}], finally: [{taskSpec: {steps: [{name: z}]}}]}",
			exp: []string{
				"pod=/spec/tasks/1/taskSpec volumes=/spec/tasks/1/taskSpec/volumes context= replicas=1 app=i " +
					"a=/spec/tasks/1/taskSpec/steps/0 label=/spec/tasks/1/taskSpec/metadata/labels",
				"pod=/spec/tasks/0/taskRef volumes= context= replicas=1 app=  label=/metadata+labels",
				"pod=/spec/finally/0/taskSpec volumes=/spec/finally/0/taskSpec/volumes context= replicas=1 app= " +
					"z=/spec/finally/0/taskSpec/steps/0 label=/spec/finally/0/taskSpec+metadata+labels",
			},
		},
		"PipelineRun": {
			apiVersion: "tekton.dev/v1",
			body: "spec: {taskRunTemplate: {podTemplate: {}}, pipelineRef: {name: p}, pipelineSpec: {tasks: " +
				"[{taskSpec: {steps: [{name: a}]}}]}}",
			exp: []string{
				"pod=/spec/pipelineSpec/tasks/0/taskSpec volumes=/spec/pipelineSpec/tasks/0/taskSpec/volumes " +
					"context=/spec/taskRunTemplate/podTemplate/securityContext " +
					"replicas=1 app= a=/spec/pipelineSpec/tasks/0/taskSpec/steps/0 " +
					"label=/spec/pipelineSpec/tasks/0/taskSpec+metadata+labels",
				"pod=/spec/pipelineRef volumes= context= replicas=1 app=  label=+metadata+labels",
			},
		},
		"StepAction": {apiVersion: "tekton.dev/v1beta1", body: "spec: {image: x}", expIsDeferred: true},
		"TrainingRuntime": {
			apiVersion: "trainer.kubeflow.org/v1alpha1", expIsDeferred: true,
			body: "spec: {template: {spec: {replicatedJobs: [{name: node, replicas: 2, template: {spec: {parallelism: 3, " +
				"template: " + main + "}}}]}}}",
			exp: []string{templateAt("/spec/template/spec/replicatedJobs/0/template/spec/template", "a", 6)},
		},
		"ClusterTrainingRuntime": {
			apiVersion: "trainer.kubeflow.org/v1alpha1", expIsDeferred: true,
			body: "spec: {template: {spec: {replicatedJobs: [{name: node, template: {spec: {template: " + main + "}}}]}}}",
			exp:  []string{templateAt("/spec/template/spec/replicatedJobs/0/template/spec/template", "a", 1)},
		},
		"TrainJob": {
			apiVersion: "trainer.kubeflow.org/v1alpha1",
			body: "spec: {runtimePatches: [{trainingRuntimeSpec: {template: {spec: {replicatedJobs: [{name: node, " +
				"template: {spec: {template: {spec: {}}}}}, " +
				"{name: other, template: {spec: {template: " + main +
				"}}}]}}}}], podTemplateOverrides: [{targetJobs: [{name: node}], spec: {}}]}",
			exp: []string{
				"pod=" + trainJobs + "/0/template/spec/template volumes= context= replicas=1 app=  " +
					"label=" + trainJobs + "/0/template/spec/template+metadata+labels",
				templateAt(trainJobs+"/1/template/spec/template", "a", 1,
					"label="+trainJobs+"/1/template/spec/template/metadata/labels"),
				"pod=/spec/podTemplateOverrides/0 volumes= context= replicas=1 app=  " +
					"label=/spec/podTemplateOverrides/0+metadata+labels",
			},
		},
		"LeaderWorkerSet": {
			apiVersion: "leaderworkerset.x-k8s.io/v1",
			body: "spec: {replicas: 2, leaderWorkerTemplate: {size: 3, leaderTemplate: " +
				podTemplate("l", "{name: main}") + ", workerTemplate: " + main + "}}",
			exp: []string{
				templateAt("/spec/leaderWorkerTemplate/leaderTemplate", "l", 2),
				templateAt("/spec/leaderWorkerTemplate/workerTemplate", "a", 6),
			},
		},
		"Job.batch.volcano.sh": {
			apiVersion: "batch.volcano.sh/v1alpha1", body: "spec: {tasks: [{template: " + main +
				"}, {replicas: 3, template: " + podTemplate("b", "{name: main}") + "}]}",
			exp: []string{templateAt("/spec/tasks/0/template", "a", 1), templateAt("/spec/tasks/1/template", "b", 3)},
		},
		"CronJob.batch.volcano.sh": {
			apiVersion: "batch.volcano.sh/v1alpha1",
			body:       "spec: {jobTemplate: {spec: {tasks: [{replicas: 2, template: " + main + "}]}}}", expIsDeferred: true,
			exp: []string{templateAt("/spec/jobTemplate/spec/tasks/0/template", "a", 2)},
		},
		"JobTemplate": {
			apiVersion: "flow.volcano.sh/v1alpha1", body: "spec: {tasks: [{template: " + main + "}]}", expIsDeferred: true,
			exp: []string{templateAt("/spec/tasks/0/template", "a", 1)},
		},
		"JobFlow": {apiVersion: "flow.volcano.sh/v1alpha1", body: "spec: {flows: [{name: a}]}"},
		"Notebook": {
			apiVersion: "kubeflow.org/v1", body: "metadata: {labels: {app: nb}}\nspec: {template: {spec: {containers: " +
				"[{name: main}]}}}",
			exp: []string{templateAt("/spec/template", "nb", 1)},
		},
		"InferenceService": {
			apiVersion: "serving.kserve.io/v1beta1",
			body: "metadata: {labels: {app: i}}\nspec: {predictor: {minReplicas: 2, labels: {app: p}, model: {}, " +
				"containers: [{name: c}], workerSpec: {}}, " +
				"transformer: {containers: [{name: t}]}, explainer: {art: {}}, canary: [{predictor: {sklearn: {}}}]}",
			exp: []string{
				"pod=/spec/predictor volumes=/spec/predictor/volumes context=/spec/predictor/securityContext replicas=2 " +
					"app=p kserve-container=/spec/predictor/model c=/spec/predictor/containers/0 label=/spec/predictor/labels",
				"pod=/spec/predictor/workerSpec volumes= context= replicas=1 app=p  label=/spec/predictor/labels",
				"pod=/spec/transformer volumes=/spec/transformer/volumes context=/spec/transformer/securityContext " +
					"replicas=1 app=i t=/spec/transformer/containers/0 label=/spec/transformer+labels",
				"pod=/spec/explainer volumes=/spec/explainer/volumes context=/spec/explainer/securityContext replicas=1 " +
					"app=i kserve-container=/spec/explainer/art label=/spec/explainer+labels",
				"pod=/spec/canary/0/predictor volumes=/spec/canary/0/predictor/volumes " +
					"context=/spec/canary/0/predictor/securityContext replicas=1 app=i " +
					"kserve-container=/spec/canary/0/predictor/sklearn label=/spec/canary/0/predictor+labels",
			},
		},
		"ServingRuntime": {
			apiVersion: "serving.kserve.io/v1alpha1", body: "spec: {labels: {app: r}, containers: [{name: c}], " +
				"workerSpec: {containers: [{name: w}]}}", expIsDeferred: true,
			exp: []string{
				"pod=/spec volumes=/spec/volumes context= replicas=1 app=r c=/spec/containers/0",
				"pod=/spec/workerSpec volumes=/spec/workerSpec/volumes context= replicas=1 app= w=/spec/workerSpec/containers/0",
			},
		},
		"ClusterServingRuntime": {
			apiVersion: "serving.kserve.io/v1alpha1", body: "spec: {containers: [{name: c}]}", expIsDeferred: true,
			exp: []string{"pod=/spec volumes=/spec/volumes context= replicas=1 app= c=/spec/containers/0"},
		},
		"Workload": {apiVersion: "kueue.x-k8s.io/v1beta1", body: "spec: {podSets: [{template: " + main + "}]}"},
		"LLMInferenceService": {
			apiVersion: "serving.kserve.io/v1alpha2",
			body: "spec: {labels: {app: l}, replicas: 2, template: {initContainers: [{name: i}], containers: [{name: main}]}, " +
				"worker: {containers: [{name: x}]}, prefill: {template: {}}, router: {scheduler: {labels: {app: s}}}}",
			exp: []string{
				"pod=/spec volumes=/spec/template/volumes context=/spec/template/securityContext replicas=2 app=l " +
					"i=/spec/template/initContainers/0 main=/spec/template/containers/0 label=/spec/labels",
				"pod=/spec/worker volumes=/spec/worker/volumes context=/spec/worker/securityContext replicas=1 app=l " +
					"x=/spec/worker/containers/0 external=main label=/spec/labels",
				"pod=/spec/prefill volumes= context= replicas=1 app=l  external=main label=/spec/prefill+labels",
				"pod=/spec/router/scheduler volumes= context= replicas=1 app=s  external=main label=/spec/router/scheduler/labels",
			},
		},
		"LLMInferenceServiceConfig": {
			apiVersion: "serving.kserve.io/v1alpha2", expIsDeferred: true,
			body: "spec: {labels: {app: l}, template: {containers: [{name: main}]}, prefill: {labels: {app: p}, " +
				"worker: {containers: [{name: main}]}}, router: {scheduler: {template: {containers: [{name: main}]}}}}",
			exp: []string{
				"pod=/spec/template volumes=/spec/template/volumes context=/spec/template/securityContext replicas=1 app=l " +
					"main=/spec/template/containers/0",
				"pod=/spec/prefill/worker volumes=/spec/prefill/worker/volumes " +
					"context=/spec/prefill/worker/securityContext replicas=1 app=p main=/spec/prefill/worker/containers/0",
				"pod=/spec/router/scheduler/template volumes=/spec/router/scheduler/template/volumes " +
					"context=/spec/router/scheduler/template/securityContext replicas=1 app= " +
					"main=/spec/router/scheduler/template/containers/0",
			},
		},
		"DisaggregatedSet": {
			apiVersion: "disaggregatedset.x-k8s.io/v1",
			body: "spec: {roles: [{spec: {replicas: 2, leaderWorkerTemplate: {size: 4, leaderTemplate: " + main +
				", workerTemplate: " + main + "}}}, {spec: {leaderWorkerTemplate: {workerTemplate: " +
				podTemplate("b", "{name: main}") + "}}}]}",
			exp: []string{
				templateAt("/spec/roles/0/spec/leaderWorkerTemplate/leaderTemplate", "a", 2),
				templateAt("/spec/roles/0/spec/leaderWorkerTemplate/workerTemplate", "a", 8),
				templateAt("/spec/roles/1/spec/leaderWorkerTemplate/workerTemplate", "b", 1),
			},
		},
		"Rollout": {
			apiVersion: "argoproj.io/v1alpha1", body: "spec: {replicas: 3, template: " + main + "}", exp: template(3),
		},
		"EventSource": {
			apiVersion: "argoproj.io/v1alpha1",
			body:       "spec: {template: {metadata: {labels: {app: e}}, container: {env: []}}}",
			exp: []string{
				"pod=/spec/template volumes=/spec/template/volumes context=/spec/template/securityContext replicas=1 app=e " +
					"main=/spec/template/container label=/spec/template/metadata/labels",
			},
		},
		"Sensor": {
			apiVersion: "argoproj.io/v1alpha1", body: "spec: {dependencies: []}", expIsDeferred: true,
			exp: []string{
				"pod=/spec/template volumes= context= replicas=1 app=  label=/spec+template+metadata+labels",
			},
		},
		"ScheduledWorkflow": {
			apiVersion: "kubeflow.org/v1beta1", body: "spec: {workflow: {spec: {templates: [" + argo + "]}}}",
			exp: []string{fmt.Sprintf(argoEnd, "/spec/workflow/spec")}, expIsDeferred: true,
		},
		"DaskCluster": {
			apiVersion: "kubernetes.dask.org/v1",
			body: "metadata: {labels: {app: d}}\nspec: {worker: {replicas: 3, metadata: {labels: {app: w}}, " +
				"spec: {containers: [{name: main}]}}, scheduler: {spec: {containers: [{name: main}]}}}",
			exp: []string{templateAt("/spec/scheduler", "d", 1), templateAt("/spec/worker", "w", 3)},
		},
		"DaskWorkerGroup": {
			apiVersion: "kubernetes.dask.org/v1",
			body: "metadata: {labels: {app: d}}\nspec: {cluster: c, worker: {replicas: 2, spec: {containers: " +
				"[{name: main}]}}}",
			exp: []string{templateAt("/spec/worker", "d", 2)},
		},
		"DaskJob": {
			apiVersion: "kubernetes.dask.org/v1",
			body: "metadata: {labels: {app: j}}\nspec: {job: {spec: {containers: [{name: main}]}}, cluster: {metadata: " +
				"{labels: {app: c}}, spec: {worker: {replicas: 2, spec: {containers: [{name: main}]}}, scheduler: {spec: " +
				"{containers: [{name: main}]}}}}}",
			exp: []string{
				templateAt("/spec/job", "j", 1), templateAt("/spec/cluster/spec/scheduler", "c", 1),
				templateAt("/spec/cluster/spec/worker", "c", 2),
			},
		},
		"FlinkDeployment": {
			apiVersion: "flink.apache.org/v1beta1",
			body: "spec: {podTemplate: {metadata: {labels: {app: f}}}, jobManager: {podTemplate: {spec: {containers: " +
				"[{name: main}]}}}, taskManager: {replicas: 2, podTemplate: {metadata: {labels: {app: t}}, spec: {containers: " +
				"[{name: flink-main-container}]}}}}",
			exp: []string{
				"pod=/spec/podTemplate volumes= context= replicas=1 app=f  external=flink-main-container " +
					"label=/spec/podTemplate/metadata/labels",
				templateAt(
					"/spec/jobManager/podTemplate", "f", 1, "external=flink-main-container",
					"label=/spec/jobManager/podTemplate+metadata+labels",
				),
				"pod=/spec/taskManager/podTemplate volumes=/spec/taskManager/podTemplate/spec/volumes " +
					"context=/spec/taskManager/podTemplate/spec/securityContext replicas=2 app=t " +
					"flink-main-container=/spec/taskManager/podTemplate/spec/containers/0 " +
					"label=/spec/taskManager/podTemplate/metadata/labels",
			},
		},
		"Pipeline.numaflow.numaproj.io": {
			apiVersion: "numaflow.numaproj.io/v1alpha1",
			body: "spec: {templates: {vertex: {metadata: {labels: {app: v}}}, sideInputsManager: {metadata: {labels: " +
				"{app: s}}}}, sideInputs: [{container: {image: i}}], vertices: [{scale: {min: 2}, source: {generator: {}}}, " +
				"{metadata: {labels: {app: m}}, udf: {container: {image: i}}, sidecars: [{name: s}]}]}",
			exp: []string{
				"pod=/spec/vertices/0 volumes= context= replicas=2 app=v  label=/spec/vertices/0+metadata+labels",
				"pod=/spec/vertices/1 volumes=/spec/vertices/1/volumes context=/spec/vertices/1/securityContext replicas=1 " +
					"app=m udf=/spec/vertices/1/udf/container s=/spec/vertices/1/sidecars/0 " +
					"label=/spec/vertices/1/metadata/labels",
				"pod=/spec/sideInputs/0 volumes=/spec/sideInputs/0/volumes " +
					"context=/spec/templates/sideInputsManager/securityContext replicas=1 app=s " +
					"udsi=/spec/sideInputs/0/container",
			},
		},
		"MonoVertex": {
			apiVersion: "numaflow.numaproj.io/v1alpha1",
			body: "spec: {replicas: 2, metadata: {labels: {app: m}}, source: {udsource: {container: {image: i}}, transformer: " +
				"{container: {image: i}}}, sink: {udsink: {container: {image: i}}, fallback: {udsink: {container: {image: i}}}, " +
				"onSuccess: {udsink: {container: {image: i}}}}}",
			exp: []string{
				"pod=/spec volumes=/spec/volumes context=/spec/securityContext replicas=2 app=m " +
					"udsource=/spec/source/udsource/container transformer=/spec/source/transformer/container " +
					"udsink=/spec/sink/udsink/container fb-udsink=/spec/sink/fallback/udsink/container " +
					"ons-udsink=/spec/sink/onSuccess/udsink/container label=/spec/metadata/labels",
			},
		},
		"ScaledJob": {
			apiVersion: "keda.sh/v1alpha1", expIsDeferred: true,
			body: "spec: {maxReplicaCount: 5, jobTargetRef: {parallelism: 2, template: " + main + "}}",
			exp:  []string{templateAt("/spec/jobTargetRef/template", "a", 10)},
		},
		"AutoscalingRunnerSet": {
			apiVersion: "actions.github.com/v1alpha1",
			body: "spec: {maxRunners: 4, template: " + main + ", listenerTemplate: " +
				podTemplate("l", "{name: listener}") + "}",
			exp: []string{
				templateAt("/spec/template", "a", 4),
				"pod=/spec/listenerTemplate volumes= context= replicas=1 app=l ",
			},
		},
	}
	for kind, field := range map[string]string{
		"PyTorchJob": "pytorchReplicaSpecs", "TFJob": "tfReplicaSpecs", "MPIJob": "mpiReplicaSpecs",
		"XGBoostJob": "xgbReplicaSpecs", "PaddleJob": "paddleReplicaSpecs", "JAXJob": "jaxReplicaSpecs",
	} {
		body, exp := replicaSpecs(field)
		objects[kind] = object{apiVersion: "kubeflow.org/v1", body: body, exp: exp}
	}
	for name, tt := range objects {
		kind, _, _ := strings.Cut(name, ".") // kinds of two groups have their group behind a dot
		t.Run(name, func(t *testing.T) {
			objects := injecttest.Find(
				t, storage.Default(), injecttest.Decode(t, "apiVersion: "+tt.apiVersion+"\nkind: "+kind+"\n"+tt.body+"\n"),
			)
			require.Len(t, objects, 1)
			o := objects[0]
			assert.True(t, o.Known)
			assert.Equal(t, kind, o.Kind)
			assert.Equal(t, tt.exp, summary(o))
			assert.Equal(t, tt.expPerNode, o.PerNode)
			assert.Equal(t, tt.expIsDeferred, o.Deferred)

			wrongGroup := injecttest.Find(
				t, storage.Default(), injecttest.Decode(t, "apiVersion: example.com/v1\nkind: "+name+"\n"+tt.body+"\n"),
			)
			assert.False(t, wrongGroup[0].Known, "kinds are known by group")
			assert.Empty(t, wrongGroup[0].Pods)
		})
		group, _, hasGroup := strings.Cut(tt.apiVersion, "/")
		if !hasGroup {
			group = ""
		}
		delete(untested, group+"/"+kind)
	}
	delete(untested, "/List") // see TestFindWrapped
	delete(untested, "workload.codeflare.dev/AppWrapper")
	delete(untested, "kubeflow.org/Experiment")
	delete(untested, "triggers.tekton.dev/TriggerTemplate")
	assert.Empty(t, untested, "each of these rows needs an object in objects of pkg/inject/kinds/kinds_test.go")
}

// TestFlinkPodTemplatesAreJoined is about which containers of a FlinkDeployment take mounts: the
// operator joins the lists of its pod templates by position, so that an added item could meet
// another one.
func TestFlinkPodTemplatesAreJoined(t *testing.T) {
	const main = "{name: flink-main-container}"
	for name, tt := range map[string]struct {
		base, role string
		// exp are the containers that take mounts, and expExternal those that do not, by template.
		exp, expExternal map[string][]string
	}{
		"the pod template of all alone": {
			base: "containers: [" + main + "]",
			exp:  map[string][]string{"/spec/podTemplate": {"flink-main-container"}}, expExternal: map[string][]string{},
		},
		"that of a role with other lists": {
			base: "containers: [" + main + "]", role: "initContainers: [{name: warm}]",
			exp:         map[string][]string{"/spec/podTemplate": {"flink-main-container"}},
			expExternal: map[string][]string{"/spec/taskManager/podTemplate": {"warm", "flink-main-container"}},
		},
		"that of a role with the same list": {
			base: "initContainers: [{name: warm}], containers: [" + main + "]", role: "containers: [" + main + "]",
			exp: map[string][]string{"/spec/podTemplate": {"warm"}},
			expExternal: map[string][]string{
				"/spec/podTemplate": {"flink-main-container"}, "/spec/taskManager/podTemplate": {"flink-main-container"},
			},
		},
		"that of a role with volumes": {
			base: "containers: [" + main + "]", role: "volumes: [{name: v}]", exp: map[string][]string{},
			expExternal: map[string][]string{
				"/spec/podTemplate": {"flink-main-container"}, "/spec/taskManager/podTemplate": {"flink-main-container"},
			},
		},
		"volumes of all, which a role's would meet": {
			base: "volumes: [{name: v}]", role: "containers: [" + main + "]", exp: map[string][]string{},
			expExternal: map[string][]string{
				"/spec/podTemplate": {"flink-main-container"}, "/spec/taskManager/podTemplate": {"flink-main-container"},
			},
		},
		"empty lists": {
			base: "volumes: [], containers: []", role: "containers: [" + main + "]",
			exp:         map[string][]string{"/spec/taskManager/podTemplate": {"flink-main-container"}},
			expExternal: map[string][]string{"/spec/podTemplate": {"flink-main-container"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			body := "spec: {podTemplate: {spec: {" + tt.base + "}}"
			if tt.role != "" {
				body += ", taskManager: {podTemplate: {spec: {" + tt.role + "}}}"
			}
			objects := injecttest.Find(t, storage.Default(), injecttest.Decode(
				t, "apiVersion: flink.apache.org/v1beta1\nkind: FlinkDeployment\n"+body+"}\n",
			))
			containers, external := map[string][]string{}, map[string][]string{}
			for _, p := range objects[0].Pods {
				for _, c := range p.Containers {
					containers[p.Path] = append(containers[p.Path], c.Name)
				}
				if len(p.ExternalContainers) > 0 {
					external[p.Path] = p.ExternalContainers
				}
			}
			assert.Equal(t, tt.exp, containers)
			assert.Equal(t, tt.expExternal, external)
		})
	}
}

// TestScheduledWorkflowsOfText hold no pods that are read.
func TestScheduledWorkflowsOfText(t *testing.T) {
	objects := injecttest.Find(t, storage.Default(), injecttest.Decode(
		t, "apiVersion: kubeflow.org/v1beta1\nkind: ScheduledWorkflow\nspec: {workflow: {spec: \"{templates: []}\"}}\n",
	))
	assert.Empty(t, objects[0].Pods)
	assert.NotEmpty(t, objects[0].Advice)
}

// untested are the rows of the table without an object in the test above.
var untested = func() map[string]bool {
	rows := map[string]bool{}
	for _, row := range kinds.Builtin() {
		rows[row.Group+"/"+row.Kind] = true
	}
	return rows
}()

func TestFindArgoContainers(t *testing.T) {
	objects := injecttest.Find(t, storage.Default(), injecttest.Decode(t, `
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {generateName: etl-, labels: {app: workflow}}
spec:
  podMetadata: {labels: {app: all, pipeline-storage: enabled}, annotations: {a: all, b: all}}
  volumes: [{name: w, emptyDir: {}}, {name: c, persistentVolumeClaim: {claimName: models}}]
  volumeClaimTemplates: [{metadata: {name: work}}]
  templates:
  - {name: dag, dag: {tasks: []}}
  - {name: steps, steps: []}
  - {name: script, script: {name: py, source: x}}
  - name: set
    metadata: {labels: {app: own}, annotations: {a: own}}
    containerSet: {containers: [{name: a}, {name: b}]}
  - {name: suspend, suspend: {}}
`))
	require.Len(t, objects, 1)
	assert.Equal(t, "etl-", objects[0].Name)
	assert.Equal(t, []string{
		"pod=/spec/templates/2 volumes=/spec/templates/2/volumes context=/spec/templates/2/securityContext replicas=1 " +
			"app=all py=/spec/templates/2/script",
		"pod=/spec/templates/3 volumes=/spec/templates/3/volumes context=/spec/templates/3/securityContext replicas=1 " +
			"app=own " +
			"a=/spec/templates/3/containerSet/containers/0 b=/spec/templates/3/containerSet/containers/1",
	}, summary(objects[0]), "steps run no pod of their own")
	script, set := objects[0].Pods[0], objects[0].Pods[1]
	assert.Equal(t, map[string]string{"a": "all", "b": "all"}, script.Annotations)
	assert.Equal(t, map[string]string{"a": "own", "b": "all"}, set.Annotations, "the template's own win")
	assert.Equal(t, "enabled", set.Labels["pipeline-storage"], "and the workflow's count as well")
	assert.Equal(t, []kinds.PodVolume{{Name: "w"}, {Name: "c", Claim: "models"}}, set.SharedVolumes)
	assert.Empty(t, set.Volumes)
	assert.Equal(t, []string{"work"}, set.ReservedVolumes)
}

// TestObjectsInheritFromWrappers than the objects in them: which namespace they are made in, and
// that Helm takes the whole for a hook.
func TestObjectsInheritFromWrappers(t *testing.T) {
	const job = "{apiVersion: batch/v1, kind: Job, metadata: {%s}, spec: {template: {spec: {containers: [{name: a}]}}}}"
	for name, tt := range map[string]struct {
		object, expNamespace, expHook string
	}{
		"an AppWrapper makes them in its own namespace": {
			"kind: AppWrapper\napiVersion: workload.codeflare.dev/v1beta2\nmetadata: {namespace: team}\nspec: " +
				"{components: [{template: " + fmt.Sprintf(job, "") + "}]}", "team", "",
		},
		"a namespace of their own counts": {
			"kind: AppWrapper\napiVersion: workload.codeflare.dev/v1beta2\nmetadata: {namespace: team}\nspec: " +
				"{components: [{template: " +
				fmt.Sprintf(job, "namespace: own") + "}]}", "own", "",
		},
		"a List has none to give": {
			"kind: List\napiVersion: v1\nmetadata: {namespace: team}\nitems: [" + fmt.Sprintf(job, "") + "]", "", "",
		},
		"a List that is a hook": {
			"kind: List\napiVersion: v1\nmetadata: {annotations: {helm.sh/hook: pre-install}}\nitems: [" +
				fmt.Sprintf(job, "annotations: {a: b}") + "]", "", "pre-install",
		},
	} {
		t.Run(name, func(t *testing.T) {
			objects := injecttest.Find(t, storage.Default(), injecttest.Decode(t, tt.object+"\n"))
			require.Len(t, objects, 1)
			assert.Equal(t, tt.expNamespace, objects[0].Namespace)
			assert.Equal(t, tt.expHook, objects[0].Annotations[kinds.AnnotationHook])
		})
	}
}

func TestFindWrapped(t *testing.T) {
	const deployment = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: d}, spec: {template: {spec: " +
		"{containers: [{name: main}]}}}}"
	for name, tt := range map[string]struct {
		text string
		exp  []string // path group/kind name known pods
	}{
		"a List": {
			"{apiVersion: v1, kind: List, items: [" + deployment +
				", {apiVersion: v1, kind: ConfigMap, metadata: {name: c}}]}",
			[]string{"/items/0 apps/Deployment d true [/items/0/spec/template]", "/items/1 /ConfigMap c false []"},
		},
		"a List in a List": {
			"{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: List, items: [" + deployment + "]}]}",
			[]string{"/items/0/items/0 apps/Deployment d true [/items/0/items/0/spec/template]"},
		},
		"a typed list, whose items leave out their type": {
			"{apiVersion: v1, kind: PodList, items: [{metadata: {name: p}, spec: {containers: [{name: main}]}}]}",
			[]string{"/items/0 /Pod p true [/items/0]"},
		},
		"a typed list of a group": {
			"{apiVersion: apps/v1, kind: DeploymentList, items: [{metadata: {name: d}, spec: {template: {spec: " +
				"{containers: [{name: main}]}}}}]}",
			[]string{"/items/0 apps/Deployment d true [/items/0/spec/template]"},
		},
		"a typed list with an item of another type": {
			"{apiVersion: apps/v1, kind: DeploymentList, items: [{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: " +
				"{containers: [{name: main}]}}]}",
			[]string{"/items/0 /Pod p true [/items/0]"},
		},
		"a typed list of an unknown kind": {
			"{apiVersion: example.com/v1, kind: PodList, metadata: {name: l}, items: [{spec: {containers: [{name: main}]}}]}",
			[]string{" example.com/PodList l false []"},
		},
		"a List of another group": {
			"{apiVersion: example.com/v1, kind: List, metadata: {name: l}, items: [" + deployment + "]}",
			[]string{" example.com/List l false []", "/items/0 apps/Deployment d true [/items/0/spec/template]"},
		},
		"an AppWrapper": {
			"{apiVersion: workload.codeflare.dev/v1beta2, kind: AppWrapper, spec: {components: [{template: " +
				deployment + "}, {template: {apiVersion: v1, kind: Service, metadata: {name: s}}}]}}",
			[]string{
				"/spec/components/0/template apps/Deployment d true [/spec/components/0/template/spec/template]",
				"/spec/components/1/template /Service s false []",
			},
		},
		"a Sensor, which has a pod of its own": {
			"{apiVersion: argoproj.io/v1alpha1, kind: Sensor, metadata: {name: s}, spec: {triggers: [{template: {k8s: " +
				"{source: {resource: " + deployment + "}}}}, {template: {argoWorkflow: {source: {resource: {apiVersion: " +
				"argoproj.io/v1alpha1, kind: Workflow, metadata: {generateName: w-}, spec: {templates: [{container: {}}]}}}}}}, " +
				"{template: {k8s: {source: {inline: text}}}}]}}",
			[]string{
				" argoproj.io/Sensor s true [/spec/template]",
				"/spec/triggers/0/template/k8s/source/resource apps/Deployment d true " +
					"[/spec/triggers/0/template/k8s/source/resource/spec/template]",
				"/spec/triggers/1/template/argoWorkflow/source/resource argoproj.io/Workflow w- true " +
					"[/spec/triggers/1/template/argoWorkflow/source/resource/spec/templates/0]",
			},
		},
		"an Experiment of Katib": {
			"{apiVersion: kubeflow.org/v1beta1, kind: Experiment, spec: {trialTemplate: {trialSpec: " + deployment + "}}}",
			[]string{"/spec/trialTemplate/trialSpec apps/Deployment d true [/spec/trialTemplate/trialSpec/spec/template]"},
		},
		"a TriggerTemplate": {
			"{apiVersion: triggers.tekton.dev/v1beta1, kind: TriggerTemplate, spec: {resourcetemplates: [{apiVersion: " +
				"tekton.dev/v1, kind: PipelineRun, metadata: {generateName: p-}, spec: {pipelineRef: {name: p}}}]}}",
			[]string{
				"/spec/resourcetemplates/0 tekton.dev/PipelineRun p- true [/spec/resourcetemplates/0/spec/pipelineRef]",
			},
		},
		"an empty List":        {"{apiVersion: v1, kind: List, items: []}", nil},
		"a List without items": {"{apiVersion: v1, kind: List}", nil},
		"an item without a kind": {
			"{apiVersion: v1, kind: List, items: [{metadata: {name: x}}]}", []string{"/items/0 / x false []"},
		},
		"a document without kind": {"{metadata: {name: x}}", []string{" / x false []"}},
		"a kind that is no text":  {"{apiVersion: v1, kind: {}, metadata: []}", []string{" /  false []"}},
		"a pod without containers": {
			"{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {}}", []string{" /Pod p true []"},
		},
		"a pod without a spec": {"{apiVersion: v1, kind: Pod, metadata: {name: p}}", []string{" /Pod p true []"}},
		"a template that is null": {
			"{apiVersion: apps/v1, kind: Deployment, metadata: {name: d}, spec: {template: null}}",
			[]string{" apps/Deployment d true []"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var actual []string
			for _, o := range injecttest.Find(t, storage.Default(), injecttest.Decode(t, tt.text)) {
				pods := []string{}
				for _, p := range o.Pods {
					pods = append(pods, p.Path)
				}
				actual = append(actual, fmt.Sprintf("%s %s/%s %s %t %v", o.Path, o.Group, o.Kind, o.Name, o.Known, pods))
			}
			assert.Equal(t, tt.exp, actual)
		})
	}
}

// TestFindRefusesWrongShapes expects the place of what cannot be read, and never a value from it.
func TestFindRefusesWrongShapes(t *testing.T) {
	for name, tt := range map[string]struct {
		pod string
		exp string
	}{
		"volumes are a mapping": {
			"volumes: {secret: x}\ncontainers: [{name: main}]", "Pod/p: /spec/volumes is no list",
		},
		"volumes are text": {
			"volumes: secret\ncontainers: [{name: main}]", "Pod/p: /spec/volumes is no list",
		},
		"a volume is text": {
			"volumes: [{name: a}, secret]\ncontainers: [{name: main}]", "Pod/p: /spec/volumes/1 is no object",
		},
		"a container is text": {
			"containers: [{name: main}, secret]", "Pod/p: /spec/containers/1 is no container",
		},
		"a container is null": {"containers: [null]", "Pod/p: /spec/containers/0 is no container"},
		"an init container is a list": {
			"initContainers: [[secret]]\ncontainers: [{name: main}]", "Pod/p: /spec/initContainers/0 is no container",
		},
		"mounts are a mapping": {
			"containers: [{name: main, volumeMounts: {secret: x}}]", "Pod/p: /spec/containers/0/volumeMounts is no list",
		},
		"a mount is text": {
			"containers: [{name: main, volumeMounts: [secret]}]",
			"Pod/p: /spec/containers/0/volumeMounts/0 is no object",
		},
		"devices are text": {
			"containers: [{name: main, volumeDevices: secret}]", "Pod/p: /spec/containers/0/volumeDevices is no list",
		},
		"variables are a mapping": {
			"containers: [{name: main, env: {SECRET: x}}]", "Pod/p: /spec/containers/0/env is no list",
		},
		"a variable is null": {
			"containers: [{name: main, env: [null]}]", "Pod/p: /spec/containers/0/env/0 is no object",
		},
		"the security context is a list": {
			"securityContext: [secret]\ncontainers: [{name: main}]", "Pod/p: /spec/securityContext is no object",
		},
		"containers are a mapping": {"containers: {secret: x}", "Pod/p: /spec/containers is no list"},
		"containers are text":      {"containers: secret", "Pod/p: /spec/containers is no list"},
		"init containers are a mapping": {
			"initContainers: {}\ncontainers: [{name: main}]", "Pod/p: /spec/initContainers is no list",
		},
		"the security context is a false": {
			"securityContext: false\ncontainers: [{name: main}]", "Pod/p: /spec/securityContext is no object",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := kinds.NewTable(storage.Default().Kinds).Find(injecttest.Pod(t, tt.pod))
			require.Error(t, err)
			assert.Equal(t, tt.exp, err.Error())
		})
	}
	_, err := kinds.NewTable(storage.Default().Kinds).Find(
		injecttest.Decode(t, "{apiVersion: v1, kind: List, metadata: {name: l}, items: [{}, secret]}"),
	)
	assert.EqualError(t, err, "List/l: /items/1 is no object")
}

func TestFindReplicas(t *testing.T) {
	for name, tt := range map[string]struct {
		replicas string
		exp      int
	}{
		"absent":  {"", 1},
		"null":    {"replicas: null, ", 1},
		"none":    {"replicas: 0, ", 0},
		"many":    {"replicas: 12, ", 12},
		"text":    {"replicas: many, ", 1},
		"a float": {"replicas: 2.5, ", 1},
	} {
		t.Run(name, func(t *testing.T) {
			objects := injecttest.Find(t, storage.Default(), injecttest.Decode(t, "{apiVersion: apps/v1, kind: "+
				"Deployment, spec: {"+tt.replicas+
				"template: {spec: {containers: [{name: main}]}}}}"))
			assert.Equal(t, tt.exp, objects[0].Pods[0].Replicas)
		})
	}
}

func TestUserKinds(t *testing.T) {
	for name, tt := range map[string]struct {
		row, object string
		exp         []string
	}{
		"a pod template": {
			"pods: [{podTemplate: spec.worker.template, replicas: [$.spec.worker.count, $.spec.sets]}]",
			"spec: {sets: 2, worker: {count: 3, template: " + podTemplate("a", "{name: main}") + "}}",
			[]string{"pod=/spec/worker/template volumes=/spec/worker/template/spec/volumes " +
				"context=/spec/worker/template/spec/securityContext " +
				"replicas=6 app=a main=/spec/worker/template/spec/containers/0"},
		},
		"pod templates in nested lists: each [*] of another path is bound to the scope's": {
			"pods: [{podTemplate: 'spec.groups[*].roles[*].template', replicas: ['$.spec.groups[*].count', " +
				"'$.spec.groups[*].roles[*].count']}]",
			"spec: {groups: [{count: 2, roles: [{count: 11}, {count: 3, template: " + podTemplate("a", "{name: main}") +
				"}]}, " +
				"{count: 5, roles: [{count: 7, template: " + podTemplate("b", "{name: main}") + "}, {count: 13}]}]}",
			[]string{
				"pod=/spec/groups/0/roles/1/template volumes=/spec/groups/0/roles/1/template/spec/volumes " +
					"context=/spec/groups/0/roles/1/template/spec/securityContext " +
					"replicas=6 app=a main=/spec/groups/0/roles/1/template/spec/containers/0",
				"pod=/spec/groups/1/roles/0/template volumes=/spec/groups/1/roles/0/template/spec/volumes " +
					"context=/spec/groups/1/roles/0/template/spec/securityContext " +
					"replicas=35 app=b main=/spec/groups/1/roles/0/template/spec/containers/0",
			},
		},
		"pod templates in a map, in the order of its keys: each {*} of another path is bound to the scope's": {
			"pods: [{podTemplate: 'spec.roles{*}.template', replicas: ['$.spec.roles{*}.count', '$.counts{*}']}]",
			"counts: {b/b: 5, c: 7}\nspec: {roles: {c: {template: " + podTemplate("c", "{name: main}") +
				"}, a: {count: 2}, b/b: {count: 3, template: " + podTemplate("b", "{name: main}") + "}}}",
			[]string{templateAt("/spec/roles/b~1b/template", "b", 15), templateAt("/spec/roles/c/template", "c", 7)},
		},
		"maps in a list and lists in a map": {
			"pods: [{podTemplate: 'spec.a[*].b{*}[*]', replicas: ['$.counts{*}']}, {podTemplate: 'spec.lists[*]'}]",
			"counts: {'0': 9}\nspec: {lists: {x: " + podTemplate("x", "{name: main}") + "}, a: [{b: {k: [" +
				podTemplate("k", "{name: main}") + "]}}]}",
			[]string{templateAt("/spec/a/0/b/k/0", "k", 9)},
		},
		"another list that is shorter than the scope's": {
			"pods: [{scope: 'jobs[*]', volumes: volumes, containers: [.], replicas: ['$.counts[*]']}]",
			"jobs: [{name: a}, {name: b}]\ncounts: [4]",
			[]string{
				"pod=/jobs/0 volumes=/jobs/0/volumes context= replicas=4 app= a=/jobs/0",
				"pod=/jobs/1 volumes=/jobs/1/volumes context= replicas=1 app= b=/jobs/1",
			},
		},
		"a shape of its own": {
			"pods: [{scope: spec, metadata: [meta, $.metadata], volumes: disks, containers: [run, 'extra[*]'], " +
				"securityContext: [security]}]",
			"metadata: {labels: {app: root}}\nspec: {run: {image: x}, extra: [{name: e}]}",
			[]string{"pod=/spec volumes=/spec/disks context=/spec/security replicas=1 app=root run=/spec/run e=/spec/extra/0"},
		},
		"volumes at the root": {
			"pods: [{scope: run, volumes: $.volumes, containers: [.]}]",
			"run: {name: r}",
			[]string{"pod=/run volumes=/volumes context= replicas=1 app= r=/run"},
		},
		"volumes bound to the scope's item": {
			"pods: [{scope: 'jobs[*].run', volumes: '$.jobs[*].volumes', containers: [.]}]",
			"jobs: [{run: {name: a}}, {run: {name: b}}]",
			[]string{
				"pod=/jobs/0/run volumes=/jobs/0/volumes context= replicas=1 app= a=/jobs/0/run",
				"pod=/jobs/1/run volumes=/jobs/1/volumes context= replicas=1 app= b=/jobs/1/run",
			},
		},
		"a name with a tilde is escaped": {
			"pods: [{podTemplate: spec.a~b}]",
			"spec: {a~b: " + podTemplate("a", "{name: main}") + "}",
			[]string{
				"pod=/spec/a~0b volumes=/spec/a~0b/spec/volumes context=/spec/a~0b/spec/securityContext replicas=1 app=a " +
					"main=/spec/a~0b/spec/containers/0",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			config := injecttest.Load(
				t, "profiles: [{name: default}]\nkinds: [{group: example.com, kind: Train, "+tt.row+"}]\n",
			)
			objects := injecttest.Find(
				t, config, injecttest.Decode(t, "apiVersion: example.com/v1\nkind: Train\n"+tt.object+"\n"),
			)
			require.Len(t, objects, 1)
			assert.Equal(t, tt.exp, summary(objects[0]))
		})
	}
}

// TestUserKindsKeepClaimTemplates is about the short form of a pod template beside claim templates.
func TestUserKindsKeepClaimTemplates(t *testing.T) {
	config := injecttest.Load(
		t,
		"profiles: [{name: default}]\nkinds: [{group: example.com, kind: Set, pods: [{podTemplate: spec.template, "+
			"claimTemplates: $.spec.claims}]}]\n",
	)
	objects := injecttest.Find(
		t, config,
		injecttest.Decode(
			t,
			"apiVersion: example.com/v1\nkind: Set\nspec: {claims: [{metadata: {name: db}}], template: "+
				podTemplate("a", "{name: main}")+"}\n",
		),
	)
	assert.Equal(t, []string{"db"}, objects[0].Pods[0].ReservedVolumes)
}

func TestUserKindsWrapObjects(t *testing.T) {
	config := injecttest.Load(
		t,
		"profiles: [{name: default}]\nkinds: [{group: example.com, kind: Wrapper, objects: "+
			"['spec.parts{*}.template']}]\n",
	)
	objects := injecttest.Find(t, config, injecttest.Decode(t, "apiVersion: example.com/v1\nkind: Wrapper\nspec: "+
		"{parts: {one: {template: "+
		"{apiVersion: batch/v1, kind: Job, metadata: {name: j}, spec: {parallelism: 2, template: "+
		podTemplate("a", "{name: main}")+"}}}}}\n"))
	require.Len(t, objects, 1)
	assert.Equal(t, "Job", objects[0].Kind)
	assert.Equal(t, []string{"pod=/spec/parts/one/template/spec/template " +
		"volumes=/spec/parts/one/template/spec/template/spec/volumes " +
		"context=/spec/parts/one/template/spec/template/spec/securityContext replicas=2 app=a " +
		"main=/spec/parts/one/template/spec/template/spec/containers/0"},
		summary(objects[0]))
}

// TestKindHoldsPodsAndObjects is about a kind with a pod of its own, such as a Sensor, and whole objects
// at several places.
func TestKindHoldsPodsAndObjects(t *testing.T) {
	config := injecttest.Load(
		t,
		"profiles: [{name: default}]\nkinds:\n- {group: example.com, kind: Trigger, deferred: true, pods: [{podTemplate: "+
			"spec.template}], objects: ['spec.runs[*].resource', 'spec.runs{*}.absent', spec.last, 'spec.runs[*].resource']}\n",
	)
	job := func(name string) string {
		return "{apiVersion: batch/v1, kind: Job, metadata: {name: " + name + "}, spec: {template: " +
			podTemplate("a", "{name: main}") + "}}"
	}
	objects := injecttest.Find(t, config, injecttest.Decode(t, "apiVersion: example.com/v1\nkind: Trigger\n"+
		"metadata: {name: t, namespace: ml}\nspec: {template: "+podTemplate("own", "{name: main}")+
		", runs: [{resource: "+job("one")+"}, {resource: text}, {}], last: "+job("two")+"}\n"))
	var found []string
	for i := range objects {
		o := &objects[i]
		require.Len(t, o.Pods, 1)
		found = append(found, o.Kind+"/"+o.Name+" "+o.Namespace+" "+o.Pods[0].Path)
		assert.True(t, o.Deferred, "creating the outer object starts no pod")
	}
	assert.Equal(t, []string{
		"Trigger/t ml /spec/template", "Job/one ml /spec/runs/0/resource/spec/template",
		"Job/two ml /spec/last/spec/template",
	}, found)
}

func TestUserKindsReplaceBuiltinOnes(t *testing.T) {
	config := injecttest.Load(
		t, "profiles: [{name: default}]\nkinds: [{group: batch, kind: Job, pods: [{podTemplate: spec.other}]}]\n",
	)
	objects := injecttest.Find(
		t, config,
		injecttest.Decode(t, "apiVersion: batch/v1\nkind: Job\nspec: {template: "+podTemplate("a", "{name: main}")+"}\n"),
	)
	assert.True(t, objects[0].Known)
	assert.Empty(t, objects[0].Pods)
}

func TestKindNames(t *testing.T) {
	names := kinds.NewTable(
		injecttest.Load(
			t,
			"profiles: [{name: default}]\nkinds: [{group: example.com, kind: Train, pods: [{podTemplate: spec.template}]}]\n",
		).Kinds,
	).Names()
	for _, kind := range []string{"Pod", "PodList", "Deployment", "List", "Train", "TrainList", "SparkApplication"} {
		assert.True(t, names[kind], kind)
	}
	assert.False(t, names["ConfigMap"])
}
