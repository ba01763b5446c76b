package kinds

// daskKinds are those of the Dask operator that run pods. A DaskAutoscaler only scales a cluster.
var daskKinds = of(
	"Dask Operator",
	"dask-kubernetes 2023.7.2, dask_kubernetes/operator/customresources/templates.yaml and "+
		"dask_kubernetes/operator/controller/controller.py",
	Kind{
		Group: "kubernetes.dask.org", Kind: "DaskCluster", Controller: daskController,
		pods: func() []PodPaths { return daskCluster("spec", "$.metadata") },
	},
	Kind{
		Group: "kubernetes.dask.org", Kind: "DaskWorkerGroup", Controller: daskController,
		pods: func() []PodPaths { return []PodPaths{daskWorker("spec", "$.metadata")} },
	},
	Kind{
		Group: "kubernetes.dask.org", Kind: "DaskJob", Controller: daskController,
		pods: func() []PodPaths {
			return append(
				[]PodPaths{daskPod("spec.job", []string{"$.metadata"})},
				daskCluster("spec.cluster.spec", "$.spec.cluster.metadata", "$.metadata")...,
			)
		},
	},
)

var daskController = Controller{
	Labels: []string{"dask.org/cluster-name", "dask.org/component"},
	LabelsSource: "dask-kubernetes, dask_kubernetes/operator/controller/controller.py " +
		"build_scheduler_deployment_spec, build_worker_deployment_spec and build_job_pod_spec",
}

// daskCluster are the row parts of a DaskCluster's spec.
func daskCluster(cluster string, metadata ...string) []PodPaths {
	return []PodPaths{daskPod(cluster+".scheduler", metadata), daskWorker(cluster, metadata...)}
}

// daskWorker is the row part of the workers, each of which is a Deployment of one pod.
func daskWorker(cluster string, metadata ...string) PodPaths {
	return daskPod(cluster+".worker", metadata, "$."+cluster+".worker.replicas")
}

// daskPod is the row part of a role: a pod spec, and labels and annotations in addition to those of
// the objects around it.
func daskPod(scope string, metadata []string, replicas ...string) PodPaths {
	t := template(scope, replicas...)
	t.Metadata = append(t.Metadata, metadata...)
	return t
}
