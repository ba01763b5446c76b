package inject

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Placeholders of mount.subPath, by which one claim has a folder for each pod, run or namespace. Those of the pod are filled
// by the kubelet when a container starts: the mount gets a subPathExpr, which may use the container's own variables only, and
// the container gets these variables, which the downward API fills. Source: Kubernetes, core/v1 VolumeMount subPathExpr.
const (
	placeholderPodName  = "{pod.name}"
	placeholderPodLabel = "{pod.labels['"
	endOfPodLabel       = "']}"
	// placeholderPod begins every placeholder that needs a variable.
	placeholderPod = "{pod."
)

// folderVariable begins the names of the variables. No profile may give its own variable such a name.
const folderVariable = "PIPELINE_STORAGE_POD_"

// placeholders are what stands in braces. What stands in double ones is Argo's, which fills its templates itself before it
// makes pods of them. Source: Argo Workflows, Workflow Variables.
var placeholders = regexp.MustCompile(`\{\{[^{}]*\}\}|\{[^{}]*\}`)

func isArgos(placeholder string) bool { return strings.HasPrefix(placeholder, "{{") }

// labelOf returns the label that a placeholder names.
func labelOf(placeholder string) (string, bool) {
	key, ok := strings.CutPrefix(placeholder, placeholderPodLabel)
	if !ok {
		return "", false
	}
	return strings.CutSuffix(key, endOfPodLabel)
}

// checkPlaceholders refuses braces that nobody fills: they would be a folder of that name, shared by all.
func checkPlaceholders(subPath string) error {
	for _, found := range placeholders.FindAllString(subPath, -1) {
		if isArgos(found) || slices.Contains([]string{placeholderNamespace, placeholderRelease, placeholderPodName}, found) {
			continue
		}
		key, ok := labelOf(found)
		if !ok {
			return fmt.Errorf("%s is no placeholder: there are {namespace}, {release}, {pod.name} and {pod.labels['KEY']}", found)
		}
		for _, problem := range validation.IsQualifiedName(key) {
			return fmt.Errorf("%s names no label: %s", found, problem)
		}
	}
	if strings.ContainsAny(placeholders.ReplaceAllString(subPath, ""), "{}") {
		return errors.New("has a brace without its partner")
	}
	return nil
}

// checkNoPlaceholders refuses placeholders in an annotation: which folders there are is the administrator's to say.
func checkNoPlaceholders(subPath string) error {
	for _, found := range placeholders.FindAllString(subPath, -1) {
		if !isArgos(found) {
			return fmt.Errorf("%s: placeholders belong into the profile's mount.subPath", found)
		}
	}
	return nil
}

// needsVariables reports whether a subPath needs variables in the containers.
func needsVariables(subPath string) bool { return strings.Contains(subPath, placeholderPod) }

// folder is a profile's subPath as one pod mounts it: a path, or an expression and the variables that it needs.
type folder struct {
	path, expression string
	variables        []corev1.EnvVar
}

// folder fills the placeholders of the profile's subPath. A value can never be "..", nor hold a slash: names of namespaces
// and pods are DNS names, and a label begins and ends with a letter or a digit. An empty one would make the folder that of all
// runs, so that a missing label refuses the pod. Source: Kubernetes, apimachinery IsDNS1123Subdomain and IsValidLabelValue.
func (p *podPatch) folder(subPath string) (folder, error) {
	if !strings.Contains(subPath, "{") {
		return folder{path: subPath}, nil
	}
	var variables []corev1.EnvVar
	var problem error
	usesVariables := needsVariables(subPath)
	fill := func(found string) string {
		text, variable, err := p.fill(found)
		problem = cmp.Or(problem, err)
		if variable != nil { // a repeated one is there already when it is added
			variables = append(variables, *variable)
		}
		return text
	}
	text := subPath
	if usesVariables { // a dollar of the path is no variable; source: Kubernetes, third_party/forked/golang/expansion
		text = strings.ReplaceAll(text, "$", "$$")
	}
	filled := placeholders.ReplaceAllStringFunc(text, fill)
	switch {
	case problem != nil:
		return folder{}, fmt.Errorf("mount.subPath %s: %w", subPath, problem)
	case usesVariables:
		return folder{expression: filled, variables: variables}, p.takesVariables()
	}
	return folder{path: filled}, nil
}

// fill returns what stands for a placeholder, and the variable that it needs.
func (p *podPatch) fill(placeholder string) (string, *corev1.EnvVar, error) {
	known := func(value string) (string, *corev1.EnvVar, error) {
		if value == "" {
			return "", nil, fmt.Errorf("nobody knows what %s is here: with postrender, add --namespace NAMESPACE --release RELEASE", placeholder)
		}
		return value, nil, nil
	}
	key, isLabel := labelOf(placeholder)
	switch {
	case placeholder == placeholderNamespace:
		return known(p.request.Namespace)
	case placeholder == placeholderRelease:
		return known(p.request.Release.Name)
	case placeholder == placeholderPodName:
		v := fieldVariable("NAME", "metadata.name")
		return "$(" + v.Name + ")", &v, nil
	case isLabel:
		v := fieldVariable("LABEL_"+variableName(key), "metadata.labels['"+key+"']")
		return "$(" + v.Name + ")", &v, p.requireLabel(key)
	}
	return placeholder, nil, nil
}

