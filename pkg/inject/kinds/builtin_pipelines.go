package kinds

// A ScheduledWorkflow holds the spec of an Argo Workflow, or since version 2 the text of one.
var pipelinesKinds = of(
	"Kubeflow Pipelines", "pipelines at c6f3ec16, backend/src/crd/pkg/apis/scheduledworkflow/v1beta1/types.go",
	Kind{
		Group: "kubeflow.org", Kind: "ScheduledWorkflow", Deferred: true, Controller: argoController,
		pods: func() []PodPaths {
			return append(argoTemplates("spec.workflow.spec"), argoReference("spec.workflow.spec"))
		},
		Advice: "its workflow is text, which is not edited, or runs no containers of its own: label the pods of the " +
			"pipeline's tasks pipeline-storage: enabled where the pipeline is written, and the webhook mounts the claim",
		Limits: "A workflow that stands there as text is not edited. " + argoRefLimits,
	},
)
