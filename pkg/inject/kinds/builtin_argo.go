package kinds

// argoRefLimits is what a workflow cannot do about the templates of another object.
const argoRefLimits = "A task or step with a templateRef runs a template of a WorkflowTemplate: mount there."

const argoAdvice = "its templates run no containers of their own: mount in the WorkflowTemplates that they " +
	"name; the pod of a resource " +
	"template only creates the object that its manifest holds"

// argoController copies the mounts of the container main to the one that saves artifacts.
// Source: argo-workflows, workflow/controller/workflowpod.go addOutputArtifactsVolumes.
var argoController = Controller{CopiesMounts: true}

var argoKinds = of("Argo Workflows", "argo-workflows, pkg/apis/workflow/v1alpha1/workflow_types.go",
	Kind{
		Group: "argoproj.io", Kind: "Workflow", Controller: argoController, Advice: argoAdvice, Limits: argoRefLimits,
		pods: func() []PodPaths { return append(argoTemplates("spec"), argoReference("spec")) },
	},
	Kind{
		Group:      "argoproj.io",
		Kind:       "WorkflowTemplate",
		Deferred:   true,
		Controller: argoController,
		Advice:     argoAdvice,
		Limits:     argoRefLimits,
		pods:       func() []PodPaths { return argoTemplates("spec") },
	},
	Kind{
		Group:         "argoproj.io",
		Kind:          "ClusterWorkflowTemplate",
		Deferred:      true,
		ClusterScoped: true,
		Controller:    argoController,
		pods:          func() []PodPaths { return argoTemplates("spec") },
		Advice:        argoAdvice,
		Limits:        argoRefLimits,
	},
	Kind{
		Group:      "argoproj.io",
		Kind:       "CronWorkflow",
		Deferred:   true,
		Controller: argoController,
		Advice:     argoAdvice,
		Limits:     argoRefLimits,
		pods: func() []PodPaths {
			return append(argoTemplates("spec.workflowSpec"), argoReference("spec.workflowSpec"))
		},
	},
)

// argoTemplates is the row part of an Argo workflow: mounts and volumes per template, pod metadata
// and security context in both, where the template's own security context takes the place of the
// workflow's. The volume goes where the mount is, because a template that another workflow calls by
// templateRef finds its own volumes and the caller's, not those of the workflow around it.
// Source: argo-workflows, workflow/controller/workflowpod.go addVolumeReferences.
func argoTemplates(workflow string) []PodPaths {
	var pods []PodPaths
	for _, scope := range []string{
		".templates[*]", ".templates[*].dag.tasks[*].inline", ".templates[*].steps[*][*].inline", ".templateDefaults",
	} {
		pods = append(pods, argoTemplate(workflow, workflow+scope))
	}
	return pods
}

// argoTemplate is the row part of one template. Argo merges the workflow's templateDefaults into
// it, gives the containers of a containerSet the mounts of the set, and the mounts of the container
// main to those that mirror them.
// Source: argo-workflows, docs/template-defaults.md, container_set_template_types.go and
// workflowpod.go mirrorVolumeMounts.
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
		Shared: []SharedLists{
			withDefaults("container"), withDefaults("script"),
			{Containers: []string{"containerSet.containers[*]"}, Mounts: []string{"containerSet.volumeMounts"}},
		},
		ClaimTemplates: "$." + workflow + ".volumeClaimTemplates",
		ProjectPaths:   ProjectPaths{Mirror: &Mirror{Field: "mirrorVolumeMounts", Of: "main"}},
	}
}

// argoReference is the row part of a workflow whose templates are those of a WorkflowTemplate. Argo
// joins both specs, so that the workflow's podMetadata counts. Source: argo-workflows,
// workflow/util/merge.go JoinWorkflowSpec.
func argoReference(workflow string) PodPaths {
	return PodPaths{
		Scope:    workflow + ".workflowTemplateRef",
		Metadata: []string{"$." + workflow + ".podMetadata"},
		Labels:   "$." + workflow + ".podMetadata.labels",
		Why:      "the templates are those of the WorkflowTemplate that it names",
	}
}
