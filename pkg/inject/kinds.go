package inject

import (
	"slices"
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
	// ClusterScoped says that objects of the kind have no namespace: their pods run in the namespaces of those who use them.
	ClusterScoped bool `json:"clusterScoped,omitempty"`
	// Advice says what to do about an object that holds no pod of its own. A kind that never holds one has nothing else.
	Advice string `json:"advice,omitempty"`

	// pods makes Pods, in the built-in table.
	pods func() []PodPaths

	// Project is whose kind it is, for people. It is no part of the configuration file, nor are Source and Limits.
	Project string `json:"-"`
	// Source is the file of the project from which the row was read.
	Source string `json:"-"`
	// Limits is what the row cannot do, in whole sentences; empty where it can do everything.
	Limits string `json:"-"`
}

// SharedLists are lists that several containers of a pod have besides their own. Nothing is added there.
type SharedLists struct {
	// Containers are those that have them, by their paths in [PodPaths]. Empty: all.
	Containers []string `json:"containers,omitempty"`
	// Mounts are lists of mounts.
	Mounts []string `json:"mounts,omitempty"`
	// Env are lists of environment variables.
	Env []string `json:"env,omitempty"`
}

// Mirror says how a container gets the mounts of another one, which therefore may not be given to it a second time.
type Mirror struct {
	// Field is the container's field that is true where it does.
	Field string `json:"field,omitempty"`
	// Of is the name of the other container.
	Of string `json:"of,omitempty"`
}

// PodPaths says where one sort of pod sits in an object.
//
// A path is a dotted field path, where [*] stands for every item of a list and {*} for every value of a map:
// spec.workerGroupSpecs[*].template, spec.pytorchReplicaSpecs{*}.template. Every path but Scope is relative to the scope;
// "." is the scope itself, and a path that begins with "$." starts at the object's root, its [*] and {*} bound to the
// scope's own items and values.
//
// Where a scope has no containers, somebody else brings them: then nothing can be mounted here. With Labels the pods get the
// opt-in label instead, so that the webhook mounts the claim into them; without, the pod is reported when it says Why. A scope
// without containers that says neither is no pod, such as the steps of an Argo workflow.
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
	// Affinity are the places of the pod's affinity: its own, where one can be added, and those that count when it has none.
	Affinity []string `json:"affinity,omitempty"`
	// Volumes is the list of volumes.
	Volumes string `json:"volumes,omitempty"`
	// SharedVolumes are lists of volumes that the pod can mount besides its own, such as those of an Argo workflow. Nothing is added
	// there.
	SharedVolumes []string `json:"sharedVolumes,omitempty"`
	// Containers are lists of containers (ending with [*]) or single ones.
	Containers []string `json:"containers,omitempty"`
	// ClaimTemplates is a list of claim templates, whose names are volumes too.
	ClaimTemplates string `json:"claimTemplates,omitempty"`
	// Replicas are counts whose product is how many such pods run at once. An absent count is 1.
	Replicas []string `json:"replicas,omitempty"`
	// Shared are lists that containers have besides their own, such as those of Tekton's stepTemplate.
	Shared []SharedLists `json:"shared,omitempty"`
	// ContainerMounts are further lists of mounts in a container, seen from it, such as the workspaces of Tekton's steps. Nothing
	// is added there.
	ContainerMounts []string `json:"containerMounts,omitempty"`
	// Names are the names that the project gives to single containers, by their paths. Without one, a container that names
	// itself nowhere is called by the last part of its path.
	Names map[string]string `json:"names,omitempty"`
	// Mirror says how a container gets the mounts of another besides its own.
	Mirror *Mirror `json:"mirror,omitempty"`
	// NoEnv are the names of containers for which the project refuses environment variables here. They get their mounts only.
	NoEnv []string `json:"noEnv,omitempty"`
	// Reference is the field by which a container says that it is defined elsewhere, such as a Tekton step's ref. Such a
	// container takes no mounts here.
	Reference string `json:"reference,omitempty"`
	// Adds is the name of a container that the kind's controller adds when no container has that name.
	Adds string `json:"adds,omitempty"`
	// Labels is the object of labels that reach the pods. The opt-in label goes there when something of the pods cannot be
	// mounted here.
	Labels string `json:"labels,omitempty"`
	// LabelPrefix begins the key of the label there, where it is not the label's own: Spark's configuration has
	// spark.kubernetes.driver.label.KEY.
	LabelPrefix string `json:"labelPrefix,omitempty"`
	// Why says why something of the pods cannot be mounted here: half a sentence about the scope, for reports.
	Why string `json:"why,omitempty"`
	// Implied says that the kind's controller makes the pod even where the scope is not written.
	Implied bool `json:"implied,omitempty"`
}

