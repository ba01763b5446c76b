package storage

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
)

// Placeholder is a row of [Placeholders]: what stands in mount.subPath for a value of the pod, its
// namespace or its release.
type Placeholder struct {
	// Pattern is how a profile writes it. KEY stands for a key that the profile names, such as that
	// of a label.
	Pattern string
	// Noun is what has the key, for messages. Empty: the pattern has no key.
	Noun string
	// FieldPath is the field of the pod from which the kubelet fills it when a container starts,
	// with KEY as in Pattern. Empty: it is filled when the mount is added.
	FieldPath string
	// Variable is the environment variable that the field needs in every container with the mount,
	// with KEY as in Pattern.
	Variable string
	// Value returns the value as it is when the mount is added. Empty: it has no value.
	Value func(s Subject, key string) string
	// Later reports whether the value can come after the mount is added. Nil: never.
	Later func(s Subject, key string) bool
	// Safe reports whether a value names one directory, so that it cannot lead out of the one that
	// the profile gives it.
	Safe func(value string) bool
	// Becomes and Values are for docs/configuration.md: what stands in its place, and what such a
	// value looks like.
	Becomes, Values string
}

// Subject is the pod that placeholders are filled for.
type Subject struct {
	Pod *kinds.Pod
	// Namespace is that of the pod, and Release the name of its Helm release. Either is empty where
	// it is not known.
	Namespace, Release string
}

// The placeholders that names of objects may have, too.
const (
	placeholderNamespace = "{namespace}"
	placeholderRelease   = "{release}"
)

// podVariablePrefix begins the names of the variables. No profile may give its own variable such a
// name.
const podVariablePrefix = "PIPELINE_STORAGE_POD_"

// placeholderKey stands for the key in the columns of a row.
const placeholderKey = "KEY"

// Placeholders is the table of what mount.subPath may have, by which one claim has a directory for
// each pod, run or namespace.
//
// The kubelet fills the rows with a FieldPath when a container starts: the mount gets a
// subPathExpr, which may use the container's own variables only, and the container gets these
// variables, which the downward API fills. Source: Kubernetes, core/v1 VolumeMount subPathExpr.
var Placeholders = []Placeholder{
	{
		Pattern: placeholderNamespace,
		Value:   func(s Subject, _ string) string { return s.Namespace },
		Safe:    isDNSName,
		Becomes: "the namespace of the pod",
		Values:  "a DNS label",
	},
	{
		Pattern: placeholderRelease,
		Value:   func(s Subject, _ string) string { return s.Release },
		Safe:    isDNSName,
		Becomes: "the Helm release; an error at admission, where no release is known",
		Values:  "a DNS name",
	},
	{
		Pattern:   "{pod.name}",
		FieldPath: "metadata.name",
		Variable:  podVariablePrefix + "NAME",
		Value:     func(Subject, string) string { return "" }, // it is not read
		Later:     func(Subject, string) bool { return true },
		Safe:      isDirectoryName,
		Becomes:   "the pod's name, also one that the API server generates",
		Values:    "a DNS name",
	},
	{
		Pattern:   "{pod.labels['KEY']}",
		Noun:      "label",
		FieldPath: "metadata.labels['KEY']",
		Variable:  podVariablePrefix + "LABEL_KEY",
		Value:     func(s Subject, key string) string { return s.Pod.Labels[key] },
		Later:     func(s Subject, key string) bool { return slices.Contains(s.Pod.ControllerLabels, key) },
		// The API server is stricter, but not every tool has filled its own placeholders in a
		// rendered label.
		Safe: isDirectoryName,
		Becomes: "a label of the pod: `workflows.argoproj.io/workflow`, `batch.kubernetes.io/job-name`, " +
			"`ray.io/cluster`, …",
		Values: "the value of a label: no slash, and a letter or a digit at both ends",
	},
}

// isDNSName reports whether a value is a name as those of namespaces, releases and pods.
// Source: Kubernetes, apimachinery IsDNS1123Subdomain.
func isDNSName(value string) bool { return len(validation.IsDNS1123Subdomain(value)) == 0 }

// isDirectoryName reports whether a value is one element of a path, and not its own or its parent
// directory.
func isDirectoryName(value string) bool {
	return value != "" && value != "." && value != ".." && !strings.Contains(value, "/")
}

