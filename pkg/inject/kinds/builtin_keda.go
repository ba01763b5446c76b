package kinds

import "slices"

var kedaKinds = of(
	"KEDA", "keda v2.21.0, apis/keda/v1alpha1/scaledjob_types.go",
	Kind{
		Group: "keda.sh", Kind: "ScaledJob", Deferred: true, Controller: kedaController,
		pods: func() []PodPaths {
			return []PodPaths{template(
				"spec.jobTargetRef.template", "$.spec.jobTargetRef.parallelism", "$.spec.maxReplicaCount",
			)}
		},
	},
)

// kedaController is that of the Jobs that a ScaledJob creates.
var kedaController = Controller{
	Labels:       slices.Concat([]string{"scaledjob.keda.sh/name"}, jobController.Labels),
	LabelsSource: "keda, pkg/scaling/executor/scale_jobs.go generateJobs",
}
