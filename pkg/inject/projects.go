package inject

import (
	"slices"
	"sync"
)

// builtinKinds is the table of kinds that hold pods, project by project. Paths are made when a kind is met, because a run meets
// few kinds and all the paths cost more than reading a small chart (make bench).
//
// Kueue has no rows of its own but for its Workload: it queues the kinds of others (Job, JobSet, RayJob, PyTorchJob and so on),
// whose pods are theirs. Source: kueue, pkg/controller/jobs. Flyte and Airflow have none either: they create plain pods, Flyte
// from a PodTemplate, Airflow from a pod_template_file, which is text in a ConfigMap and reported.
var builtinKinds = slices.Concat(
	kubernetesKinds, argoKinds, rayKinds, jobSetKinds, sparkOperatorKinds, apacheSparkKinds, tektonKinds, trainingOperatorKinds,
	trainerKinds, leaderWorkerSetKinds, volcanoKinds, notebookKinds, kserveKinds, appWrapperKinds, kueueKinds,
)

// BuiltinKinds returns the table of kinds that hold pods, project by project.
func BuiltinKinds() []Kind {
	kinds := slices.Clone(builtinKinds)
	for i := range kinds {
		kinds[i].Pods = kinds[i].paths()
	}
	return kinds
}

// of fills in whose kinds these are.
func of(project, source string, kinds ...Kind) []Kind {
	for i := range kinds {
		kinds[i].Project, kinds[i].Source = project, source
		if kinds[i].pods != nil {
			kinds[i].pods = sync.OnceValue(kinds[i].pods)
		}
	}
	return kinds
}

// The kinds of Kubernetes itself.
var kubernetesKinds = of("Kubernetes", "k8s.io/api core/v1, apps/v1 and batch/v1 types.go",
	Kind{Kind: "Pod", pods: func() []PodPaths { return []PodPaths{template(".")} }},
	Kind{Kind: "PodTemplate", Deferred: true, pods: func() []PodPaths { return []PodPaths{template("template")} }},
	Kind{Kind: "ReplicationController", pods: func() []PodPaths { return []PodPaths{template("spec.template", "$.spec.replicas")} }},
	Kind{Kind: "List", Objects: "items[*]"},
	Kind{Group: "apps", Kind: "Deployment", pods: func() []PodPaths { return []PodPaths{template("spec.template", "$.spec.replicas")} }},
	Kind{Group: "apps", Kind: "ReplicaSet", pods: func() []PodPaths { return []PodPaths{template("spec.template", "$.spec.replicas")} }},
	Kind{Group: "apps", Kind: "StatefulSet", pods: func() []PodPaths {
		return []PodPaths{statefulTemplate("spec.template", "$.spec.volumeClaimTemplates", "$.spec.replicas")}
	}},
	Kind{Group: "apps", Kind: "DaemonSet", PerNode: true, pods: func() []PodPaths { return []PodPaths{template("spec.template")} }},
	Kind{Group: "batch", Kind: "Job", pods: func() []PodPaths { return []PodPaths{template("spec.template", "$.spec.parallelism")} }},
	Kind{Group: "batch", Kind: "CronJob", Deferred: true, pods: func() []PodPaths {
		return []PodPaths{template("spec.jobTemplate.spec.template", "$.spec.jobTemplate.spec.parallelism")}
	}},
)

// argoRefLimits is what a workflow cannot do about templates of others.
const argoRefLimits = "A task or step with a templateRef runs a template of a WorkflowTemplate: mount there."

const argoAdvice = "its templates run no containers of their own: mount in the WorkflowTemplates that they name; the pod of a resource " +
	"template only creates the object that its manifest holds"

var argoKinds = of("Argo Workflows", "argo-workflows, pkg/apis/workflow/v1alpha1/workflow_types.go",
	Kind{Group: "argoproj.io", Kind: "Workflow", pods: func() []PodPaths { return append(argoTemplates("spec"), argoReference("spec")) }, Advice: argoAdvice, Limits: argoRefLimits},
	Kind{Group: "argoproj.io", Kind: "WorkflowTemplate", Deferred: true, pods: func() []PodPaths { return argoTemplates("spec") }, Advice: argoAdvice, Limits: argoRefLimits},
	Kind{Group: "argoproj.io", Kind: "ClusterWorkflowTemplate", Deferred: true, ClusterScoped: true, pods: func() []PodPaths { return argoTemplates("spec") }, Advice: argoAdvice, Limits: argoRefLimits},
	Kind{Group: "argoproj.io", Kind: "CronWorkflow", Deferred: true, pods: func() []PodPaths {
		return append(argoTemplates("spec.workflowSpec"), argoReference("spec.workflowSpec"))
	}, Advice: argoAdvice, Limits: argoRefLimits},
)

