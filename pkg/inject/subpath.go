package inject

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// folder is a profile's subPath as one pod mounts it: a path, or an expression and the variables that it needs.
type folder struct {
	path, expression string
	variables        []corev1.EnvVar
}

// folder fills the placeholders of the profile's subPath. No value leads out of its directory: see
// [storage.Placeholders]. An empty one would make the directory that of all runs, so that a missing label
// refuses the pod.
func (p *podPatch) folder(mount *storage.MountConfig) (folder, error) {
	subPath := mount.SubPath
	if !strings.Contains(subPath, "{") {
		return folder{path: subPath}, nil
	}
	var variables []corev1.EnvVar
	var problem error
	fill := func(row *storage.Placeholder, key string) string {
		problem = cmp.Or(problem, p.fillable(row, key))
		if row.FieldPath == "" {
			return row.Value(p.subject(), key)
		}
		variable := row.EnvVar(key)
		variables = append(variables, variable) // a repeated one is there already when it is added
		return "$(" + variable.Name + ")"
	}
	text, usesVariables := subPath, mount.NeedsVariables()
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

// subject is the pod, and what is known of its namespace and release.
func (p *podPatch) subject() storage.Subject {
	return storage.Subject{Pod: p.pod, Namespace: p.request.Namespace, Release: p.request.Release.Name}
}

// fillable refuses a placeholder that has no value, or one that is not the name of one directory.
func (p *podPatch) fillable(row *storage.Placeholder, key string) error {
	value := row.Value(p.subject(), key)
	switch {
	case value != "" && !row.Safe(value):
		return fmt.Errorf("%s is %q here, which is not the name of a directory", row.Text(key), value)
	case value != "" || row.Later != nil && row.Later(p.subject(), key):
		return nil
	case row.Noun != "":
		return p.missing(row.Noun, key)
	}
	return fmt.Errorf("the value of %s is not known here: with postrender, add --namespace NAMESPACE --release RELEASE",
		row.Text(key))
}

// indexLabel is a label that pods of a Job have if it is Indexed, which is not looked at here.
// Source: Kubernetes, pkg/controller/job/indexed_job_utils.go addCompletionIndexLabel.
const indexLabel = "batch.kubernetes.io/job-completion-index"

// missing is the error for a pod that will not have the label, or another noun of [storage.Placeholder].
func (p *podPatch) missing(noun, key string) error {
	remedy := "add the " + noun + " to the pod"
	switch {
	case p.request.Admission:
	case key == indexLabel:
		remedy = "only pods of a Job with completionMode: Indexed get it: if this is one, leave the pod to the webhook, " +
			"which sees the label"
	default:
		remedy = "add the " + noun + " to the pod template; where a controller adds it, leave the pod to the webhook, " +
			"which sees it"
	}
	return fmt.Errorf("the pod has no %s %s, and without it all pods would share one directory: %s", noun, key, remedy)
}

// takesVariables refuses variables where the kind's controller would break the pod.
func (p *podPatch) takesVariables() error {
	if !p.pod.ControllerCopiesMounts() {
		return nil
	}
	return errors.New("mount.subPath: the controller of this kind copies mounts to a container of its own, which " +
		"would miss their variables: " +
		"leave these pods to the webhook, or write a placeholder that the controller fills, such as {{workflow.name}}")
}
