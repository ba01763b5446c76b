package kinds

// Kind is one row of the table of kinds that hold pods. Rows are matched by group and kind, never
// by kind alone: a Job of batch.volcano.sh is not a Job of batch. A list of a kind (DeploymentList)
// needs no row of its own.
type Kind struct {
	// Group is the API group; empty for the core group.
	Group string `json:"group,omitempty"`
	// Kind is the kind, such as Deployment.
	Kind string `json:"kind"`
	// Pods are where the pods are, in the order in which they are reported.
	Pods []PodPaths `json:"pods,omitempty"`
	// Objects is where a kind holds whole objects, each of which is then found by its own row: paths
	// from the object's root. A kind may have pods of its own in addition.
	Objects []string `json:"objects,omitempty"`
	// PerNode is true for a kind that runs a pod on every node, like a DaemonSet.
	PerNode bool `json:"perNode,omitempty"`
	// Deferred is true where creating the object starts no pod yet, like a CronJob or a template. It
	// holds for the whole objects in it, too.
	Deferred bool `json:"deferred,omitempty"`
	// ClusterScoped is true where objects of the kind have no namespace: their pods run in the
	// namespaces of their users.
	ClusterScoped bool `json:"clusterScoped,omitempty"`
	// Advice is what to do about an object that holds no pod of its own. A kind that never holds
	// one has nothing else.
	Advice string `json:"advice,omitempty"`

	// Controller is what the kind's controller does with the pods that it creates. It is no part of
	// the configuration file, nor are Project, Source and Limits.
	Controller Controller `json:"-"`
	// Project is whose kind it is, for people.
	Project string `json:"-"`
	// Source is the file of the project from which the row was read.
	Source string `json:"-"`
	// Limits is what the row cannot do, in whole sentences; empty where it can do everything.
	Limits string `json:"-"`

	// pods makes Pods, in the built-in table. rows are Pods with their paths parsed, once.
	pods func() []PodPaths
	rows func() []podRow
}

// Controller is what the controller of a kind does with the pods that it creates from a template.
type Controller struct {
	// Labels are the keys of labels that it adds to them.
	Labels []string
	// LabelsBelow is a part of the JSON pointer of the templates whose pods get Labels; empty: all.
	LabelsBelow string
	// LabelsSource is the file of the project from which Labels were read.
	LabelsSource string
	// CopiesMounts is true where it gives the mounts of a template's main container to a container
	// of its own, which would miss the variables of a subPathExpr and never start.
	CopiesMounts bool
}

// SharedLists are lists that several containers of a pod have in addition to their own. Nothing is
// added there.
type SharedLists struct {
	// Containers are those that have them, by their paths in [PodPaths]. Empty: all.
	Containers []string `json:"containers,omitempty"`
	// Mounts are lists of mounts.
	Mounts []string `json:"mounts,omitempty"`
	// Env are lists of environment variables.
	Env []string `json:"env,omitempty"`
}

// Mirror is how a container gets the mounts of another one, which therefore must not get them a
// second time.
type Mirror struct {
	// Field is the container's field that is true where it does.
	Field string
	// Of is the name of the other container.
	Of string
}

