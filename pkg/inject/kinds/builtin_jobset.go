package kinds

import "slices"

var jobSetKinds = of(
	"JobSet", "jobset, api/jobset/v1alpha2/jobset_types.go",
	Kind{
		Group: "jobset.x-k8s.io", Kind: "JobSet", Controller: jobSetController,
		pods: func() []PodPaths { return []PodPaths{jobSetSpec("spec")} },
	},
)

// jobSetController adds its labels to those of the Jobs that it creates.
var jobSetController = Controller{
	Labels: slices.Concat(
		[]string{"jobset.sigs.k8s.io/jobset-name", "jobset.sigs.k8s.io/replicatedjob-name", "jobset.sigs.k8s.io/job-index"},
		jobController.Labels,
	),
	LabelsSource: "JobSet, api/jobset/v1alpha2/jobset_types.go and pkg/controllers/jobset_controller.go " +
		"labelAndAnnotateObject",
}

// jobSetSpec is the row part of a JobSetSpec.
func jobSetSpec(jobSet string) PodPaths {
	return template(jobSet+".replicatedJobs[*].template.spec.template",
		"$."+jobSet+".replicatedJobs[*].replicas", "$."+jobSet+".replicatedJobs[*].template.spec.parallelism")
}