// argoTemplates is the row part of an Argo workflow: mounts and volumes per template, pod metadata and security context in both,
// where the template's own security context takes the place of the workflow's. The volume goes where the mount is, because a
// template that another workflow calls by templateRef finds its own volumes and the caller's, not those of the workflow around it.
// Source: argo-workflows, workflow/controller/workflowpod.go addVolumeReferences.
func argoTemplates(workflow string) []PodPaths {
	var pods []PodPaths
	for _, scope := range []string{".templates[*]", ".templates[*].dag.tasks[*].inline", ".templates[*].steps[*][*].inline", ".templateDefaults"} {
		pods = append(pods, argoTemplate(workflow, workflow+scope))
	}
	return pods
}

// argoTemplate is the row part of one template. Argo merges the workflow's templateDefaults into it, gives the containers of a
// containerSet the mounts of the set, and the mounts of the container main to those that mirror them.
// Source: argo-workflows, docs/template-defaults.md, container_set_template_types.go and workflowpod.go mirrorVolumeMounts.
func argoTemplate(workflow, scope string) PodPaths {
	defaults := "$." + workflow + ".templateDefaults."
	withDefaults := func(container string) SharedLists {
		return SharedLists{
			Containers: []string{container},
			Mounts:     []string{defaults + container + ".volumeMounts"}, Env: []string{defaults + container + ".env"},
		}
	}
	return PodPaths{
		Scope:           scope,
		Metadata:        []string{"metadata", defaults + "metadata", "$." + workflow + ".podMetadata"},
		Spec:            ".",
		SecurityContext: []string{"securityContext", defaults + "securityContext", "$." + workflow + ".securityContext"},
		Affinity:        []string{"affinity", defaults + "affinity", "$." + workflow + ".affinity"},
		Volumes:         "volumes",
		SharedVolumes:   []string{defaults + "volumes", "$." + workflow + ".volumes"},
		Containers:      []string{"initContainers[*]", "container", "script", "containerSet.containers[*]", "sidecars[*]"},
		Names:           map[string]string{"container": "main", "script": "main"},
		Mirror:          &Mirror{Field: "mirrorVolumeMounts", Of: "main"},
		Shared: []SharedLists{
			withDefaults("container"), withDefaults("script"),
			{Containers: []string{"containerSet.containers[*]"}, Mounts: []string{"containerSet.volumeMounts"}},
		},
		ClaimTemplates: "$." + workflow + ".volumeClaimTemplates",
	}
}

// argoReference is the row part of a workflow whose templates are those of a WorkflowTemplate. Argo joins both specs, so that
// the workflow's podMetadata counts. Source: argo-workflows, workflow/util/merge.go JoinWorkflowSpec.
func argoReference(workflow string) PodPaths {
	return PodPaths{
		Scope:    workflow + ".workflowTemplateRef",
		Metadata: []string{"$." + workflow + ".podMetadata"},
		Labels:   "$." + workflow + ".podMetadata.labels",
		Why:      "the templates are those of the WorkflowTemplate that it names",
	}
}

var rayKinds = of("Ray (KubeRay)", "kuberay, ray-operator/apis/ray/v1/raycluster_types.go, rayjob_types.go, rayservice_types.go and raycronjob_types.go",
	Kind{Group: "ray.io", Kind: "RayCluster", pods: func() []PodPaths { return raySpec("spec") }, Limits: "The autoscaler's container, which the operator adds to the head, gets no mount."},
	Kind{Group: "ray.io", Kind: "RayJob", pods: func() []PodPaths { return rayJobSpec("spec") }, Advice: rayJobAdvice, Limits: rayJobLimits},
	Kind{Group: "ray.io", Kind: "RayCronJob", Deferred: true, pods: func() []PodPaths { return rayJobSpec("spec.jobTemplate") }, Advice: rayJobAdvice, Limits: rayJobLimits},
	Kind{Group: "ray.io", Kind: "RayService", pods: func() []PodPaths { return raySpec("spec.rayClusterConfig") }},
)