// PodPaths is where one sort of pod is in an object.
//
// A path is a dotted field path, where [*] stands for every item of a list and {*} for every value
// of a map: spec.workerGroupSpecs[*].template, spec.pytorchReplicaSpecs{*}.template. Every path but
// Scope is relative to the scope; "." is the scope itself, and a path that begins with "$." starts
// at the object's root, its [*] and {*} bound to the scope's own items and values.
//
// Where a scope has no containers, nothing can be mounted here. With Labels the pods get the opt-in
// label instead, so that the webhook mounts the claim into them. With Why alone the pod is
// reported. With neither the scope is not a pod, such as the steps of an Argo workflow.
type PodPaths struct {
	// Scope is what stands for one pod.
	Scope string `json:"scope,omitempty"`
	// PodTemplate is short for a scope that is a core/v1 PodTemplateSpec, or a Pod.
	PodTemplate string `json:"podTemplate,omitempty"`
	// Metadata are the objects that hold the pod's labels and annotations; the first wins.
	Metadata []string `json:"metadata,omitempty"`
	// Spec is the object that holds os and nodeSelector.
	Spec string `json:"spec,omitempty"`
	// SecurityContext are the places of the pod's security context. The first that is there counts;
	// where none is, the first place is used.
	SecurityContext []string `json:"securityContext,omitempty"`
	// Affinity are the places of the pod's affinity: its own, where one can be added, and those
	// that count when it has none.
	Affinity []string `json:"affinity,omitempty"`
	// Volumes is the list of volumes.
	Volumes string `json:"volumes,omitempty"`
	// SharedVolumes are lists of volumes that the pod can mount in addition to its own, such as
	// those of an Argo workflow. Nothing is added there.
	SharedVolumes []string `json:"sharedVolumes,omitempty"`
	// Containers are lists of containers (ending with [*]) or single ones.
	Containers []string `json:"containers,omitempty"`
	// ClaimTemplates is a list of claim templates, whose names are volumes too.
	ClaimTemplates string `json:"claimTemplates,omitempty"`
	// Replicas are counts whose product is how many such pods run at once. An absent count is 1.
	Replicas []string `json:"replicas,omitempty"`
	// Shared are lists that containers have in addition to their own, such as those of Tekton's
	// stepTemplate.
	Shared []SharedLists `json:"shared,omitempty"`
	// Names are the names that the project gives to single containers, by their paths. Without one,
	// a container without a name is called by the last part of its path.
	Names map[string]string `json:"names,omitempty"`
	// Labels is the object of labels that reach the pods. The opt-in label goes there when
	// something of the pods cannot be mounted here.
	Labels string `json:"labels,omitempty"`
	// Why is why something of the pods cannot be mounted here: half a sentence about the scope, for
	// reports.
	Why string `json:"why,omitempty"`
	// ProjectPaths are for the rows of single projects. They are no part of the configuration file.
	ProjectPaths `json:"-"`
}

// ProjectPaths is what the pods of exactly one project need: only rows of the built-in table have
// it.
type ProjectPaths struct {
	// Mirror is how a container gets the mounts of another in addition to its own.
	Mirror *Mirror
	// ContainerMounts are further lists of mounts in a container, seen from it, such as the
	// workspaces of Tekton's steps. Nothing is added there.
	ContainerMounts []string
	// NoEnv are the names of containers for which the project refuses environment variables here.
	// They get their mounts only.
	NoEnv []string
	// Reference is the field by which a container refers to another object that defines it, such as
	// a Tekton step's ref. Such a container takes no mounts here.
	Reference string
	// Adds is the name of a container that the kind's controller adds when no container has that
	// name.
	Adds string
	// Joined are lists of other pod templates that the kind's controller joins with this one position
	// by position, by the containers, as in Containers, to which nothing can be added where one of
	// the lists has items: what is added could meet one of those.
	Joined map[string][]string
	// LabelPrefix begins the key of the label there, where it is not the label's own: Spark's
	// configuration has spark.kubernetes.driver.label.KEY.
	LabelPrefix string
	// Implied is true where the kind's controller creates the pod even without the scope.
	Implied bool
	// Conf is where the configuration of the project mounts volumes, too. Nil: nowhere.
	Conf *Conf
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

// podSpec is the row part of a core/v1 PodSpec, whose labels and annotations stand outside of it.
func podSpec(scope string, metadata ...string) PodPaths {
	return PodPaths{
		Scope:           scope,
		Metadata:        metadata,
		Spec:            ".",
		SecurityContext: []string{"securityContext"},
		Affinity:        []string{"affinity"},
		Volumes:         "volumes",
		Containers:      []string{"initContainers[*]", "containers[*]"},
	}
}

// statefulTemplate is a template beside which claim templates stand.
func statefulTemplate(scope, claimTemplates string, replicas ...string) PodPaths {
	t := template(scope, replicas...)
	t.ClaimTemplates = claimTemplates
	return t
}
