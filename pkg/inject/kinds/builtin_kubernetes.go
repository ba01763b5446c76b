package kinds

// The kinds of Kubernetes itself.
var kubernetesKinds = of("Kubernetes", "k8s.io/api core/v1, apps/v1 and batch/v1 types.go",
	Kind{Kind: "Pod", pods: func() []PodPaths { return []PodPaths{template(".")} }},
	Kind{Kind: "PodTemplate", Deferred: true, pods: func() []PodPaths { return []PodPaths{template("template")} }},
	Kind{Kind: "ReplicationController", pods: func() []PodPaths { return []PodPaths{template("spec.template", "$.spec.replicas")} }},
	Kind{Kind: "List", Objects: "items[*]"},
	Kind{Group: "apps", Kind: "Deployment", pods: func() []PodPaths { return []PodPaths{template("spec.template", "$.spec.replicas")} }},
	Kind{Group: "apps", Kind: "ReplicaSet", pods: func() []PodPaths { return []PodPaths{template("spec.template", "$.spec.replicas")} }},
	Kind{Group: "apps", Kind: "StatefulSet", pods: func() []PodPaths {
		return []PodPaths{statefulTemplate("spec.template", "$.spec.volumeClaimTemplates", "$.spec.replicas")}
	}},
	Kind{Group: "apps", Kind: "DaemonSet", PerNode: true, pods: func() []PodPaths { return []PodPaths{template("spec.template")} }},
	Kind{Group: "batch", Kind: "Job", pods: func() []PodPaths { return []PodPaths{template("spec.template", "$.spec.parallelism")} }},
	Kind{Group: "batch", Kind: "CronJob", Deferred: true, pods: func() []PodPaths {
		return []PodPaths{template("spec.jobTemplate.spec.template", "$.spec.jobTemplate.spec.parallelism")}
	}},
)