const (
	rayJobAdvice = "it holds no pods: its work runs in those of the RayCluster that its clusterSelector names, so mount there"
	rayJobLimits = "Without a submitterPodTemplate the operator makes the pod that submits the job, which gets no mount; it only sends the job to the cluster."
)

// raySpec are the row parts of a RayClusterSpec.
func raySpec(cluster string) []PodPaths {
	return []PodPaths{
		template(cluster + ".headGroupSpec.template"),
		template(cluster+".workerGroupSpecs[*].template", "$."+cluster+".workerGroupSpecs[*].replicas"),
	}
}

// rayJobSpec are the row parts of a RayJobSpec.
func rayJobSpec(job string) []PodPaths {
	return append(raySpec(job+".rayClusterSpec"), template(job+".submitterPodTemplate"))
}

var jobSetKinds = of("JobSet", "jobset, api/jobset/v1alpha2/jobset_types.go",
	Kind{Group: "jobset.x-k8s.io", Kind: "JobSet", pods: func() []PodPaths { return []PodPaths{jobSetSpec("spec")} }},
)

// jobSetSpec is the row part of a JobSetSpec.
func jobSetSpec(jobSet string) PodPaths {
	return template(jobSet+".replicatedJobs[*].template.spec.template",
		"$."+jobSet+".replicatedJobs[*].replicas", "$."+jobSet+".replicatedJobs[*].template.spec.parallelism")
}

var sparkOperatorKinds = slices.Concat(
	of("Spark Operator (Kubeflow)", "spark-operator, api/v1beta2/sparkapplication_types.go and scheduledsparkapplication_types.go",
		Kind{Group: "sparkoperator.k8s.io", Kind: "SparkApplication", pods: func() []PodPaths { return sparkRoles("spec") }, Limits: sparkOperatorLimits},
		Kind{Group: "sparkoperator.k8s.io", Kind: "ScheduledSparkApplication", Deferred: true, pods: func() []PodPaths { return sparkRoles("spec.template") }, Limits: sparkOperatorLimits},
	),
	of("Spark Operator (Kubeflow)", "spark-operator, api/v1alpha1/sparkconnect_types.go and internal/controller/sparkconnect",
		Kind{Group: "sparkoperator.k8s.io", Kind: "SparkConnect", pods: func() []PodPaths {
			return []PodPaths{
				sparkTemplate("spec.server.template", "$.spec.server.template.metadata.labels", ""),
				sparkTemplate("spec.executor.template", "$.spec.sparkConf", sparkExecutorLabel, "$.spec.executor.instances"),
			}
		}},
	),
)

const sparkOperatorLimits = "The operator's own webhook puts volumes and mounts into the pods: it must be on. " +
	"What the template of a driver or executor has besides Spark's own container gets no mount."

// sparkRoles are the row parts of a SparkApplicationSpec. A Spark driver or executor has no pod template: it is a container and
// a pod in one, and its volumes stand beside it.
func sparkRoles(application string) []PodPaths {
	return []PodPaths{sparkRole(application, "driver"), sparkRole(application, "executor", "instances")}
}

func sparkRole(application, role string, replicas ...string) PodPaths {
	return PodPaths{
		Scope:           application + "." + role,
		Metadata:        []string{".", "template.metadata"},
		Spec:            ".",
		SecurityContext: []string{"podSecurityContext"},
		Affinity:        []string{"affinity"},
		Volumes:         "$." + application + ".volumes",
		Containers:      []string{"initContainers[*]", ".", "sidecars[*]"},
		Names:           map[string]string{".": "spark-kubernetes-" + role},
		Replicas:        replicas,
	}
}

// What begins the keys of Spark's configuration that put labels on its pods. Source: Spark, docs/running-on-kubernetes.md.
const (
	sparkDriverLabel   = "spark.kubernetes.driver.label."
	sparkExecutorLabel = "spark.kubernetes.executor.label."
)