func fieldVariable(name, fieldPath string) corev1.EnvVar {
	return corev1.EnvVar{Name: folderVariable + name, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: fieldPath}}}
}

// variableName makes the name of a variable from the key of a label. Two keys may have one name: that is a conflict like any
// other of a variable that is taken.
func variableName(key string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToUpper(key))
}

// controllerLabels are the labels that controllers give the pods which they make of a template. Where a kind makes pods in
// several ways, below says which of its templates is meant.
var controllerLabels = []struct {
	group, kind, below string
	keys               []string
	source             string
}{
	{group: "batch", kind: "Job", keys: jobLabels, source: "Kubernetes, batch/v1 JobNameLabel and ControllerUidLabel"},
	{group: "batch", kind: "CronJob", keys: jobLabels, source: "as a Job's"},
	{
		group: "apps", kind: "StatefulSet", keys: []string{"statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index"},
		source: "Kubernetes, apps/v1 StatefulSetPodNameLabel and PodIndexLabel",
	},
	{group: "ray.io", kind: "RayCluster", keys: rayLabels, source: "KubeRay, ray-operator/controllers/ray/common/pod.go labelPod"},
	{group: "ray.io", kind: "RayJob", below: "/rayClusterSpec/", keys: rayLabels, source: "as a RayCluster's"},
	{group: "ray.io", kind: "RayCronJob", below: "/rayClusterSpec/", keys: rayLabels, source: "as a RayJob's, which it makes"},
	{group: "ray.io", kind: "RayService", keys: rayLabels, source: "as a RayCluster's"},
	{
		group: "jobset.x-k8s.io", kind: "JobSet", keys: jobSetLabels,
		source: "JobSet, api/jobset/v1alpha2/jobset_types.go and pkg/controllers/jobset_controller.go labelAndAnnotateObject",
	},
	{group: "trainer.kubeflow.org", kind: "TrainingRuntime", keys: jobSetLabels, source: "as a JobSet's, which a TrainJob makes of it"},
	{group: "trainer.kubeflow.org", kind: "ClusterTrainingRuntime", keys: jobSetLabels, source: "as a TrainingRuntime's"},
	{group: "sparkoperator.k8s.io", kind: "SparkApplication", keys: sparkLabels, source: "Spark operator, pkg/common/spark.go"},
	{group: "sparkoperator.k8s.io", kind: "ScheduledSparkApplication", keys: sparkLabels, source: "as a SparkApplication's, which it makes"},
	{group: "kubeflow.org", kind: "PyTorchJob", keys: replicaLabels, source: "training-operator, pkg/controller.v1/common/pod.go createNewPod"},
	{group: "kubeflow.org", kind: "TFJob", keys: replicaLabels, source: "training-operator, pkg/controller.v1/tensorflow/tfjob_controller.go createNewPod"},
	{group: "kubeflow.org", kind: "XGBoostJob", keys: replicaLabels, source: "as a PyTorchJob's"},
	{group: "kubeflow.org", kind: "PaddleJob", keys: replicaLabels, source: "as a PyTorchJob's"},
	{group: "kubeflow.org", kind: "JAXJob", keys: replicaLabels, source: "as a PyTorchJob's"},
	{
		group: "kubeflow.org", kind: "MPIJob", keys: replicaLabels[:2], // what both operators add, to launchers and workers
		source: "training-operator, pkg/controller.v1/mpi/mpijob_controller.go newWorker; mpi-operator, pkg/controller/mpi_job_controller.go defaultLabels",
	},
	{
		group: "leaderworkerset.x-k8s.io", kind: "LeaderWorkerSet", // of leaders as well as of workers
		keys:   []string{"leaderworkerset.sigs.k8s.io/name", "leaderworkerset.sigs.k8s.io/group-index", "leaderworkerset.sigs.k8s.io/worker-index"},
		source: "lws, pkg/controllers/leaderworkerset_controller.go, pkg/controllers/pod_controller.go and pkg/webhooks/pod_webhook.go",
	},
	{group: "tekton.dev", kind: "Task", keys: tektonLabels[:1], source: "as a TaskRun's, which is made of it"},
	{group: "tekton.dev", kind: "TaskRun", keys: tektonLabels[:1], source: "Tekton, docs/labels.md, Automatic labeling"},
	{group: "tekton.dev", kind: "Pipeline", keys: tektonLabels, source: "as a PipelineRun's, which is made of it"},
	{group: "tekton.dev", kind: "PipelineRun", keys: tektonLabels, source: "Tekton, docs/labels.md, Automatic labeling"},
	{group: "batch.volcano.sh", kind: "Job", keys: volcanoLabels, source: "Volcano, pkg/controllers/job/job_controller_util.go createJobPod"},
	{group: "batch.volcano.sh", kind: "CronJob", keys: volcanoLabels, source: "as a Volcano Job's, which it makes"},
	{group: "flow.volcano.sh", kind: "JobTemplate", keys: volcanoLabels, source: "as a Volcano Job's, which a JobFlow makes of it"},
}

