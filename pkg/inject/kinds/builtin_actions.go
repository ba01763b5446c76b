package kinds

var actionsKinds = of(
	"Actions Runner Controller",
	"actions-runner-controller v0.27.6, apis/actions.github.com/v1alpha1/autoscalingrunnerset_types.go and "+
		"controllers/actions.github.com/resourcebuilder.go",
	Kind{
		Group: "actions.github.com", Kind: "AutoscalingRunnerSet",
		Controller: Controller{
			Labels:       []string{"actions-ephemeral-runner"},
			LabelsBelow:  "/spec/template",
			LabelsSource: "actions-runner-controller, controllers/actions.github.com/resourcebuilder.go newEphemeralRunnerPod",
		},
		pods: func() []PodPaths {
			return []PodPaths{
				template("spec.template", "$.spec.maxRunners"),
				{
					Scope: "spec.listenerTemplate", Metadata: []string{"metadata"},
					Why: "the listener runs in the namespace of its controller, where the claim is not",
				},
			}
		},
		Limits: "In the container mode kubernetes, a job's containers run in pods that the runner creates: label those by " +
			"the pod template that ACTIONS_RUNNER_CONTAINER_HOOK_TEMPLATE names.",
	},
)