// sparkTemplate is the row part of a pod template that Spark or its operator completes: where it lists no container, they add
// one, and where it is not written, they make the pod without it.
func sparkTemplate(scope, labels, labelPrefix string, replicas ...string) PodPaths {
	t := template(scope, replicas...)
	t.Labels, t.LabelPrefix, t.Implied = labels, labelPrefix, true
	t.Why = "the pod template lists no containers, so that Spark adds its own"
	return t
}

// The kinds of Apache's own operator. A label goes into sparkConf, because a podTemplateSpec would take the place of a
// podTemplateFile that sparkConf names. Source: spark-kubernetes-operator, docs/spark_custom_resources.md.
var apacheSparkKinds = of("Apache Spark Kubernetes Operator",
	"spark-kubernetes-operator, docs/spark_custom_resources.md and SparkClusterResourceSpec.java",
	Kind{Group: "spark.apache.org", Kind: "SparkApplication", pods: func() []PodPaths {
		return []PodPaths{
			sparkTemplate("spec.driverSpec.podTemplateSpec", "$.spec.sparkConf", sparkDriverLabel),
			sparkTemplate("spec.executorSpec.podTemplateSpec", "$.spec.sparkConf", sparkExecutorLabel),
		}
	}, Limits: "A pod template without containers gets the label instead of the mount."},
	Kind{Group: "spark.apache.org", Kind: "SparkCluster", pods: func() []PodPaths {
		return []PodPaths{
			sparkNode("spec.masterSpec.statefulSetSpec", "master"),
			sparkNode("spec.workerSpec.statefulSetSpec", "worker", "$.spec.clusterTolerations.instanceConfig.initWorkers"),
		}
	}, Limits: "When the templates do not list the containers master and worker, the operator adds them: then the pods get the label instead of the mount."},
)

func sparkNode(statefulSet, container string, replicas ...string) PodPaths {
	t := sparkTemplate(statefulSet+".template", "$."+statefulSet+".template.metadata.labels", "", replicas...)
	t.ClaimTemplates = "$." + statefulSet + ".volumeClaimTemplates"
	t.Adds = container
	t.Why = "the operator adds the container " + container + " when the template does not list it"
	return t
}

// Labels go from Pipeline and PipelineRun to the TaskRuns, from the Task to its TaskRun, and from there to the pod.
// Source: tekton pipeline, docs/labels.md.
var tektonKinds = of("Tekton Pipelines",
	"pipeline, pkg/apis/pipeline/v1/task_types.go, pipeline_types.go, taskrun_types.go and task_validation.go",
	Kind{Group: "tekton.dev", Kind: "Task", Deferred: true, pods: func() []PodPaths {
		return []PodPaths{
			tektonTask("spec", tektonRootLabels, []string{tektonRoot}),
		}
	}, Limits: tektonLimits + " A Task has no place for fsGroup: set it in the podTemplate of the run."},
	Kind{Group: "tekton.dev", Kind: "TaskRun", pods: func() []PodPaths {
		return []PodPaths{
			tektonTask("spec.taskSpec", tektonRootLabels, []string{tektonRoot}, "$.spec.podTemplate"),
			tektonReference("spec.taskRef", "Task"),
		}
	}, Limits: tektonLimits},
	Kind{Group: "tekton.dev", Kind: "Pipeline", Deferred: true, pods: func() []PodPaths { return tektonPipeline("spec") }, Limits: tektonLimits + tektonPipelineLimits},
	Kind{Group: "tekton.dev", Kind: "PipelineRun", pods: func() []PodPaths {
		return append(
			tektonPipeline("spec.pipelineSpec", "$.spec.taskRunTemplate.podTemplate", "$.spec.podTemplate"),
			tektonReference("spec.pipelineRef", "Pipeline"),
		)
	}, Limits: tektonLimits + tektonPipelineLimits},
	Kind{
		Group: "tekton.dev", Kind: "StepAction", Deferred: true,
		Advice: "a StepAction has no volumes of its own: label the Task or the run that uses it pipeline-storage: enabled, and the webhook mounts the claim into every step",
		Limits: "A StepAction has no volumes of its own; the label on the Task or the run that uses it lets the webhook mount the claim.",
	},
)

