package storage

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// Placeholders of mount.subPath, by which one claim has a folder for each pod, run or namespace. Those of the pod are filled
// by the kubelet when a container starts: the mount gets a subPathExpr, which may use the container's own variables only, and
// the container gets these variables, which the downward API fills. Source: Kubernetes, core/v1 VolumeMount subPathExpr.
const (
	PlaceholderNamespace = "{namespace}"
	PlaceholderRelease   = "{release}"
	PlaceholderPodName   = "{pod.name}"
	placeholderPodLabel  = "{pod.labels['"
	endOfPodLabel        = "']}"
	// placeholderPod begins every placeholder that needs a variable.
	placeholderPod = "{pod."
)

// PodVariablePrefix begins the names of the variables. No profile may give its own variable such a name.
const PodVariablePrefix = "PIPELINE_STORAGE_POD_"

// placeholders are what stands in braces. What stands in double ones is Argo's, which fills its templates itself before it
// makes pods of them. Source: Argo Workflows, Workflow Variables.
var placeholders = regexp.MustCompile(`\{\{[^{}]*\}\}|\{[^{}]*\}`)

func isArgos(placeholder string) bool { return strings.HasPrefix(placeholder, "{{") }

// PlaceholderLabel returns the label that a placeholder names.
func PlaceholderLabel(placeholder string) (string, bool) {
	key, ok := strings.CutPrefix(placeholder, placeholderPodLabel)
	if !ok {
		return "", false
	}
	return strings.CutSuffix(key, endOfPodLabel)
}

// checkPlaceholders refuses braces that nobody fills: they would be a folder of that name, shared by all.
func checkPlaceholders(subPath string) error {
	for _, found := range placeholders.FindAllString(subPath, -1) {
		if isArgos(found) || slices.Contains([]string{PlaceholderNamespace, PlaceholderRelease, PlaceholderPodName}, found) {
			continue
		}
		key, ok := PlaceholderLabel(found)
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

// ReplacePlaceholders returns a subPath with what fill returns for each placeholder, those of Argo included.
func ReplacePlaceholders(subPath string, fill func(placeholder string) string) string {
	return placeholders.ReplaceAllStringFunc(subPath, fill)
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

// NeedsVariables reports whether the subPath needs environment variables in the containers.
func (m *MountConfig) NeedsVariables() bool { return strings.Contains(m.SubPath, placeholderPod) }
