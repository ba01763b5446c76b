package kinds

// The kinds of Kubernetes itself.
var kubernetesKinds = of(
	"Kubernetes", "k8s.io/api core/v1, apps/v1 and batch/v1 types.go",
	Kind{Kind: "Pod", pods: func() []PodPaths { return []PodPaths{template(".")} }},
	Kind{Kind: "PodTemplate", Deferred: true, pods: func() []PodPaths { return []PodPaths{template("template")} }},
	Kind{
		Kind: "ReplicationController",
		pods: func() []PodPaths { return []PodPaths{template("spec.template", "$.spec.replicas")} },
	},
	Kind{Kind: "List", Objects: []string{"items[*]"}},
	Kind{
		Group: "apps", Kind: "Deployment",
		pods: func() []PodPaths { return []PodPaths{template("spec.template", "$.spec.replicas")} },
	},
	Kind{
		Group: "apps", Kind: "ReplicaSet",
		pods: func() []PodPaths { return []PodPaths{template("spec.template", "$.spec.replicas")} },
	},
	Kind{Group: "apps", Kind: "StatefulSet", Controller: statefulSetController, pods: func() []PodPaths {
		return []PodPaths{statefulTemplate("spec.template", "$.spec.volumeClaimTemplates", "$.spec.replicas")}
	}},
	Kind{
		Group: "apps", Kind: "DaemonSet", PerNode: true,
		pods: func() []PodPaths { return []PodPaths{template("spec.template")} },
	},
	Kind{
		Group: "batch", Kind: "Job", Controller: jobController,
		pods: func() []PodPaths { return []PodPaths{template("spec.template", "$.spec.parallelism")} },
	},
	Kind{Group: "batch", Kind: "CronJob", Deferred: true, Controller: jobController, pods: func() []PodPaths {
		return []PodPaths{template("spec.jobTemplate.spec.template", "$.spec.jobTemplate.spec.parallelism")}
	}},
)

// jobController is that of a Job, and of the Jobs of a CronJob.
var jobController = Controller{
	Labels: []string{
		"batch.kubernetes.io/job-name", "job-name", "batch.kubernetes.io/controller-uid", "controller-uid",
	},
	LabelsSource: "Kubernetes, batch/v1 JobNameLabel and ControllerUidLabel",
}

var statefulSetController = Controller{
	Labels:       []string{"statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index"},
	LabelsSource: "Kubernetes, apps/v1 StatefulSetPodNameLabel and PodIndexLabel",
}