// PlaceholderPatterns lists the patterns of [Placeholders] for messages and usages.
func PlaceholderPatterns() string {
	patterns := make([]string, len(Placeholders))
	for i := range Placeholders {
		patterns[i] = Placeholders[i].Pattern
	}
	last := len(patterns) - 1
	return strings.Join(patterns[:last], ", ") + " and " + patterns[last]
}

// Text is the placeholder as a profile writes it with this key.
func (p *Placeholder) Text(key string) string {
	return strings.ReplaceAll(p.Pattern, placeholderKey, key)
}

// EnvVar is the variable that a container needs for the placeholder with this key.
func (p *Placeholder) EnvVar(key string) corev1.EnvVar {
	field := &corev1.ObjectFieldSelector{FieldPath: strings.ReplaceAll(p.FieldPath, placeholderKey, key)}
	return corev1.EnvVar{
		Name:      strings.ReplaceAll(p.Variable, placeholderKey, variableName(key)),
		ValueFrom: &corev1.EnvVarSource{FieldRef: field},
	}
}

// variableName makes the name of a variable from a key. Two keys may have one name: that is a
// conflict like any other of a variable that is taken.
func variableName(key string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToUpper(key))
}

// key returns the key that a text in braces names, and whether the text is this placeholder.
func (p *Placeholder) key(text string) (string, bool) {
	before, after, hasKey := strings.Cut(p.Pattern, placeholderKey)
	if !hasKey {
		return "", text == p.Pattern
	}
	rest, ok := strings.CutPrefix(text, before)
	if !ok {
		return "", false
	}
	return strings.CutSuffix(rest, after)
}

// placeholderOf returns the row of a text in braces with the key that it names, or nil.
func placeholderOf(text string) (*Placeholder, string) {
	for i := range Placeholders {
		if key, ok := Placeholders[i].key(text); ok {
			return &Placeholders[i], key
		}
	}
	return nil, ""
}

// inBraces is what stands in braces. What stands in double ones is Argo's, which fills its
// templates itself before it makes pods of them. Source: Argo Workflows, Workflow Variables.
var inBraces = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\{\{[^{}]*\}\}|\{[^{}]*\}`)
})

// isArgos reports whether a text in braces is a placeholder of Argo Workflows.
func isArgos(text string) bool { return strings.HasPrefix(text, "{{") }

// ReplacePlaceholders returns a subPath with what fill returns for each placeholder. Those of Argo
// remain.
func ReplacePlaceholders(subPath string, fill func(p *Placeholder, key string) string) string {
	return inBraces().ReplaceAllStringFunc(subPath, func(text string) string {
		if row, key := placeholderOf(text); row != nil {
			return fill(row, key)
		}
		return text
	})
}

// NeedsVariables reports whether the subPath needs environment variables in the containers.
func (m *MountConfig) NeedsVariables() bool {
	return slices.ContainsFunc(inBraces().FindAllString(m.SubPath, -1), func(text string) bool {
		row, _ := placeholderOf(text)
		return row != nil && row.FieldPath != ""
	})
}

// checkPlaceholders refuses braces that remain: they would be a directory of that name, shared by
// all pods.
func checkPlaceholders(subPath string) error {
	for _, found := range inBraces().FindAllString(subPath, -1) {
		if isArgos(found) {
			continue
		}
		row, key := placeholderOf(found)
		if row == nil {
			return fmt.Errorf("%s is not a placeholder: there are %s", found, PlaceholderPatterns())
		}
		if row.Noun == "" {
			continue
		}
		for _, problem := range validation.IsQualifiedName(key) {
			return fmt.Errorf("%s names no %s: %s", found, row.Noun, problem)
		}
	}
	if strings.ContainsAny(inBraces().ReplaceAllString(subPath, ""), "{}") {
		return errors.New("has a brace without the other one")
	}
	return nil
}

// checkNoPlaceholders refuses placeholders in an annotation: the administrator chooses which
// directories there are.
func checkNoPlaceholders(subPath string) error {
	for _, found := range inBraces().FindAllString(subPath, -1) {
		if !isArgos(found) {
			return fmt.Errorf("%s: placeholders are for mount.subPath of the profile only", found)
		}
	}
	return nil
}
