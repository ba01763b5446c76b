package kinds

// Labels go from Pipeline and PipelineRun to the TaskRuns, from the Task to its TaskRun, and from
// there to the pod.
// Source: tekton pipeline, docs/labels.md.
var tektonKinds = of(
	"Tekton Pipelines",
	"pipeline, pkg/apis/pipeline/v1/task_types.go, pipeline_types.go, taskrun_types.go and task_validation.go",
	Kind{
		Group: "tekton.dev", Kind: "Task",
		Controller: Controller{Labels: tektonLabels[:1], LabelsSource: "as a TaskRun's, which is made of it"},
		Deferred:   true,
		pods: func() []PodPaths {
			return []PodPaths{
				tektonTask("spec", tektonRootLabels, []string{tektonRoot}),
			}
		},
		Limits: tektonLimits + " A Task has no place for fsGroup: set it in the podTemplate of the run.",
	},
	Kind{
		Group: "tekton.dev", Kind: "TaskRun",
		Controller: Controller{Labels: tektonLabels[:1], LabelsSource: "Tekton, docs/labels.md, Automatic labeling"},
		pods: func() []PodPaths {
			return []PodPaths{
				tektonTask("spec.taskSpec", tektonRootLabels, []string{tektonRoot}, "$.spec.podTemplate"),
				tektonReference("spec.taskRef", "Task"),
			}
		},
		Limits: tektonLimits,
	},
	Kind{
		Group: "tekton.dev", Kind: "Pipeline",
		Controller: Controller{Labels: tektonLabels, LabelsSource: "as a PipelineRun's, which is made of it"},
		Deferred:   true, pods: func() []PodPaths { return tektonPipeline("spec") },
		Limits: tektonLimits + tektonPipelineLimits,
	},
	Kind{
		Group: "tekton.dev", Kind: "PipelineRun",
		Controller: Controller{Labels: tektonLabels, LabelsSource: "Tekton, docs/labels.md, Automatic labeling"},
		pods: func() []PodPaths {
			return append(
				tektonPipeline("spec.pipelineSpec", "$.spec.taskRunTemplate.podTemplate", "$.spec.podTemplate"),
				tektonReference("spec.pipelineRef", "Pipeline"),
			)
		},
		Limits: tektonLimits + tektonPipelineLimits,
	},
	Kind{
		Group: "tekton.dev", Kind: "StepAction", Deferred: true,
		Advice: "a StepAction has no volumes of its own: label the Task or the run that uses it pipeline-storage: " +
			"enabled, and the webhook mounts the claim into every step",
		Limits: "A StepAction has no volumes of its own. The label on the Task or the run that uses it lets the " +
			"webhook mount the claim.",
	},
)

// tektonLabels are what TaskRuns give their pods, and PipelineRuns theirs.
var tektonLabels = []string{"tekton.dev/taskRun", "tekton.dev/pipelineRun"}

const (
	tektonRoot       = "$.metadata"
	tektonRootLabels = "$.metadata.labels"
	tektonLimits     = "A step with a ref takes no mount: the Task gets the label, and the webhook mounts the " +
		"claim. At admission the container of the step NAME is called step-NAME."
	tektonPipelineLimits = " Tasks by taskRef get the label. Pipelines inside pipelines are not read; the report " +
		"has a line about them."
)

// tektonTask is the row part of a TaskSpec. Tekton merges the stepTemplate into each step by mount
// path and name, so that an added mount would replace one of it; and it refuses a mount at the path
// of a workspace.
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
		Shared: []SharedLists{
			{Containers: []string{"steps[*]"}, Mounts: []string{"stepTemplate.volumeMounts"}, Env: []string{"stepTemplate.env"}},
			{Mounts: []string{"workspaces"}},
		},
		Labels:       labels,
		Why:          "a step with a ref may have no mounts, and a task of a kind of its own has no steps",
		ProjectPaths: ProjectPaths{ContainerMounts: []string{"workspaces"}, Reference: "ref"},
	}
}

// tektonReference is the row part of a task or pipeline that another object defines.
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
		pods = append(
			pods,
			tektonTask(pipeline+list+".taskSpec", "metadata.labels", []string{"metadata", tektonRoot}, podTemplates...),
			tektonReference(pipeline+list+".taskRef", "Task"),
			PodPaths{
				Scope: pipeline + list + ".pipelineSpec", Metadata: []string{tektonRoot},
				Why: "it is a pipeline inside a pipeline, which is not read: mount in a Pipeline of its own",
			},
		)
	}
	return pods
}
