package kinds

var triggersKinds = of(
	"Tekton Triggers", "triggers v0.34.0, pkg/apis/triggers/v1beta1/trigger_template_types.go",
	Kind{
		Group: "triggers.tekton.dev", Kind: "TriggerTemplate", Deferred: true, Objects: []string{"spec.resourcetemplates[*]"},
	},
)