// template is the row part of a core/v1 PodTemplateSpec.
func template(scope string, replicas ...string) PodPaths {
	return PodPaths{
		Scope:           scope,
		Metadata:        []string{"metadata"},
		Spec:            "spec",
		SecurityContext: []string{"spec.securityContext"},
		Affinity:        []string{"spec.affinity"},
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

// Kinds is a table that can be searched.
type Kinds struct {
	byName map[groupKind]*Kind
}

type groupKind struct{ group, kind string }

// NewTable returns the built-in table with further rows, which win.
func NewTable(rows []Kind) Kinds {
	k := Kinds{byName: make(map[groupKind]*Kind, len(builtinKinds)+len(rows))}
	for i := range builtinKinds {
		k.add(&builtinKinds[i])
	}
	for i := range rows {
		row := rows[i].expand()
		k.add(&row)
	}
	return k
}

// paths returns where the pods are.
func (k *Kind) paths() []PodPaths {
	if k.pods != nil {
		return k.pods()
	}
	return k.Pods
}

func (k Kinds) add(row *Kind) { k.byName[groupKind{row.Group, row.Kind}] = row }

// expand writes out the short form of a pod template.
func (k Kind) expand() Kind {
	pods := make([]PodPaths, len(k.Pods))
	for i, p := range k.Pods {
		if p.PodTemplate != "" {
			t := template(p.PodTemplate)
			p.Scope, p.Metadata, p.Spec = t.Scope, t.Metadata, t.Spec
			p.SecurityContext, p.Affinity, p.Volumes, p.Containers = t.SecurityContext, t.Affinity, t.Volumes, t.Containers
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
		return *row, true
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
	hasPods, hasObjects := len(k.Pods) > 0, k.Objects != ""
	if hasPods && hasObjects || !hasPods && !hasObjects && k.Advice == "" {
		errs = append(errs, field.Required(at.Child("pods"), "a kind has either pods or objects, or only advice"))
	}
	for i, p := range k.Pods {
		errs = append(errs, p.validate(at.Child("pods").Index(i))...)
	}
	return append(errs, validatePaths(at.Child("objects"), given(k.Objects)...)...)
}

func (p *PodPaths) validate(at *field.Path) field.ErrorList {
	errs := validateRelative(at.Child("replicas"), p.Replicas...)
	errs = append(errs, validateRelative(at.Child("claimTemplates"), given(p.ClaimTemplates)...)...)
	errs = append(errs, validateField(at.Child("sharedVolumes"), p.SharedVolumes...)...)
	errs = append(errs, p.validateContainers(at)...)
	errs = append(errs, validateField(at.Child("labels"), given(p.Labels)...)...)
	if strings.ContainsAny(p.Reference, ".[]{}*$/ ") {
		errs = append(errs, field.Invalid(at.Child("reference"), p.Reference, "must be the name of one field of a container"))
	}
	if p.LabelPrefix != "" && p.Labels == "" {
		errs = append(errs, field.Required(at.Child("labels"), "labelPrefix is of a key among labels"))
	}
	errs = append(errs, p.validateImplied(at.Child("implied"))...)
	if p.PodTemplate != "" {
		if p.Scope+p.Spec+p.Volumes != "" || len(p.Metadata)+len(p.SecurityContext)+len(p.Affinity)+len(p.Containers) > 0 {
			errs = append(errs, field.Invalid(at.Child("podTemplate"), p.PodTemplate, "says where its parts are: leave out scope, metadata, spec, securityContext, affinity, volumes and containers"))
		}
		return append(errs, validatePaths(at.Child("podTemplate"), p.PodTemplate)...)
	}
	if p.Scope == "" {
		return append(errs, field.Required(at.Child("scope"), "say scope, or podTemplate for a PodTemplateSpec"))
	}
	labelOnly := p.Labels != "" && p.Volumes == "" && len(p.Containers) == 0
	if p.Volumes == "" && !labelOnly {
		errs = append(errs, field.Required(at.Child("volumes"), ""))
	}
	if len(p.Containers) == 0 && !labelOnly {
		errs = append(errs, field.Required(at.Child("containers"), "say containers, or labels alone where nothing can be mounted"))
	}
	errs = append(errs, validatePaths(at.Child("scope"), p.Scope)...)
	errs = append(errs, validateRelative(at.Child("metadata"), p.Metadata...)...)
	errs = append(errs, validateRelative(at.Child("spec"), given(p.Spec)...)...)
	errs = append(errs, validateRelative(at.Child("containers"), p.Containers...)...)
	errs = append(errs, validateField(at.Child("securityContext"), p.SecurityContext...)...)
	errs = append(errs, validateField(at.Child("affinity"), p.Affinity...)...)
	return append(errs, validateField(at.Child("volumes"), given(p.Volumes)...)...)
}

// validateContainers checks what is said of the containers besides where they are.
func (p *PodPaths) validateContainers(at *field.Path) field.ErrorList {
	var errs field.ErrorList
	isKnown := func(at *field.Path, path string) {
		if p.PodTemplate == "" && !slices.Contains(p.Containers, path) {
			errs = append(errs, field.Invalid(at, path, "must be one of containers"))
		}
	}
	for i, shared := range p.Shared {
		at := at.Child("shared").Index(i)
		for _, path := range shared.Containers {
			isKnown(at.Child("containers"), path)
		}
		errs = append(errs, validateField(at.Child("mounts"), shared.Mounts...)...)
		errs = append(errs, validateField(at.Child("env"), shared.Env...)...)
	}
	errs = append(errs, validateField(at.Child("containerMounts"), p.ContainerMounts...)...)
	for path := range p.Names {
		isKnown(at.Child("names"), path)
	}
	if p.Mirror != nil && (p.Mirror.Field == "" || p.Mirror.Of == "") {
		errs = append(errs, field.Required(at.Child("mirror"), "say the field, and the name of the container"))
	}
	return errs
}

// validateImplied checks that there is one pod to imply, and a place for its label that does not start in what is missing.
func (p *PodPaths) validateImplied(at *field.Path) field.ErrorList {
	switch {
	case !p.Implied:
		return nil
	case strings.ContainsAny(p.Scope+p.PodTemplate, "*"):
		return field.ErrorList{field.Invalid(at, true, "a scope in a list or a map is there or not: only one that is a field can be implied")}
	case p.Labels == "" && p.Why == "":
		return field.ErrorList{field.Invalid(at, true, "say labels or why, because an implied pod has no containers here")}
	case p.Labels != "" && !strings.HasPrefix(p.Labels, rootPrefix):
		return field.ErrorList{field.Invalid(at, true, "labels must begin with $. because the scope may be missing")}
	}
	return nil
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
		if p == "." || strings.HasSuffix(p, anyItem) || strings.HasSuffix(p, anyValue) {
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
			if name := trimAny(step); name == "" || strings.ContainsAny(name, "[]{}*$/ ") {
				errs = append(errs, field.Invalid(at, p, "must be field names joined by dots, with [*] behind the name of a list and {*} behind that of a map"))
				break
			}
		}
	}
	return errs
}

// trimAny takes the [*] and {*} from a step of a path. There are several behind the name of a list of lists.
func trimAny(step string) string {
	for strings.HasSuffix(step, anyItem) || strings.HasSuffix(step, anyValue) {
		step = step[:len(step)-len(anyItem)]
	}
	return step
}
