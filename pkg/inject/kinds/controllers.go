package kinds

import (
	"slices"
	"strings"
)

// controllerLabels are the labels that controllers give the pods which they make of a template. Where a kind makes pods in
// several ways, below says which of its templates is meant.
var controllerLabels = []struct {
	group, kind, below string
	keys               []string
	source             string
}{
	{group: "batch", kind: "Job", keys: jobLabels, source: "Kubernetes, batch/v1 JobNameLabel and ControllerUidLabel"},
	{group: "batch", kind: "CronJob", keys: jobLabels, source: "as a Job's"},
	{
		group: "apps", kind: "StatefulSet", keys: []string{"statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index"},
		source: "Kubernetes, apps/v1 StatefulSetPodNameLabel and PodIndexLabel",
	},
	{group: "ray.io", kind: "RayCluster", keys: rayLabels, source: "KubeRay, ray-operator/controllers/ray/common/pod.go labelPod"},
	{group: "ray.io", kind: "RayJob", below: "/rayClusterSpec/", keys: rayLabels, source: "as a RayCluster's"},
	{group: "ray.io", kind: "RayCronJob", below: "/rayClusterSpec/", keys: rayLabels, source: "as a RayJob's, which it makes"},
	{group: "ray.io", kind: "RayService", keys: rayLabels, source: "as a RayCluster's"},
	{
		group: "jobset.x-k8s.io", kind: "JobSet", keys: jobSetLabels,
		source: "JobSet, api/jobset/v1alpha2/jobset_types.go and pkg/controllers/jobset_controller.go labelAndAnnotateObject",
	},
	{group: "trainer.kubeflow.org", kind: "TrainingRuntime", keys: jobSetLabels, source: "as a JobSet's, which a TrainJob makes of it"},
	{group: "trainer.kubeflow.org", kind: "ClusterTrainingRuntime", keys: jobSetLabels, source: "as a TrainingRuntime's"},
	{group: "sparkoperator.k8s.io", kind: "SparkApplication", keys: sparkLabels, source: "Spark operator, pkg/common/spark.go"},
	{group: "sparkoperator.k8s.io", kind: "ScheduledSparkApplication", keys: sparkLabels, source: "as a SparkApplication's, which it makes"},
	{group: "kubeflow.org", kind: "PyTorchJob", keys: replicaLabels, source: "training-operator, pkg/controller.v1/common/pod.go createNewPod"},
	{group: "kubeflow.org", kind: "TFJob", keys: replicaLabels, source: "training-operator, pkg/controller.v1/tensorflow/tfjob_controller.go createNewPod"},
	{group: "kubeflow.org", kind: "XGBoostJob", keys: replicaLabels, source: "as a PyTorchJob's"},
	{group: "kubeflow.org", kind: "PaddleJob", keys: replicaLabels, source: "as a PyTorchJob's"},
	{group: "kubeflow.org", kind: "JAXJob", keys: replicaLabels, source: "as a PyTorchJob's"},
	{
		group: "kubeflow.org", kind: "MPIJob", keys: replicaLabels[:2], // what both operators add, to launchers and workers
		source: "training-operator, pkg/controller.v1/mpi/mpijob_controller.go newWorker; mpi-operator, pkg/controller/mpi_job_controller.go defaultLabels",
	},
	{
		group: "leaderworkerset.x-k8s.io", kind: "LeaderWorkerSet", // of leaders as well as of workers
		keys:   []string{"leaderworkerset.sigs.k8s.io/name", "leaderworkerset.sigs.k8s.io/group-index", "leaderworkerset.sigs.k8s.io/worker-index"},
		source: "lws, pkg/controllers/leaderworkerset_controller.go, pkg/controllers/pod_controller.go and pkg/webhooks/pod_webhook.go",
	},
	{group: "tekton.dev", kind: "Task", keys: tektonLabels[:1], source: "as a TaskRun's, which is made of it"},
	{group: "tekton.dev", kind: "TaskRun", keys: tektonLabels[:1], source: "Tekton, docs/labels.md, Automatic labeling"},
	{group: "tekton.dev", kind: "Pipeline", keys: tektonLabels, source: "as a PipelineRun's, which is made of it"},
	{group: "tekton.dev", kind: "PipelineRun", keys: tektonLabels, source: "Tekton, docs/labels.md, Automatic labeling"},
	{group: "batch.volcano.sh", kind: "Job", keys: volcanoLabels, source: "Volcano, pkg/controllers/job/job_controller_util.go createJobPod"},
	{group: "batch.volcano.sh", kind: "CronJob", keys: volcanoLabels, source: "as a Volcano Job's, which it makes"},
	{group: "flow.volcano.sh", kind: "JobTemplate", keys: volcanoLabels, source: "as a Volcano Job's, which a JobFlow makes of it"},
}

var (
	jobLabels = []string{"batch.kubernetes.io/job-name", "job-name", "batch.kubernetes.io/controller-uid", "controller-uid"}
	rayLabels = []string{"ray.io/cluster", "ray.io/node-type", "ray.io/group"}

	jobSetLabels = append([]string{"jobset.sigs.k8s.io/jobset-name", "jobset.sigs.k8s.io/replicatedjob-name", "jobset.sigs.k8s.io/job-index"}, jobLabels...)
	sparkLabels  = []string{"sparkoperator.k8s.io/app-name", "spark-role"}

	replicaLabels = []string{
		"training.kubeflow.org/job-name", "training.kubeflow.org/operator-name", "training.kubeflow.org/replica-type", "training.kubeflow.org/replica-index",
	}
	tektonLabels  = []string{"tekton.dev/taskRun", "tekton.dev/pipelineRun"}
	volcanoLabels = []string{"volcano.sh/job-name", "volcano.sh/job-namespace", "volcano.sh/task-spec", "volcano.sh/task-index"}
)

// ControllerAddsLabel reports whether the controller of the pod's kind gives its pods a label that their template does not have.
func (p *Pod) ControllerAddsLabel(key string) bool {
	for _, c := range controllerLabels {
		if c.group == p.Group && c.kind == p.Kind && strings.Contains(p.Path, c.below) && slices.Contains(c.keys, key) {
			return true
		}
	}
	return false
}

// copiesMounts are the kinds whose controller gives the mounts of a template's main container to a container of its own,
// which would miss the variables of a subPathExpr and never start. Source: argo-workflows, workflow/controller/workflowpod.go
// addOutputArtifactsVolumes.
var copiesMounts = []groupKind{
	{"argoproj.io", "Workflow"}, {"argoproj.io", "WorkflowTemplate"}, {"argoproj.io", "ClusterWorkflowTemplate"}, {"argoproj.io", "CronWorkflow"},
}

// ControllerCopiesMounts reports whether the controller of the pod's kind copies the mounts of a template to a container of its own.
func (p *Pod) ControllerCopiesMounts() bool {
	return slices.Contains(copiesMounts, groupKind{p.Group, p.Kind})
}
