package kinds

import (
	"slices"
)

var kserveKinds = of(
	"KServe",
	"kserve, pkg/apis/serving/v1beta1/predictor.go, v1alpha1/servingruntime_types.go and "+
		"pkg/controller/v1beta1/inferenceservice/components/predictor.go",
	Kind{Group: "serving.kserve.io", Kind: "InferenceService", pods: func() []PodPaths {
		return []PodPaths{
			kservePod("spec.predictor", predictorContainers...),
			kserveWorker("spec.predictor"),
			kservePod("spec.transformer"),
			kservePod("spec.explainer", "art"),
			kservePod("spec.canary[*].predictor", predictorContainers...),
			kserveWorker("spec.canary[*].predictor"),
		}
	}, Limits: "A runtime's other containers get no mount: mount in the ServingRuntime. With Knative, its features " +
		"for claims " +
		"(kubernetes.podspec-persistent-volume-claim and -write) must be on, and kubernetes.podspec-securitycontext " +
		"for an fsGroup."},
	Kind{
		Group: "serving.kserve.io", Kind: "ServingRuntime", Deferred: true, pods: kserveRuntime,
		Limits: kserveRuntimeLimits,
	},
	Kind{
		Group: "serving.kserve.io", Kind: "ClusterServingRuntime", Deferred: true, ClusterScoped: true,
		pods: kserveRuntime, Limits: kserveRuntimeLimits,
	},
)

const kserveRuntimeLimits = "A runtime has no place for fsGroup: set it in the InferenceService."

// predictorContainers are the containers that a predictor names by what they serve: model, and the
// older frameworks.
var predictorContainers = []string{
	"model", "sklearn", "xgboost", "tensorflow", "pytorch", "triton", "onnx", "huggingface", "pmml", "lightgbm", "paddle",
}

// kservePod is the row part of a component of an InferenceService: a pod spec with labels and
// annotations in it, in addition to those of the InferenceService.
func kservePod(component string, named ...string) PodPaths {
	names := map[string]string{}
	for _, path := range named {
		names[path] = "kserve-container"
	}
	return PodPaths{
		Scope:           component,
		Metadata:        []string{".", "$.metadata"},
		Spec:            ".",
		SecurityContext: []string{"securityContext"},
		Affinity:        []string{"affinity"},
		Volumes:         "volumes",
		Containers:      slices.Concat([]string{"initContainers[*]"}, named, []string{"containers[*]"}),
		Names:           names,
		Replicas:        []string{"minReplicas"},
		Labels:          "labels",
		Why:             "the containers are those of the ServingRuntime",
	}
}

// kserveWorker is the row part of the further pods of a predictor on several nodes.
func kserveWorker(predictor string) PodPaths {
	t := kservePod(predictor + ".workerSpec")
	t.Metadata = []string{"$." + predictor, "$.metadata"}
	t.Replicas = nil
	t.Labels = "$." + predictor + ".labels"
	return t
}

// kserveRuntime are the row parts of a ServingRuntimeSpec.
func kserveRuntime() []PodPaths {
	pod := func(scope string) PodPaths {
		return PodPaths{
			Scope: scope, Metadata: []string{"."}, Spec: ".", Affinity: []string{"affinity"}, Volumes: "volumes",
			Containers: []string{"containers[*]"},
		}
	}
	return []PodPaths{pod("spec"), pod("spec.workerSpec")}
}
