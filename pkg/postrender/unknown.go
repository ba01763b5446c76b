package postrender

import (
	"bytes"
	"fmt"

	"github.com/pipeline-storage/pipeline-storage/internal/manifest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
)

// quietKinds hold the word containers for other reasons than pods of their own.
var quietKinds = map[string]bool{
	"CustomResourceDefinition":  true,
	"Secret":                    true,
	"PrometheusRule":            true,
	"ValidatingAdmissionPolicy": true,
	"MutatingAdmissionPolicy":   true,
}

// reportUnknown reports a document that seems to hold a pod although no row of the table knows its kind, so that nothing
// stays unmounted without a word. It never fails: such a document is none of ours.
func (r *run) reportUnknown(doc manifest.Document) {
	kinds := doc.Header.Kinds
	if len(kinds) == 0 || quietKinds[kinds[0]] {
		return
	}
	isConfigMap := kinds[0] == "ConfigMap"
	if isConfigMap != mentionsPod(doc.Body) || !mentionsContainers(doc.Body) {
		return
	}
	tree, err := manifest.Decode(doc.Body)
	if err != nil {
		return
	}
	content, _ := tree.Value().(map[string]any)
	objects, err := r.kinds.Find(content)
	if err != nil || len(objects) != 1 {
		return
	}
	switch {
	case isConfigMap:
		r.addWorkload(doc, objects[0], inject.Decision{Reason: inject.ReasonPodInConfigMap, Message: "a pod inside a ConfigMap " +
			"(Airflow calls it pod_template_file) is text and is not edited: put the label pipeline-storage=enabled on that pod " +
			"and let the webhook mount the claim, or set the volume in the chart's values"})
	case holdsContainers(content):
		r.addWorkload(doc, objects[0], inject.Decision{Reason: inject.ReasonUnsupportedKind, Message: unsupportedMessage(objects[0])})
	}
}

func unsupportedMessage(object inject.Object) string {
	return fmt.Sprintf("it seems to hold a pod, but kind %s of group %q is not known: add it under kinds: in the configuration file, "+
		"for a pod template in spec.template as {group: %q, kind: %s, pods: [{podTemplate: spec.template}]}",
		object.Kind, object.Group, object.Group, object.Kind)
}

// mentionsPod reports whether indented text says kind: Pod, as a pod inside a block scalar does.
func mentionsPod(body []byte) bool {
	return bytes.Contains(body, []byte("kind: Pod\n")) || bytes.Contains(body, []byte("kind: Pod\r\n"))
}

var containersKey = []byte("containers")

// mentionsContainers reports whether the word stands where a key may stand.
func mentionsContainers(body []byte) bool {
	for rest := body; ; {
		i := bytes.Index(rest, containersKey)
		if i < 0 {
			return false
		}
		isStart := i == 0 || bytes.IndexByte([]byte(" \t\n\"'{,"), rest[i-1]) >= 0
		rest = rest[i+len(containersKey):]
		if isStart && bytes.HasPrefix(bytes.TrimLeft(rest, `"' `), []byte(":")) {
			return true
		}
	}
}

// holdsContainers reports whether a decoded value has a list of containers anywhere.
func holdsContainers(value any) bool {
	switch value := value.(type) {
	case map[string]any:
		list, _ := value["containers"].([]any)
		if len(list) > 0 {
			if _, isObject := list[0].(map[string]any); isObject {
				return true
			}
		}
		for _, child := range value {
			if holdsContainers(child) {
				return true
			}
		}
	case []any:
		for _, child := range value {
			if holdsContainers(child) {
				return true
			}
		}
	}
	return false
}
