package kinds

var flinkKinds = of(
	"Flink Kubernetes Operator",
	"flink-kubernetes-operator at 24643c8c, flink-kubernetes-operator-api/src/main/java/org/apache/flink/kubernetes/"+
		"operator/api/spec/FlinkDeploymentSpec.java, JobManagerSpec.java and TaskManagerSpec.java",
	Kind{
		Group: "flink.apache.org", Kind: "FlinkDeployment", pods: flinkDeployment,
		Limits: "Flink's own container is that of the name flink-main-container. Where no pod template lists it, the pods " +
			"get the label. The operator joins spec.podTemplate with the pod template of a role position by position, so " +
			"that an added item could meet another one. Where both list containers or volumes, their pods get the label " +
			"instead of the mount.",
	},
)

const (
	flinkBase = "$.spec.podTemplate"
	flinkMain = "flink-main-container"
	flinkWhy  = "the operator joins its pod templates position by position, and adds the container " + flinkMain +
		" where none lists it"
)

// flinkDeployment are the row parts of a FlinkDeployment. A role without a pod template of its own
// has that of both. Source: flink-kubernetes-operator, docs/content/docs/custom-resource/pod-template.md
// and FlinkConfigBuilder.java applyPodTemplate.
func flinkDeployment() []PodPaths {
	base := template("spec.podTemplate")
	base.Labels, base.Why, base.Adds, base.Implied = flinkBase+".metadata.labels", flinkWhy, flinkMain, true
	base.Joined = map[string][]string{}
	for _, list := range []string{"initContainers", "containers"} {
		for _, role := range []string{"$.spec.jobManager", "$.spec.taskManager"} {
			spec := role + ".podTemplate.spec."
			path := "spec." + list + "[*]"
			base.Joined[path] = append(base.Joined[path], spec+list, spec+"volumes")
		}
	}
	return []PodPaths{base, flinkRole("jobManager"), flinkRole("taskManager")}
}

// flinkRole is the row part of a role's own pod template.
func flinkRole(role string) PodPaths {
	t := template("spec."+role+".podTemplate", "$.spec."+role+".replicas")
	t.Metadata = append(t.Metadata, flinkBase+".metadata")
	t.Labels, t.Why, t.Adds = "metadata.labels", flinkWhy, flinkMain
	lists := []string{flinkBase + ".spec.initContainers", flinkBase + ".spec.containers", flinkBase + ".spec.volumes"}
	t.Joined = map[string][]string{"spec.initContainers[*]": lists, "spec.containers[*]": lists}
	return t
}
