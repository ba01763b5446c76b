package kinds

// A trial is an object of any kind, in which Katib replaces placeholders. Its pods have the labels of
// its own templates. Source: katib, pkg/controller.v1beta1/experiment/manifest/generator.go.
var katibKinds = of(
	"Katib", "katib v0.19.0, pkg/apis/controller/experiments/v1beta1/experiment_types.go",
	Kind{
		Group: "kubeflow.org", Kind: "Experiment", Objects: []string{"spec.trialTemplate.trialSpec"},
		Limits: "A trial template in a ConfigMap is text and not edited: label the pods in it. A sidecar that Katib's own " +
			"webhook adds to collect metrics gets no mount here.",
	},
)