const (
	tektonRoot           = "$.metadata"
	tektonRootLabels     = "$.metadata.labels"
	tektonLimits         = "A step with a ref takes no mount: the Task gets the label, and the webhook mounts the claim. At admission the container of the step NAME is called step-NAME."
	tektonPipelineLimits = " Tasks by taskRef get the label. Pipelines inside pipelines are not looked into; the report says so."
)

// tektonTask is the row part of a TaskSpec. Tekton merges the stepTemplate into each step by mount path and name, so that a
// mount of ours would take the place of one of it; and it refuses a mount at the path of a workspace.
func tektonTask(scope, labels string, metadata []string, podTemplates ...string) PodPaths {
	var securityContext, volumes []string
	for _, template := range podTemplates {
		securityContext, volumes = append(securityContext, template+".securityContext"), append(volumes, template+".volumes")
	}
	return PodPaths{
		Scope:           scope,
		Metadata:        metadata,
		SecurityContext: securityContext,
		Volumes:         "volumes",
		SharedVolumes:   volumes,
		Containers:      []string{"steps[*]", "sidecars[*]"},
		ContainerMounts: []string{"workspaces"},
		Shared: []SharedLists{
			{Containers: []string{"steps[*]"}, Mounts: []string{"stepTemplate.volumeMounts"}, Env: []string{"stepTemplate.env"}},
			{Mounts: []string{"workspaces"}},
		},
		Reference: "ref",
		Labels:    labels,
		Why:       "a step with a ref is defined by a StepAction and may have no mounts, and a task of a kind of its own has no steps",
	}
}

// tektonReference is the row part of a task or pipeline that is defined elsewhere.
func tektonReference(scope, kind string) PodPaths {
	return PodPaths{
		Scope: scope, Metadata: []string{tektonRoot}, Labels: tektonRootLabels,
		Why: "the steps are those of the " + kind + " that it names",
	}
}

// tektonPipeline are the row parts of a PipelineSpec.
func tektonPipeline(pipeline string, podTemplates ...string) []PodPaths {
	var pods []PodPaths
	for _, list := range []string{".tasks[*]", ".finally[*]"} {
		pods = append(pods,
			tektonTask(pipeline+list+".taskSpec", "metadata.labels", []string{"metadata", tektonRoot}, podTemplates...),
			tektonReference(pipeline+list+".taskRef", "Task"),
			PodPaths{Scope: pipeline + list + ".pipelineSpec", Metadata: []string{tektonRoot}, Why: "it is a pipeline inside a pipeline, which is not looked into: mount in a Pipeline of its own"})
	}
	return pods
}

// The kinds of the training operator, whose replica specs are maps from a role to its replicas and template. MPIJob is one of
// the MPI operator too, with the same paths. Source: mpi-operator, manifests/base/kubeflow.org_mpijobs.yaml.
var trainingOperatorKinds = of("Kubeflow Training Operator v1", "training-operator v1.9, pkg/apis/kubeflow.org/v1",
	Kind{Group: "kubeflow.org", Kind: "PyTorchJob", pods: func() []PodPaths { return replicaSpecs("pytorchReplicaSpecs") }},
	Kind{Group: "kubeflow.org", Kind: "TFJob", pods: func() []PodPaths { return replicaSpecs("tfReplicaSpecs") }},
	Kind{Group: "kubeflow.org", Kind: "MPIJob", pods: func() []PodPaths { return replicaSpecs("mpiReplicaSpecs") }},
	Kind{Group: "kubeflow.org", Kind: "XGBoostJob", pods: func() []PodPaths { return replicaSpecs("xgbReplicaSpecs") }},
	Kind{Group: "kubeflow.org", Kind: "PaddleJob", pods: func() []PodPaths { return replicaSpecs("paddleReplicaSpecs") }},
	Kind{Group: "kubeflow.org", Kind: "JAXJob", pods: func() []PodPaths { return replicaSpecs("jaxReplicaSpecs") }},
)

func replicaSpecs(field string) []PodPaths {
	return []PodPaths{template("spec."+field+"{*}.template", "$.spec."+field+"{*}.replicas")}
}