var (
	jobLabels = []string{"batch.kubernetes.io/job-name", "job-name", "batch.kubernetes.io/controller-uid", "controller-uid"}
	rayLabels = []string{"ray.io/cluster", "ray.io/node-type", "ray.io/group"}

	jobSetLabels = append([]string{"jobset.sigs.k8s.io/jobset-name", "jobset.sigs.k8s.io/replicatedjob-name", "jobset.sigs.k8s.io/job-index"}, jobLabels...)
	sparkLabels  = []string{"sparkoperator.k8s.io/app-name", "spark-role"}

	replicaLabels = []string{
		"training.kubeflow.org/job-name", "training.kubeflow.org/operator-name", "training.kubeflow.org/replica-type", "training.kubeflow.org/replica-index",
	}
	tektonLabels  = []string{"tekton.dev/taskRun", "tekton.dev/pipelineRun"}
	volcanoLabels = []string{"volcano.sh/job-name", "volcano.sh/job-namespace", "volcano.sh/task-spec", "volcano.sh/task-index"}
)

// indexLabel is a label that pods of a Job have if it is Indexed, which is not looked at here.
// Source: Kubernetes, pkg/controller/job/indexed_job_utils.go addCompletionIndexLabel.
const indexLabel = "batch.kubernetes.io/job-completion-index"

// requireLabel refuses a pod that will not have the label.
func (p *podPatch) requireLabel(key string) error {
	if p.pod.Labels[key] != "" {
		return nil
	}
	for _, c := range controllerLabels {
		if c.group == p.pod.Group && c.kind == p.pod.Kind && strings.Contains(p.pod.Path, c.below) && slices.Contains(c.keys, key) {
			return nil
		}
	}
	remedy := "add the label to the pod"
	switch {
	case p.request.Admission:
	case key == indexLabel:
		remedy = "only pods of a Job with completionMode: Indexed get it: if this is one, leave the pod to the webhook, which sees the label"
	default:
		remedy = "add the label to the pod template; where a controller adds it, leave the pod to the webhook, which sees it"
	}
	return fmt.Errorf("the pod has no label %s, and without it all pods would share one folder: %s", key, remedy)
}

// copiesMounts are the kinds whose controller gives the mounts of a template's main container to a container of its own,
// which has none of our variables and would never start. Source: argo-workflows, workflow/controller/workflowpod.go
// addOutputArtifactsVolumes.
var copiesMounts = []groupKind{
	{"argoproj.io", "Workflow"}, {"argoproj.io", "WorkflowTemplate"}, {"argoproj.io", "ClusterWorkflowTemplate"}, {"argoproj.io", "CronWorkflow"},
}

// takesVariables refuses variables where the kind's controller would break the pod.
func (p *podPatch) takesVariables() error {
	if !slices.Contains(copiesMounts, groupKind{p.pod.Group, p.pod.Kind}) {
		return nil
	}
	return errors.New("mount.subPath: the controller of this kind copies mounts to a container of its own, which would miss their variables: " +
		"leave these pods to the webhook, or write a placeholder that the controller fills, such as {{workflow.name}}")
}

// volumeMount returns the mount of the pod's volume of that name, and the variables that it needs, made once for all
// containers.
func (p *podPatch) volumeMount(c *chosenProfile, volume string) (any, []corev1.EnvVar, error) {
	if c.mount == nil {
		f, err := p.folder(c.Mount.SubPath)
		if err != nil {
			return nil, nil, err
		}
		c.mount, c.variables = corev1.VolumeMount{
			Name: volume, MountPath: c.Mount.Path, SubPath: f.path, SubPathExpr: f.expression, ReadOnly: c.Mount.ReadOnly,
		}, f.variables
	}
	return c.mount, c.variables, nil
}

// addVariables adds the variables of a mount to its container.
func (p *podPatch) addVariables(profile *chosenProfile, variables []corev1.EnvVar, c *Container) error {
	if len(variables) > 0 && c.NoEnv {
		return errors.New("this kind refuses the variables here that mount.subPath needs: leave these pods to the webhook, or leave the container out")
	}
	for i := range variables {
		v := &variables[i]
		wanted := Env{Name: v.Name, FromSource: true, FieldPath: v.ValueFrom.FieldRef.FieldPath}
		isSet := false
		for _, e := range c.Env {
			if e.Name == v.Name && e != wanted {
				return fmt.Errorf("environment variable %s, which mount.subPath needs for %s, is set to something else: remove it", v.Name, wanted.FieldPath)
			}
			isSet = isSet || e.Name == v.Name
		}
		if isSet {
			continue
		}
		c.Env = append(c.Env, wanted)
		if p.edits.add(c.Path+"/env", len(c.Env) == 1, v.Name, *v) {
			p.added(Addition{Profile: profile.Name, Container: c.Name, Env: v.Name})
		}
	}
	return nil
}
