package kinds

var numaflowKinds = of(
	"Numaflow",
	"numaflow at 025f7f37, pkg/apis/numaflow/v1alpha1/pipeline_types.go, vertex_types.go, mono_vertex_types.go, "+
		"pod_template.go, side_inputs.go and pkg/reconciler/pipeline/controller.go copyVertexTemplate",
	Kind{
		Group: "numaflow.numaproj.io", Kind: "Pipeline", Controller: numaflowController,
		pods: func() []PodPaths {
			vertex := numaflowVertex("spec.vertices[*]")
			vertex.Metadata = append(vertex.Metadata, "$.spec.templates.vertex.metadata")
			vertex.SecurityContext = append(vertex.SecurityContext, "$.spec.templates.vertex.securityContext")
			vertex.Affinity = append(vertex.Affinity, "$.spec.templates.vertex.affinity")
			vertex.Replicas = []string{"scale.min"}
			return []PodPaths{vertex, numaflowSideInput()}
		},
		Limits: numaflowLimits + " The pods of side inputs take their labels from spec.templates.sideInputsManager.",
	},
	Kind{
		Group: "numaflow.numaproj.io", Kind: "MonoVertex", Controller: numaflowController,
		pods: func() []PodPaths {
			vertex := numaflowVertex("spec")
			vertex.Replicas = []string{"replicas"}
			return []PodPaths{vertex}
		},
		Limits: numaflowLimits,
	},
)

const numaflowLimits = "The containers that Numaflow adds (numa, init, monitor) have no place for mounts, and get " +
	"none. A vertex of these alone gets the label, so that the webhook mounts the claim into them."

var numaflowController = Controller{
	Labels: []string{"app.kubernetes.io/part-of", "app.kubernetes.io/managed-by", "app.kubernetes.io/component"},
	LabelsSource: "numaflow, pkg/apis/numaflow/v1alpha1/vertex_types.go and mono_vertex_types.go getServiceObj, " +
		"side_inputs.go getManagerDeploymentObj",
}

// numaflowContainers are the places of a vertex's own containers, with their names in the pod.
// Source: numaflow, pkg/apis/numaflow/v1alpha1/const.go, container names.
var numaflowContainers = map[string]string{
	"udf.container":                   "udf",
	"source.transformer.container":    "transformer",
	"source.udsource.container":       "udsource",
	"sink.udsink.container":           "udsink",
	"sink.fallback.udsink.container":  "fb-udsink",
	"sink.onSuccess.udsink.container": "ons-udsink",
}

// numaflowVertex is the row part of a vertex, which is a pod and what runs in it in one.
func numaflowVertex(scope string) PodPaths {
	p := podSpec(scope, "metadata")
	p.Containers = []string{
		"initContainers[*]", "udf.container", "source.udsource.container", "source.transformer.container",
		"sink.udsink.container", "sink.fallback.udsink.container", "sink.onSuccess.udsink.container", "sidecars[*]",
	}
	p.Names = numaflowContainers
	p.Labels = "metadata.labels"
	p.Why = "it runs only containers of Numaflow's own"
	return p
}

// numaflowSideInput is the row part of a side input, whose pods share a template without containers.
func numaflowSideInput() PodPaths {
	const manager = "$.spec.templates.sideInputsManager"
	return PodPaths{
		Scope:           "spec.sideInputs[*]",
		Metadata:        []string{manager + ".metadata"},
		Spec:            manager,
		SecurityContext: []string{manager + ".securityContext"},
		Affinity:        []string{manager + ".affinity"},
		Volumes:         "volumes",
		Containers:      []string{"container"},
		Names:           map[string]string{"container": "udsi"},
	}
}