var trainerKinds = of("Kubeflow Trainer v2", "trainer, pkg/apis/trainer/v1alpha1/trainingruntime_types.go and trainjob_types.go",
	Kind{Group: "trainer.kubeflow.org", Kind: "TrainingRuntime", Deferred: true, pods: func() []PodPaths { return []PodPaths{jobSetSpec("spec.template.spec")} }},
	Kind{
		Group: "trainer.kubeflow.org", Kind: "ClusterTrainingRuntime", Deferred: true, ClusterScoped: true,
		pods: func() []PodPaths { return []PodPaths{jobSetSpec("spec.template.spec")} },
	},
	Kind{
		Group: "trainer.kubeflow.org", Kind: "TrainJob",
		pods: func() []PodPaths {
			return []PodPaths{
				trainerPatch("spec.runtimePatches[*].trainingRuntimeSpec.template.spec.replicatedJobs[*].template.spec.template"),
				trainerPatch("spec.podTemplateOverrides[*]"), // trainer v2.1
			}
		},
		Advice: "its pods are those of the training runtime that its runtimeRef names: mount there, or give their pod template the label " +
			"pipeline-storage: enabled, in the runtime or by runtimePatches, and the webhook mounts the claim",
		Limits: "A TrainJob holds patches of its runtime's pod templates, not the templates. A patch that lists containers gets the mount in these, " +
			"one that lists none the label; a TrainJob without patches is reported. Trainer refuses environment variables in a patch of " +
			"the containers node, dataset-initializer and model-initializer: set those in spec.trainer.env and spec.initializer. " +
			"The definition that judges the row has no podTemplateOverrides any more, which Trainer 2.1 has.",
	},
)

// trainerPatch is the row part of a patch of a pod template. Trainer keeps the variables of its own containers to itself.
// Source: trainer, pkg/runtime/framework/plugins/jobset/jobset.go Validate.
func trainerPatch(scope string) PodPaths {
	t := template(scope)
	t.NoEnv = []string{"node", "dataset-initializer", "model-initializer"}
	t.Labels = "metadata.labels"
	t.Why = "the containers are those of the training runtime"
	return t
}

// A group without a leaderTemplate has a leader made from the workerTemplate.
var leaderWorkerSetKinds = of("LeaderWorkerSet", "lws, api/leaderworkerset/v1/leaderworkerset_types.go",
	Kind{Group: "leaderworkerset.x-k8s.io", Kind: "LeaderWorkerSet", pods: func() []PodPaths {
		return []PodPaths{
			statefulTemplate("spec.leaderWorkerTemplate.leaderTemplate", "$.spec.leaderWorkerTemplate.volumeClaimTemplates", "$.spec.replicas"),
			statefulTemplate("spec.leaderWorkerTemplate.workerTemplate", "$.spec.leaderWorkerTemplate.volumeClaimTemplates",
				"$.spec.replicas", "$.spec.leaderWorkerTemplate.size"),
		}
	}},
)

var volcanoKinds = of("Volcano", "volcano, config/crd/volcano/bases and config/crd/jobflow/bases",
	Kind{Group: "batch.volcano.sh", Kind: "Job", pods: func() []PodPaths { return []PodPaths{volcanoTasks("spec")} }},
	Kind{Group: "batch.volcano.sh", Kind: "CronJob", Deferred: true, pods: func() []PodPaths { return []PodPaths{volcanoTasks("spec.jobTemplate.spec")} }},
	Kind{Group: "flow.volcano.sh", Kind: "JobTemplate", Deferred: true, pods: func() []PodPaths { return []PodPaths{volcanoTasks("spec")} }},
	Kind{
		Group: "flow.volcano.sh", Kind: "JobFlow",
		Advice: "its pods are those of the JobTemplates that its flows name: mount there",
		Limits: "A JobFlow names JobTemplates, where the mounts go; what it patches in them is not looked into.",
	},
)

// volcanoTasks is the row part of a JobSpec, whose volumes Volcano mounts into the containers of every task.
func volcanoTasks(job string) PodPaths {
	t := template(job+".tasks[*].template", "$."+job+".tasks[*].replicas")
	t.Shared = []SharedLists{{Mounts: []string{"$." + job + ".volumes"}}}
	return t
}

