package kinds

var rayKinds = of(
	"Ray (KubeRay)",
	"kuberay, ray-operator/apis/ray/v1/raycluster_types.go, rayjob_types.go, rayservice_types.go and raycronjob_types.go",
	Kind{
		Group: "ray.io", Kind: "RayCluster", Controller: rayController,
		pods:   func() []PodPaths { return raySpec("spec") },
		Limits: "The autoscaler's container, which the operator adds to the head, gets no mount.",
	},
	Kind{
		Group: "ray.io", Kind: "RayJob", Controller: rayJobController, Advice: rayJobAdvice, Limits: rayJobLimits,
		pods: func() []PodPaths { return rayJobSpec("spec") },
	},
	Kind{
		Group: "ray.io", Kind: "RayCronJob", Deferred: true, Controller: rayJobController, Advice: rayJobAdvice,
		Limits: rayJobLimits, pods: func() []PodPaths { return rayJobSpec("spec.jobTemplate") },
	},
	Kind{
		Group: "ray.io", Kind: "RayService", Controller: rayController,
		pods: func() []PodPaths { return raySpec("spec.rayClusterConfig") },
	},
)

// rayLabels are on the pods of every RayCluster, also of one that a RayJob or RayService creates.
var (
	rayLabels     = []string{"ray.io/cluster", "ray.io/node-type", "ray.io/group"}
	rayController = Controller{
		Labels: rayLabels, LabelsSource: "KubeRay, ray-operator/controllers/ray/common/pod.go labelPod",
	}
	rayJobController = Controller{Labels: rayLabels, LabelsBelow: "/rayClusterSpec/", LabelsSource: "as a RayCluster's"}
)

const (
	rayJobAdvice = "it holds no pods: its work runs in those of the RayCluster that its clusterSelector names, so " +
		"mount there"
	rayJobLimits = "Without a submitterPodTemplate the operator makes the pod that submits the job, which gets no " +
		"mount; it only sends the job to the cluster."
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
