package kinds

// The kinds of Argo Events that run pods. The objects that a Sensor creates stand in its triggers.
var eventsKinds = of(
	"Argo Events",
	"argo-events v1.9.6, pkg/apis/events/v1alpha1/template.go, sensor_types.go, eventsource_types.go and "+
		"pkg/reconciler/sensor/resource.go, eventsource/resource.go",
	Kind{
		Group: "argoproj.io", Kind: "EventSource", Controller: eventsController("eventsource-name"),
		pods: func() []PodPaths { return []PodPaths{eventsTemplate()} }, Limits: eventsLimits,
	},
	Kind{
		Group: "argoproj.io", Kind: "Sensor", Controller: eventsController("sensor-name"), Deferred: true,
		pods: func() []PodPaths { return []PodPaths{eventsTemplate()} },
		Objects: []string{
			"spec.triggers[*].template.k8s.source.resource", "spec.triggers[*].template.argoWorkflow.source.resource",
		},
		Limits: eventsLimits + " An object that a trigger reads from text, a file, a repository or a ConfigMap is " +
			"not edited.",
	},
)

const eventsLimits = "Without a spec.template.container, the pod gets the label instead of the mount."

func eventsController(name string) Controller {
	return Controller{
		Labels:       []string{"controller", name, "owner-name"},
		LabelsSource: "argo-events, pkg/reconciler/sensor/controller.go and eventsource/controller.go Reconcile",
	}
}

// eventsTemplate is the row part of the one pod that watches. Its template has some fields of a pod,
// and some of the container main, which the controller makes.
func eventsTemplate() PodPaths {
	p := podSpec("spec.template", "metadata")
	p.Containers = []string{"container"}
	p.Names = map[string]string{"container": "main"}
	p.Labels, p.Implied = "$.spec.template.metadata.labels", true
	p.Why = "its template has no container, so that the controller makes one without mounts"
	return p
}
