package kinds

var rayKinds = of("Ray (KubeRay)", "kuberay, ray-operator/apis/ray/v1/raycluster_types.go, rayjob_types.go, rayservice_types.go and raycronjob_types.go",
	Kind{Group: "ray.io", Kind: "RayCluster", pods: func() []PodPaths { return raySpec("spec") }, Limits: "The autoscaler's container, which the operator adds to the head, gets no mount."},
	Kind{Group: "ray.io", Kind: "RayJob", pods: func() []PodPaths { return rayJobSpec("spec") }, Advice: rayJobAdvice, Limits: rayJobLimits},
	Kind{Group: "ray.io", Kind: "RayCronJob", Deferred: true, pods: func() []PodPaths { return rayJobSpec("spec.jobTemplate") }, Advice: rayJobAdvice, Limits: rayJobLimits},
	Kind{Group: "ray.io", Kind: "RayService", pods: func() []PodPaths { return raySpec("spec.rayClusterConfig") }},
)

const (
	rayJobAdvice = "it holds no pods: its work runs in those of the RayCluster that its clusterSelector names, so mount there"
	rayJobLimits = "Without a submitterPodTemplate the operator makes the pod that submits the job, which gets no mount; it only sends the job to the cluster."
)

// raySpec are the row parts of a RayClusterSpec.
func raySpec(cluster string) []PodPaths {
	return []PodPaths{
		template(cluster + ".headGroupSpec.template"),
		template(cluster+".workerGroupSpecs[*].template", "$."+cluster+".workerGroupSpecs[*].replicas"),
	}
}

// rayJobSpec are the row parts of a RayJobSpec.
func rayJobSpec(job string) []PodPaths {
	return append(raySpec(job+".rayClusterSpec"), template(job+".submitterPodTemplate"))
}
