package kinds

var rolloutsKinds = of(
	"Argo Rollouts", "argo-rollouts v1.8.3, pkg/apis/rollouts/v1alpha1/types.go",
	Kind{
		Group: "argoproj.io", Kind: "Rollout",
		Controller: Controller{
			Labels:       []string{"rollouts-pod-template-hash"},
			LabelsSource: "argo-rollouts, pkg/apis/rollouts/v1alpha1/types.go DefaultRolloutUniqueLabelKey",
		},
		pods:   func() []PodPaths { return []PodPaths{template("spec.template", "$.spec.replicas")} },
		Advice: "its pod template is that of the workload that its workloadRef names: mount there",
	},
)