// A Notebook's template has no metadata: its own labels and annotations are copied to the pod.
var notebookKinds = of("Kubeflow Notebooks", "notebooks, components/notebook-controller/controllers/notebook_controller.go",
	Kind{Group: "kubeflow.org", Kind: "Notebook", pods: func() []PodPaths { return []PodPaths{notebookTemplate()} }},
)

func notebookTemplate() PodPaths {
	t := template("spec.template")
	t.Metadata = []string{"$.metadata"}
	return t
}

var kserveKinds = of("KServe", "kserve, pkg/apis/serving/v1beta1/predictor.go, v1alpha1/servingruntime_types.go and "+
	"pkg/controller/v1beta1/inferenceservice/components/predictor.go",
	Kind{Group: "serving.kserve.io", Kind: "InferenceService", pods: func() []PodPaths {
		return []PodPaths{
			kservePod("spec.predictor", predictorContainers...),
			kserveWorker("spec.predictor"),
			kservePod("spec.transformer"),
			kservePod("spec.explainer", "art"),
			kservePod("spec.canary[*].predictor", predictorContainers...),
			kserveWorker("spec.canary[*].predictor"),
		}
	}, Limits: "A runtime's other containers get no mount: mount in the ServingRuntime. With Knative, its features for claims " +
		"(kubernetes.podspec-persistent-volume-claim and -write) must be on, and kubernetes.podspec-securitycontext for an fsGroup."},
	Kind{Group: "serving.kserve.io", Kind: "ServingRuntime", Deferred: true, pods: kserveRuntime, Limits: kserveRuntimeLimits},
	Kind{Group: "serving.kserve.io", Kind: "ClusterServingRuntime", Deferred: true, ClusterScoped: true, pods: kserveRuntime, Limits: kserveRuntimeLimits},
)

const kserveRuntimeLimits = "A runtime has no place for fsGroup: set it in the InferenceService."

// predictorContainers are the containers that a predictor names by what they serve: model, and the older frameworks.
var predictorContainers = []string{
	"model", "sklearn", "xgboost", "tensorflow", "pytorch", "triton", "onnx", "huggingface", "pmml", "lightgbm", "paddle",
}

// kservePod is the row part of a component of an InferenceService: a pod spec with labels and annotations in it, besides those
// of the InferenceService.
func kservePod(component string, named ...string) PodPaths {
	names := map[string]string{}
	for _, path := range named {
		names[path] = "kserve-container"
	}
	return PodPaths{
		Scope:           component,
		Metadata:        []string{".", "$.metadata"},
		Spec:            ".",
		SecurityContext: []string{"securityContext"},
		Affinity:        []string{"affinity"},
		Volumes:         "volumes",
		Containers:      slices.Concat([]string{"initContainers[*]"}, named, []string{"containers[*]"}),
		Names:           names,
		Replicas:        []string{"minReplicas"},
		Labels:          "labels",
		Why:             "the containers are those of the ServingRuntime",
	}
}

// kserveWorker is the row part of the further pods of a predictor on several nodes.
func kserveWorker(predictor string) PodPaths {
	t := kservePod(predictor + ".workerSpec")
	t.Metadata = []string{"$." + predictor, "$.metadata"}
	t.Replicas = nil
	t.Labels = "$." + predictor + ".labels"
	return t
}

// kserveRuntime are the row parts of a ServingRuntimeSpec.
func kserveRuntime() []PodPaths {
	pod := func(scope string) PodPaths {
		return PodPaths{Scope: scope, Metadata: []string{"."}, Spec: ".", Affinity: []string{"affinity"}, Volumes: "volumes", Containers: []string{"containers[*]"}}
	}
	return []PodPaths{pod("spec"), pod("spec.workerSpec")}
}

var appWrapperKinds = of("AppWrapper", "appwrapper, api/v1beta2/appwrapper_types.go",
	Kind{Group: "workload.codeflare.dev", Kind: "AppWrapper", Objects: "spec.components[*].template"},
)

var kueueKinds = of("Kueue", "kueue, apis/kueue/v1beta1/workload_types.go",
	Kind{
		Group: "kueue.x-k8s.io", Kind: "Workload",
		Advice: "Kueue makes it from the object that it queues: mount in that object",
		Limits: "It describes pods of another object, which is the one to mount in.",
	},
)
