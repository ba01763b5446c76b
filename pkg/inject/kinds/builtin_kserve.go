package kinds

import (
	"slices"
)

var kserveKinds = of(
	"KServe",
	"kserve, pkg/apis/serving/v1beta1/predictor.go, v1alpha1/servingruntime_types.go, "+
		"pkg/controller/v1beta1/inferenceservice/components/predictor.go; kserve v0.17.0, "+
		"pkg/apis/serving/v1alpha2/llm_inference_service_types.go and pkg/controller/v1alpha2/llmisvc/"+
		"workload_single_node.go, workload_multi_node.go and scheduler.go",
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
	Kind{
		Group: "serving.kserve.io", Kind: "LLMInferenceService",
		pods: func() []PodPaths {
			return []PodPaths{
				llmWorkload("spec"), llmWorker("spec"),
				llmWorkload("spec.prefill", "$.spec"), llmWorker("spec.prefill", "$.spec"),
				llmWorkload("spec.router.scheduler"),
			}
		},
		Limits: "KServe merges each pod spec into that of an LLMInferenceServiceConfig, container by container. The " +
			"containers of the config that are not listed here, such as llm-d-routing-sidecar, get no mount. Where main is " +
			"not listed, the pods get the label. KServe puts the labels of a workload into the selector of its Deployment, " +
			"which cannot change: have the label there when you create the service.",
	},
	Kind{
		Group: "serving.kserve.io", Kind: "LLMInferenceServiceConfig", Deferred: true,
		pods: func() []PodPaths {
			return []PodPaths{
				podSpec("spec.template", "$.spec"), podSpec("spec.worker", "$.spec"),
				podSpec("spec.prefill.template", "$.spec.prefill", "$.spec"),
				podSpec("spec.prefill.worker", "$.spec.prefill", "$.spec"),
				podSpec("spec.router.scheduler.template", "$.spec.router.scheduler"),
			}
		},
		Advice: "it holds no containers: mount in the LLMInferenceServices that use it, or label their pods " +
			"pipeline-storage: enabled in its labels, and the webhook mounts the claim",
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

// llmWorkload is the row part of a workload of an LLMInferenceService: a pod spec that may be left to
// a config, with labels and annotations beside it.
// Source: kserve, pkg/controller/v1alpha2/llmisvc/config_merge.go combineBaseRefsConfig.
func llmWorkload(workload string, metadata ...string) PodPaths {
	return PodPaths{
		Scope:           workload,
		Metadata:        append([]string{"."}, metadata...),
		Spec:            "template",
		SecurityContext: []string{"template.securityContext"},
		Affinity:        []string{"template.affinity"},
		Volumes:         "template.volumes",
		Containers:      []string{"template.initContainers[*]", "template.containers[*]"},
		Replicas:        []string{"replicas"},
		Labels:          "labels",
		Why:             llmWhy,
		ProjectPaths:    ProjectPaths{Adds: llmMain},
	}
}

const (
	llmMain = "main"
	llmWhy  = "the container main is that of the LLMInferenceServiceConfig"
)

// llmWorker is the row part of the further pods of a workload on several nodes.
func llmWorker(workload string, metadata ...string) PodPaths {
	p := podSpec(workload+".worker", append([]string{"$." + workload}, metadata...)...)
	p.Labels, p.Why, p.Adds = "$."+workload+".labels", llmWhy, llmMain
	return p
}
