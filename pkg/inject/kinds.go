package inject

import (
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Kind is one row of the table of kinds that hold pods. Rows are matched by group and kind, never by kind alone: a Job
// of batch.volcano.sh is not a Job of batch. A list of a kind (DeploymentList) needs no row of its own.
type Kind struct {
	// Group is the API group; empty for the core group.
	Group string `json:"group,omitempty"`
	// Kind is the kind, such as Deployment.
	Kind string `json:"kind"`
	// Pods say where the pods sit, in the order in which they are reported.
	Pods []PodPaths `json:"pods,omitempty"`
	// Objects is where a wrapping kind holds whole objects, each of which is then found by its own row.
	Objects string `json:"objects,omitempty"`
	// PerNode says that the kind runs a pod on every node, like a DaemonSet.
	PerNode bool `json:"perNode,omitempty"`
	// Deferred says that creating the object starts no pod yet, like a CronJob or a template.
	Deferred bool `json:"deferred,omitempty"`
}

// PodPaths says where one sort of pod sits in an object.
//
// A path is a dotted field path, where [*] stands for every item of a list: spec.workerGroupSpecs[*].template. Every path
// but Scope is relative to the scope; "." is the scope itself, and a path that begins with "$." starts at the object's
// root, its [*] bound to the scope's own items.
type PodPaths struct {
	// Scope is what stands for one pod.
	Scope string `json:"scope,omitempty"`
	// PodTemplate is short for a scope that is a core/v1 PodTemplateSpec, or a Pod.
	PodTemplate string `json:"podTemplate,omitempty"`
	// Metadata are the objects that hold the pod's labels and annotations; the first wins.
	Metadata []string `json:"metadata,omitempty"`
	// Spec is the object that holds os and nodeSelector.
	Spec string `json:"spec,omitempty"`
	// SecurityContext are the places of the pod's security context. The first that is there counts; where none is, the
	// first place is used.
	SecurityContext []string `json:"securityContext,omitempty"`
	// Volumes is the list of volumes.
	Volumes string `json:"volumes,omitempty"`
	// Containers are lists of containers (ending with [*]) or single ones.
	Containers []string `json:"containers,omitempty"`
	// ClaimTemplates is a list of claim templates, whose names are volumes too.
	ClaimTemplates string `json:"claimTemplates,omitempty"`
	// Replicas are counts whose product is how many such pods run at once. An absent count is 1.
	Replicas []string `json:"replicas,omitempty"`
}

// template is the row part of a core/v1 PodTemplateSpec.
func template(scope string, replicas ...string) PodPaths {
	return PodPaths{
		Scope:           scope,
		Metadata:        []string{"metadata"},
		Spec:            "spec",
		SecurityContext: []string{"spec.securityContext"},
		Volumes:         "spec.volumes",
		Containers:      []string{"spec.initContainers[*]", "spec.containers[*]"},
		Replicas:        replicas,
	}
}

// statefulTemplate is a template beside which claim templates stand.
func statefulTemplate(scope, claimTemplates string, replicas ...string) PodPaths {
	t := template(scope, replicas...)
	t.ClaimTemplates = claimTemplates
	return t
}

// argoTemplates is the row part of an Argo workflow: mounts per template, volumes per workflow, pod
// metadata and security context in both, where the template's own security context takes the place of the workflow's.
// Source: argo-workflows, pkg/apis/workflow/v1alpha1/workflow_types.go.
func argoTemplates(workflow string) []PodPaths {
	var pods []PodPaths
	for _, scope := range []string{".templates[*]", ".templates[*].dag.tasks[*].inline", ".templates[*].steps[*][*].inline"} {
		pods = append(pods, argoTemplate(workflow, workflow+scope))
	}
	return pods
}

func argoTemplate(workflow, scope string) PodPaths {
	return PodPaths{
		Scope:           scope,
		Metadata:        []string{"metadata", "$." + workflow + ".podMetadata"},
		Spec:            ".",
		SecurityContext: []string{"securityContext", "$." + workflow + ".securityContext"},
		Volumes:         "$." + workflow + ".volumes",
		Containers:      []string{"initContainers[*]", "container", "script", "containerSet.containers[*]", "sidecars[*]"},
		ClaimTemplates:  "$." + workflow + ".volumeClaimTemplates",
	}
}

// raySpec are the row parts of a RayClusterSpec. Source: kuberay, ray-operator/apis/ray/v1/raycluster_types.go.
func raySpec(cluster string) []PodPaths {
	return []PodPaths{
		template(cluster + ".headGroupSpec.template"),
		template(cluster+".workerGroupSpecs[*].template", "$."+cluster+".workerGroupSpecs[*].replicas"),
	}
}

// sparkRole is the row part of a Spark driver or executor, which has no pod template: it is a container and a pod in one,
// and its volumes stand beside it. Source: spark-operator, api/v1beta2/sparkapplication_types.go SparkPodSpec.
func sparkRole(role string, replicas ...string) PodPaths {
	return PodPaths{
		Scope:           "spec." + role,
		Metadata:        []string{"."},
		Spec:            ".",
		SecurityContext: []string{"podSecurityContext"},
		Volumes:         "$.spec.volumes",
		Containers:      []string{"initContainers[*]", ".", "sidecars[*]"},
		Replicas:        replicas,
	}
}

// BuiltinKinds is the table of kinds that hold pods.
var BuiltinKinds = []Kind{
	{Kind: "Pod", Pods: []PodPaths{template(".")}},
	{Kind: "PodTemplate", Deferred: true, Pods: []PodPaths{template("template")}},
	{Kind: "ReplicationController", Pods: []PodPaths{template("spec.template", "$.spec.replicas")}},
	{Kind: "List", Objects: "items[*]"},
	{Group: "apps", Kind: "Deployment", Pods: []PodPaths{template("spec.template", "$.spec.replicas")}},
	{Group: "apps", Kind: "ReplicaSet", Pods: []PodPaths{template("spec.template", "$.spec.replicas")}},
	{Group: "apps", Kind: "StatefulSet", Pods: []PodPaths{statefulTemplate("spec.template", "$.spec.volumeClaimTemplates", "$.spec.replicas")}},
	{Group: "apps", Kind: "DaemonSet", PerNode: true, Pods: []PodPaths{template("spec.template")}},
	{Group: "batch", Kind: "Job", Pods: []PodPaths{template("spec.template", "$.spec.parallelism")}},
	{Group: "batch", Kind: "CronJob", Deferred: true, Pods: []PodPaths{template("spec.jobTemplate.spec.template", "$.spec.jobTemplate.spec.parallelism")}},
	{Group: "argoproj.io", Kind: "Workflow", Pods: argoTemplates("spec")},
	{Group: "argoproj.io", Kind: "WorkflowTemplate", Deferred: true, Pods: argoTemplates("spec")},
	{Group: "argoproj.io", Kind: "ClusterWorkflowTemplate", Deferred: true, Pods: argoTemplates("spec")},
	{Group: "argoproj.io", Kind: "CronWorkflow", Deferred: true, Pods: argoTemplates("spec.workflowSpec")},
	{Group: "ray.io", Kind: "RayCluster", Pods: raySpec("spec")},
	{Group: "ray.io", Kind: "RayJob", Pods: append(raySpec("spec.rayClusterSpec"), template("spec.submitterPodTemplate"))},
	{Group: "ray.io", Kind: "RayService", Pods: raySpec("spec.rayClusterConfig")},
	{Group: "jobset.x-k8s.io", Kind: "JobSet", Pods: []PodPaths{template(
		"spec.replicatedJobs[*].template.spec.template",
		"$.spec.replicatedJobs[*].replicas", "$.spec.replicatedJobs[*].template.spec.parallelism",
	)}},
	{Group: "sparkoperator.k8s.io", Kind: "SparkApplication", Pods: []PodPaths{
		sparkRole("driver"), sparkRole("executor", "instances"),
	}},
}

// Kinds is a table that can be searched.
type Kinds struct {
	byName map[groupKind]Kind
}

type groupKind struct{ group, kind string }

// AllKinds returns the built-in table with the configuration's own rows, which win.
func (c *Config) AllKinds() Kinds {
	k := Kinds{byName: make(map[groupKind]Kind, len(BuiltinKinds)+len(c.Kinds))}
	for _, rows := range [][]Kind{BuiltinKinds, c.Kinds} {
		for _, row := range rows {
			k.byName[groupKind{row.Group, row.Kind}] = row.expand()
		}
	}
	return k
}

// expand writes out the short form of a pod template.
func (k Kind) expand() Kind {
	pods := make([]PodPaths, len(k.Pods))
	for i, p := range k.Pods {
		if p.PodTemplate != "" {
			p = statefulTemplate(p.PodTemplate, p.ClaimTemplates, p.Replicas...)
		}
		pods[i] = p
	}
	k.Pods = pods
	return k
}

// listSuffix ends the kind of a typed list, such as DeploymentList.
const listSuffix = "List"

// Lookup returns the row of a group and kind. A typed list gets a row that wraps its items.
func (k Kinds) Lookup(group, kind string) (Kind, bool) {
	if row, ok := k.byName[groupKind{group, kind}]; ok {
		return row, true
	}
	item, isList := strings.CutSuffix(kind, listSuffix)
	if _, ok := k.byName[groupKind{group, item}]; !isList || !ok {
		return Kind{}, false
	}
	return Kind{Group: group, Kind: kind, Objects: "items[*]"}, true
}

// Names returns every kind of the table, whatever its group: enough to tell, before a document is parsed, whether it may
// hold a pod. Kinds that end in List may too.
func (k Kinds) Names() map[string]bool {
	names := make(map[string]bool, len(k.byName))
	for name := range k.byName {
		names[name.kind] = true
		names[name.kind+listSuffix] = true
	}
	return names
}

func (k *Kind) validate(at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if k.Kind == "" {
		errs = append(errs, field.Required(at.Child("kind"), ""))
	}
	if (len(k.Pods) == 0) == (k.Objects == "") {
		errs = append(errs, field.Required(at.Child("pods"), "a kind has either pods or objects"))
	}
	for i, p := range k.Pods {
		errs = append(errs, p.validate(at.Child("pods").Index(i))...)
	}
	return append(errs, validatePaths(at.Child("objects"), given(k.Objects)...)...)
}

func (p *PodPaths) validate(at *field.Path) field.ErrorList {
	errs := validateRelative(at.Child("replicas"), p.Replicas...)
	errs = append(errs, validateRelative(at.Child("claimTemplates"), given(p.ClaimTemplates)...)...)
	if p.PodTemplate != "" {
		if p.Scope+p.Spec+p.Volumes != "" || len(p.Metadata)+len(p.SecurityContext)+len(p.Containers) > 0 {
			errs = append(errs, field.Invalid(at.Child("podTemplate"), p.PodTemplate, "says all but replicas and claimTemplates"))
		}
		return append(errs, validatePaths(at.Child("podTemplate"), p.PodTemplate)...)
	}
	if p.Scope == "" {
		return append(errs, field.Required(at.Child("scope"), "say scope, or podTemplate for a PodTemplateSpec"))
	}
	if p.Volumes == "" {
		errs = append(errs, field.Required(at.Child("volumes"), ""))
	}
	if len(p.Containers) == 0 {
		errs = append(errs, field.Required(at.Child("containers"), ""))
	}
	errs = append(errs, validatePaths(at.Child("scope"), p.Scope)...)
	errs = append(errs, validateRelative(at.Child("metadata"), p.Metadata...)...)
	errs = append(errs, validateRelative(at.Child("spec"), given(p.Spec)...)...)
	errs = append(errs, validateRelative(at.Child("containers"), p.Containers...)...)
	errs = append(errs, validateField(at.Child("securityContext"), p.SecurityContext...)...)
	return append(errs, validateField(at.Child("volumes"), given(p.Volumes)...)...)
}

// given is the path, if there is one.
func given(path string) []string {
	if path == "" {
		return nil
	}
	return []string{path}
}

// validateField checks paths of fields that may have to be made: each needs a name.
func validateField(at *field.Path, paths ...string) field.ErrorList {
	errs := validateRelative(at, paths...)
	for _, p := range paths {
		if p == "." || strings.HasSuffix(p, anyItem) {
			errs = append(errs, field.Invalid(at, p, "must end with the name of a field"))
		}
	}
	return errs
}

// validateRelative checks paths that start at the scope, or with "$." at the root.
func validateRelative(at *field.Path, paths ...string) field.ErrorList {
	var errs field.ErrorList
	for _, p := range paths {
		errs = append(errs, validatePaths(at, strings.TrimPrefix(p, rootPrefix))...)
	}
	return errs
}

func validatePaths(at *field.Path, paths ...string) field.ErrorList {
	var errs field.ErrorList
	for _, p := range paths {
		if p == "." {
			continue
		}
		for step := range strings.SplitSeq(p, ".") {
			if name := trimLists(step); name == "" || strings.ContainsAny(name, "[]*$/ ") {
				errs = append(errs, field.Invalid(at, p, "must be field names joined by dots, with [*] behind the name of a list"))
				break
			}
		}
	}
	return errs
}

// trimLists takes the [*] of a list, or of a list of lists, from a step of a path.
func trimLists(step string) string {
	for strings.HasSuffix(step, anyItem) {
		step = strings.TrimSuffix(step, anyItem)
	}
	return step
}
