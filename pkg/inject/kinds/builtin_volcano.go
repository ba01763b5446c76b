package kinds

var volcanoKinds = of(
	"Volcano", "volcano, config/crd/volcano/bases and config/crd/jobflow/bases",
	Kind{
		Group: "batch.volcano.sh", Kind: "Job", Controller: volcanoController,
		pods: func() []PodPaths { return []PodPaths{volcanoTasks("spec")} },
	},
	Kind{
		Group: "batch.volcano.sh", Kind: "CronJob", Deferred: true, Controller: volcanoController,
		pods: func() []PodPaths { return []PodPaths{volcanoTasks("spec.jobTemplate.spec")} },
	},
	Kind{
		Group: "flow.volcano.sh", Kind: "JobTemplate", Deferred: true, Controller: volcanoController,
		pods: func() []PodPaths { return []PodPaths{volcanoTasks("spec")} },
	},
	Kind{
		Group: "flow.volcano.sh", Kind: "JobFlow",
		Advice: "its pods are those of the JobTemplates that its flows name: mount there",
		Limits: "A JobFlow names JobTemplates, where the mounts go; what it patches in them is not read.",
	},
)

// volcanoController is that of a Job, and of the Jobs that a CronJob or a JobFlow creates.
var volcanoController = Controller{
	Labels: []string{
		"volcano.sh/job-name", "volcano.sh/job-namespace", "volcano.sh/task-spec", "volcano.sh/task-index",
	},
	LabelsSource: "Volcano, pkg/controllers/job/job_controller_util.go createJobPod",
}

// volcanoTasks is the row part of a JobSpec, whose volumes Volcano mounts into the containers of
// every task.
func volcanoTasks(job string) PodPaths {
	t := template(job+".tasks[*].template", "$."+job+".tasks[*].replicas")
	t.Shared = []SharedLists{{Mounts: []string{"$." + job + ".volumes"}}}
	return t
}
