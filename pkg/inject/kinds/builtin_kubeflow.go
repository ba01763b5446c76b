package kinds

// The kinds of the training operator, whose replica specs are maps from a role to its replicas and
// template. MPIJob is one of the MPI operator too, with the same paths. Source: mpi-operator,
// manifests/base/kubeflow.org_mpijobs.yaml.
var trainingOperatorKinds = of(
	"Kubeflow Training Operator v1", "training-operator v1.9, pkg/apis/kubeflow.org/v1",
	Kind{
		Group: "kubeflow.org", Kind: "PyTorchJob", Controller: replicaController,
		pods: func() []PodPaths { return replicaSpecs("pytorchReplicaSpecs") },
	},
	Kind{
		Group: "kubeflow.org", Kind: "TFJob", Controller: tfJobController,
		pods: func() []PodPaths { return replicaSpecs("tfReplicaSpecs") },
	},
	Kind{
		Group: "kubeflow.org", Kind: "MPIJob", Controller: mpiJobController,
		pods: func() []PodPaths { return replicaSpecs("mpiReplicaSpecs") },
	},
	Kind{
		Group: "kubeflow.org", Kind: "XGBoostJob", Controller: replicaController,
		pods: func() []PodPaths { return replicaSpecs("xgbReplicaSpecs") },
	},
	Kind{
		Group: "kubeflow.org", Kind: "PaddleJob", Controller: replicaController,
		pods: func() []PodPaths { return replicaSpecs("paddleReplicaSpecs") },
	},
	Kind{
		Group: "kubeflow.org", Kind: "JAXJob", Controller: replicaController,
		pods: func() []PodPaths { return replicaSpecs("jaxReplicaSpecs") },
	},
)

var (
	replicaLabels = []string{
		"training.kubeflow.org/job-name", "training.kubeflow.org/operator-name",
		"training.kubeflow.org/replica-type", "training.kubeflow.org/replica-index",
	}
	replicaController = Controller{
		Labels: replicaLabels, LabelsSource: "training-operator, pkg/controller.v1/common/pod.go createNewPod",
	}
	tfJobController = Controller{
		Labels:       replicaLabels,
		LabelsSource: "training-operator, pkg/controller.v1/tensorflow/tfjob_controller.go createNewPod",
	}
	mpiJobController = Controller{
		Labels: replicaLabels[:2], // those that both operators add, to launchers and workers
		LabelsSource: "training-operator, pkg/controller.v1/mpi/mpijob_controller.go newWorker; " +
			"mpi-operator, pkg/controller/mpi_job_controller.go defaultLabels",
	}
)

func replicaSpecs(field string) []PodPaths {
	return []PodPaths{template("spec."+field+"{*}.template", "$.spec."+field+"{*}.replicas")}
}

var trainerKinds = of(
	"Kubeflow Trainer v2", "trainer, pkg/apis/trainer/v1alpha1/trainingruntime_types.go and trainjob_types.go",
	Kind{
		Group: "trainer.kubeflow.org", Kind: "TrainingRuntime", Deferred: true, Controller: runtimeController,
		pods: func() []PodPaths { return []PodPaths{jobSetSpec("spec.template.spec")} },
	},
	Kind{
		Group: "trainer.kubeflow.org", Kind: "ClusterTrainingRuntime", Deferred: true, ClusterScoped: true,
		Controller: runtimeController,
		pods:       func() []PodPaths { return []PodPaths{jobSetSpec("spec.template.spec")} },
	},
	Kind{
		Group: "trainer.kubeflow.org", Kind: "TrainJob",
		pods: func() []PodPaths {
			return []PodPaths{
				trainerPatch("spec.runtimePatches[*].trainingRuntimeSpec.template.spec.replicatedJobs[*].template.spec.template"),
				trainerPatch("spec.podTemplateOverrides[*]"), // trainer v2.1
			}
		},
		Advice: "its pods are those of the training runtime that its runtimeRef names: mount there, or give their pod " +
			"template the label " +
			"pipeline-storage: enabled, in the runtime or by runtimePatches, and the webhook mounts the claim",
		Limits: "A TrainJob holds patches of its runtime's pod templates, not the templates. A patch that lists " +
			"containers gets the mount in these, " +
			"one that lists none the label; a TrainJob without patches is reported. Trainer refuses environment " +
			"variables in a patch of " +
			"the containers node, dataset-initializer and model-initializer: set those in spec.trainer.env and " +
			"spec.initializer. " +
			"The definition that judges the row has no podTemplateOverrides any more, which Trainer 2.1 has.",
	},
)

// runtimeController is that of the JobSet that a TrainJob creates from a runtime.
var runtimeController = Controller{
	Labels: jobSetController.Labels, LabelsSource: "as a JobSet's, which a TrainJob creates from it",
}

// trainerPatch is the row part of a patch of a pod template. Trainer keeps the variables of its own
// containers to itself.
// Source: trainer, pkg/runtime/framework/plugins/jobset/jobset.go Validate.
func trainerPatch(scope string) PodPaths {
	t := template(scope)
	t.NoEnv = []string{"node", "dataset-initializer", "model-initializer"}
	t.Labels = "metadata.labels"
	t.Why = "the containers are those of the training runtime"
	return t
}

// A Notebook's template has no metadata: its own labels and annotations are copied to the pod.
var notebookKinds = of(
	"Kubeflow Notebooks", "notebooks, components/notebook-controller/controllers/notebook_controller.go",
	Kind{Group: "kubeflow.org", Kind: "Notebook", pods: func() []PodPaths { return []PodPaths{notebookTemplate()} }},
)

func notebookTemplate() PodPaths {
	t := template("spec.template")
	t.Metadata = []string{"$.metadata"}
	return t
}
