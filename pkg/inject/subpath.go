package inject

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// folder is a profile's subPath as one pod mounts it: a path, or an expression and the variables that it needs.
type folder struct {
	path, expression string
	variables        []corev1.EnvVar
}

// folder fills the placeholders of the profile's subPath. A value can never be "..", nor hold a slash: names of namespaces
// and pods are DNS names, and a label begins and ends with a letter or a digit. An empty one would make the folder that of all
// runs, so that a missing label refuses the pod. Source: Kubernetes, apimachinery IsDNS1123Subdomain and IsValidLabelValue.
func (p *podPatch) folder(mount *storage.MountConfig) (folder, error) {
	subPath := mount.SubPath
	if !strings.Contains(subPath, "{") {
		return folder{path: subPath}, nil
	}
	var variables []corev1.EnvVar
	var problem error
	usesVariables := mount.NeedsVariables()
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
	filled := storage.ReplacePlaceholders(text, fill)
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
	key, isLabel := storage.PlaceholderLabel(placeholder)
	switch {
	case placeholder == storage.PlaceholderNamespace:
		return known(p.request.Namespace)
	case placeholder == storage.PlaceholderRelease:
		return known(p.request.Release.Name)
	case placeholder == storage.PlaceholderPodName:
		v := fieldVariable("NAME", "metadata.name")
		return "$(" + v.Name + ")", &v, nil
	case isLabel:
		v := fieldVariable("LABEL_"+variableName(key), "metadata.labels['"+key+"']")
		return "$(" + v.Name + ")", &v, p.requireLabel(key)
	}
	return placeholder, nil, nil
}

// indexLabel is a label that pods of a Job have if it is Indexed, which is not looked at here.
// Source: Kubernetes, pkg/controller/job/indexed_job_utils.go addCompletionIndexLabel.
const indexLabel = "batch.kubernetes.io/job-completion-index"

// requireLabel refuses a pod that will not have the label.
func (p *podPatch) requireLabel(key string) error {
	if p.pod.Labels[key] != "" || slices.Contains(p.pod.ControllerLabels, key) {
		return nil
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

// takesVariables refuses variables where the kind's controller would break the pod.
func (p *podPatch) takesVariables() error {
	if !p.pod.CopiesMounts {
		return nil
	}
	return errors.New("mount.subPath: the controller of this kind copies mounts to a container of its own, which would miss their variables: " +
		"leave these pods to the webhook, or write a placeholder that the controller fills, such as {{workflow.name}}")
}
