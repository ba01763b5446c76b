package postrender

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// functionResult is one entry of a list's results. Source: the specification, definitions/Result.
type functionResult struct {
	Message     string         `json:"message"`
	Severity    string         `json:"severity"`
	ResourceRef *resourceRef   `json:"resourceRef,omitempty"`
	Field       *resourceField `json:"field,omitempty"`
	File        *resourceFile  `json:"file,omitempty"`
}

// resourceRef refers to the object that a result is about.
type resourceRef struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace,omitempty"`
	Name       string `json:"name"`
}

// resourceField is the place in that object, as a path from its root.
type resourceField struct {
	Path string `json:"path"`
}

// resourceFile is the file that the orchestrator read the object from. Index counts its documents
// from 0.
type resourceFile struct {
	Path  string `json:"path"`
	Index int    `json:"index,omitempty"`
}

// The severities of a result.
const (
	severityError   = "error"
	severityWarning = "warning"
	severityInfo    = "info"
)

// matches reports whether a decoded result has the same message about the same object.
func (f functionResult) matches(have any) bool {
	result, _ := have.(map[string]any)
	ref, _ := result["resourceRef"].(map[string]any)
	if result["message"] != f.Message || result["severity"] != f.Severity || (ref == nil) != (f.ResourceRef == nil) {
		return false
	}
	namespace, _ := ref["namespace"].(string)
	return ref == nil || ref["kind"] == f.ResourceRef.Kind && ref["name"] == f.ResourceRef.Name &&
		namespace == f.ResourceRef.Namespace
}

// results writes a report as the specification has it. A report with an error has no results
// about what was added, because nothing was.
func (l *ResourceList) results(report *Report) []functionResult {
	var all []functionResult
	refused := false
	for i := range report.Workloads {
		w := &report.Workloads[i]
		about := l.about(w)
		add := func(severity, message string) {
			about.Severity, about.Message = severity, message
			all = append(all, about)
		}
		switch {
		case w.Reason.Refuses():
			refused = true
			add(severityError, w.Message)
		case w.Reason == inject.ReasonInjected && report.Error == "":
			add(severityInfo, "mounted "+mountedClaims(w))
		}
		for _, warning := range w.Warnings {
			if report.isStrict && slices.Contains(w.unserved, warning) {
				refused = true
				add(severityError, warning)
				continue
			}
			add(severityWarning, warning)
		}
	}
	for _, object := range report.Objects {
		if object.Action == Created && report.Error == "" {
			all = append(all, functionResult{Message: "created", Severity: severityInfo, ResourceRef: &resourceRef{
				APIVersion: object.apiVersion(), Kind: object.Kind, Namespace: object.Namespace, Name: object.Name,
			}})
		}
	}
	for _, warning := range report.Warnings {
		all = append(all, functionResult{Message: warning, Severity: severityWarning})
	}
	if report.Error != "" && !refused {
		all = append(all, l.problems(report.Error)...)
	}
	return all
}

// about refers to a workload as its item has it: the object, the place of the pod in it, and its file.
func (l *ResourceList) about(w *Workload) functionResult {
	meta := metadata(l.item(w.Document))
	namespace, _ := meta["namespace"].(string)
	result := functionResult{
		ResourceRef: &resourceRef{APIVersion: w.APIVersion, Kind: w.Kind, Namespace: namespace, Name: w.Name},
		File:        fileOf(meta),
	}
	if path := fieldPath(w.Pod); path != "" {
		result.Field = &resourceField{path}
	}
	return result
}

// fieldPath writes a JSON pointer as the specification writes fields: spec.template.spec.containers[3].
func fieldPath(pointer string) string {
	var path strings.Builder
	for token := range jsontext.Pointer(pointer).Tokens() {
		if _, err := strconv.Atoi(token); err == nil {
			path.WriteString("[" + token + "]")
			continue
		}
		path.WriteString("." + token)
	}
	return strings.TrimPrefix(path.String(), ".")
}

// fileOf is where the orchestrator found an item, or nil. These annotations are the orchestrator's:
// a function reads them, and gives what it creates none, so that the orchestrator chooses a file.
// The second of each is what older ones write.
func fileOf(meta map[string]any) *resourceFile {
	annotations, _ := meta["annotations"].(map[string]any)
	first := func(keys ...string) string {
		for _, key := range keys {
			if text, _ := annotations[key].(string); text != "" {
				return text
			}
		}
		return ""
	}
	path := first("internal.config.kubernetes.io/path", "config.kubernetes.io/path")
	if path == "" {
		return nil
	}
	index, _ := strconv.Atoi(first("internal.config.kubernetes.io/index", "config.kubernetes.io/index"))
	return &resourceFile{path, index}
}

// mountedClaims returns in a few words what a pod mounts. It names containers, so that people
// find the mount.
func mountedClaims(w *Workload) string {
	var parts []string
	for _, a := range w.Added {
		if a.MountPath != "" {
			parts = append(parts, fmt.Sprintf("%s at %s in container %q", a.Volume, a.MountPath, a.Container))
		}
	}
	return strings.Join(parts, ", ")
}

// apiVersion is that of one of the storage kinds.
func (o *Object) apiVersion() string {
	if group := storageGroups[o.Kind]; group != "" {
		return group + "/v1"
	}
	return "v1"
}

// aboutField begins a problem that concerns one field of the configuration.
var aboutField = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^functionConfig: ([a-z]\w*(?:[.\[\]]+\w+)*\]?): `)
})

// problems are the lines of an error that no item is the cause of, with the field of functionConfig
// where one is.
func (l *ResourceList) problems(message string) []functionResult {
	var all []functionResult
	for line := range strings.SplitSeq(message, "\n") {
		result := functionResult{Message: line, Severity: severityError}
		if match := aboutField().FindStringSubmatch(line); match != nil && l.Release.Name != "" {
			result.ResourceRef = &resourceRef{
				APIVersion: storage.APIVersion, Kind: storage.ConfigKind, Namespace: l.Release.Namespace, Name: l.Release.Name,
			}
			result.Field = &resourceField{match[1]}
		}
		all = append(all, result)
	}
	return all
}
