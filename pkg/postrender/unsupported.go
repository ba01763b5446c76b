package postrender

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pipeline-storage/pipeline-storage/internal/manifest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
)

// podFreeKinds hold the word containers for other reasons than pods of their own.
var podFreeKinds = map[string]bool{
	"CustomResourceDefinition":  true,
	"Secret":                    true,
	"PrometheusRule":            true,
	"ValidatingAdmissionPolicy": true,
	"MutatingAdmissionPolicy":   true,
}

// seemsToHoldPod reports whether a document that needs no parsing for its kind is worth it: its
// text may hold a pod.
func seemsToHoldPod(doc *manifest.Document) bool {
	kinds := doc.Header.Kinds
	if len(kinds) == 0 && !doc.Header.Unsure || len(kinds) > 0 && podFreeKinds[kinds[0]] {
		return false
	}
	return isConfigMap(doc) == mentionsPod(doc.Body) && mentionsPodKey(doc.Body)
}

// isConfigMap reports whether the text of a document shows that it is a ConfigMap.
func isConfigMap(doc *manifest.Document) bool {
	return len(doc.Header.Kinds) > 0 && doc.Header.Kinds[0] == "ConfigMap"
}

// reportUnsupported reports a document that seems to hold a pod although no row of the table has
// its kind, so that no pod stays without storage silently. It never fails: Helm judges such a
// document.
func (r *run) reportUnsupported(u *unit, tree *manifest.Tree) {
	content, ok := tree.Value().(map[string]any)
	if !ok || podFreeKinds[rootKind(content)] {
		return
	}
	objects, err := r.table.Find(content)
	if err != nil || len(objects) != 1 {
		return
	}
	switch {
	case isConfigMap(u.doc):
		r.addPodInConfigMap(u, objects[0])
	case holdsPods(content):
		r.addWorkload(u, objects[0], inject.Decision{
			Reason: inject.ReasonUnsupportedKind, Message: r.unsupportedMessage(objects[0]),
		})
	}
}

// addPodInConfigMap reports a pod that is text in a ConfigMap.
func (r *run) addPodInConfigMap(u *unit, object kinds.Object) {
	r.addWorkload(u, object, inject.Decision{Reason: inject.ReasonPodInConfigMap, Message: r.pass.podInConfigMapMessage()})
}

// podInConfigMap begins the messages about a pod that is text in a ConfigMap.
const podInConfigMap = "a pod inside a ConfigMap (Airflow calls it pod_template_file) is text and is not edited: "

// unsupportedMessage offers the row of the table that the object needs, if its text shows where
// the pod is.
func (r *run) unsupportedMessage(object kinds.Object) string {
	if object.Group == "" {
		return r.ungroupedMessage(object)
	}
	advice := "add a row for it under kinds: in the configuration file"
	if template := templatePath(object.Content, ""); template != "" {
		advice += fmt.Sprintf(", such as {group: %q, kind: %s, pods: [{podTemplate: %q}]}", object.Group,
			object.Kind, template)
	}
	return fmt.Sprintf("it seems to hold a pod, but kind %s of group %q is not known: %s", object.Kind,
		object.Group, advice)
}

// templatePath returns the path of the first pod template in a decoded value, as a row of the table
// spells it, or "".
func templatePath(value any, path string) string {
	switch value := value.(type) {
	case map[string]any:
		if spec, _ := value["spec"].(map[string]any); isList(spec["containers"]) {
			return path
		}
		for _, key := range slices.Sorted(maps.Keys(value)) {
			child := strings.TrimPrefix(path+"."+key, ".")
			if found := templatePath(value[key], child); found != "" {
				return found
			}
		}
	case []any:
		for _, item := range value {
			if found := templatePath(item, path+"[*]"); found != "" {
				return found
			}
		}
	}
	return ""
}

func isList(value any) bool {
	_, ok := value.([]any)
	return ok
}

// configMapText is all that a ConfigMap holds, or nothing for every other object.
func configMapText(object kinds.Object) []byte {
	data, _ := object.Content["data"].(map[string]any)
	if object.Kind != "ConfigMap" || object.Group != "" {
		return nil
	}
	var text []byte
	for _, key := range slices.Sorted(maps.Keys(data)) {
		value, _ := data[key].(string)
		text = append(append(text, value...), '\n')
	}
	return text
}

// mentionsPod reports whether a text has the line kind: Pod, as a pod inside a block scalar has.
func mentionsPod(body []byte) bool {
	return bytes.Contains(body, []byte("kind: Pod\n")) || bytes.Contains(body, []byte("kind: Pod\r\n"))
}

// podKeys are keys that objects with pods in them have. Nearly every other document has none of them.
var podKeys = [][]byte{
	[]byte("containers"), []byte("volumes"), []byte("volumeMounts"),
	[]byte("executor"), []byte("image"),
}

// mentionsPodKey reports whether one of the keys stands where a key may stand.
func mentionsPodKey(body []byte) bool {
	return slices.ContainsFunc(podKeys, func(key []byte) bool { return mentionsKey(body, key) })
}

// mentionsKey reports whether a key stands at the start of a line, of a list item or of a flow
// mapping, with a colon behind it.
func mentionsKey(body, key []byte) bool {
	for rest := body; ; {
		i := bytes.Index(rest, key)
		if i < 0 {
			return false
		}
		isStart := i == 0 || bytes.IndexByte([]byte(" \t\n\"'{,"), rest[i-1]) >= 0
		rest = rest[i+len(key):]
		if isStart && bytes.HasPrefix(bytes.TrimLeft(rest, `"' `), []byte(":")) {
			return true
		}
	}
}

// holdsPods reports whether a decoded value seems to have a pod in it: lists of containers,
// volumes or mounts, a list of things with images (Tekton's steps), one such thing (Argo's
// templates), or Spark's pair of driver and executor. It may be wrong both ways: the result is a
// report entry, never a change.
func holdsPods(value any) bool {
	switch value := value.(type) {
	case map[string]any:
		for _, key := range []string{"containers", "volumes", "volumeMounts"} {
			if list, _ := value[key].([]any); len(list) > 0 && isObject(list[0]) {
				return true
			}
		}
		if isObject(value["driver"]) && isObject(value["executor"]) || hasImage(value["container"]) ||
			hasImage(value["script"]) {
			return true
		}
		for _, child := range value {
			if holdsPods(child) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(value, func(item any) bool {
			return hasImage(item) || holdsPods(item)
		})
	}
	return false
}

func hasImage(value any) bool {
	object, _ := value.(map[string]any)
	_, ok := object["image"].(string)
	return ok
}

func isObject(value any) bool {
	_, ok := value.(map[string]any)
	return ok
}
