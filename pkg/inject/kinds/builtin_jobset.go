package kinds

var jobSetKinds = of("JobSet", "jobset, api/jobset/v1alpha2/jobset_types.go",
	Kind{Group: "jobset.x-k8s.io", Kind: "JobSet", pods: func() []PodPaths { return []PodPaths{jobSetSpec("spec")} }},
)

// jobSetSpec is the row part of a JobSetSpec.
func jobSetSpec(jobSet string) PodPaths {
	return template(jobSet+".replicatedJobs[*].template.spec.template",
		"$."+jobSet+".replicatedJobs[*].replicas", "$."+jobSet+".replicatedJobs[*].template.spec.parallelism")
}
