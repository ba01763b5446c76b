package kinds

// anyKind stands for every kind of a group.
const anyKind = ""

// policies are kinds whose objects describe the pods of others, or what such objects look like: rules, schemas
// and alerts. Nothing in them is a workload, whatever it looks like. A row of the table takes
// precedence. Sources: Kyverno, docs/policy-types (both groups); Gatekeeper, website/docs (constraints,
// templates, mutation, expansion); Kubewarden, docs (AdmissionPolicy); Kubernetes, admissionregistration/v1
// and apiextensions/v1 types.go; Prometheus Operator, api-reference (PrometheusRule).
var policies = map[groupKind]bool{
	{"admissionregistration.k8s.io", anyKind}:            true,
	{"apiextensions.k8s.io", "CustomResourceDefinition"}: true,
	{"", "CustomResourceDefinition"}:                     true, // its kind is enough, where no apiVersion is written
	{"kyverno.io", anyKind}:                              true,
	{"policies.kyverno.io", anyKind}:                     true,
	{"config.gatekeeper.sh", anyKind}:                    true,
	{"constraints.gatekeeper.sh", anyKind}:               true,
	{"expansion.gatekeeper.sh", anyKind}:                 true,
	{"mutations.gatekeeper.sh", anyKind}:                 true,
	{"templates.gatekeeper.sh", anyKind}:                 true,
	{"policies.kubewarden.io", anyKind}:                  true,
	{"monitoring.coreos.com", "PrometheusRule"}:          true,
}

// isPolicy reports whether objects of a kind hold no workload whatever they look like.
func isPolicy(group, kind string) bool {
	return policies[groupKind{group, kind}] || policies[groupKind{group, anyKind}]
}
