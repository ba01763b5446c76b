package reviews

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// listKeys are the lists whose items are owned one by one, with the fields that identify an item.
// Source: Kubernetes, the listType=map markers of core/v1 and meta/v1.
var listKeys = map[string][]string{
	"containers":      {"name"},
	"initContainers":  {"name"},
	"env":             {"name"},
	"ports":           {"containerPort", "protocol"},
	"volumes":         {"name"},
	"volumeMounts":    {"mountPath"},
	"ownerReferences": {"uid"},
}

// unowned are the fields that no manager owns.
// Source: Kubernetes, apimachinery/pkg/util/managedfields, stripMeta.
var unowned = []string{"apiVersion", "kind", "namespace", "status"}

// managedFields are the pod's: all of it belongs to the controller that creates it.
func managedFields(pod *corev1.Pod) ([]metav1.ManagedFieldsEntry, error) {
	text, err := json.Marshal(pod)
	if err != nil {
		return nil, fmt.Errorf("encode the pod: %w", err)
	}
	var decoded map[string]any
	if err := json.Unmarshal(text, &decoded); err != nil {
		return nil, fmt.Errorf("decode the pod: %w", err)
	}
	owned, err := json.Marshal(ownedFields(decoded))
	if err != nil {
		return nil, fmt.Errorf("encode the managed fields: %w", err)
	}
	at := metav1.NewTime(time.Date(2026, time.October, 3, 2, 30, 0, 0, time.UTC))
	return []metav1.ManagedFieldsEntry{{
		Manager: "kube-controller-manager", Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: "v1", Time: &at,
		FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(string(owned)),
	}}, nil
}

// ownedFields is the set of an object's fields in the form of FieldsV1.
func ownedFields(object map[string]any) map[string]any {
	set := map[string]any{}
	for field, value := range object {
		if !slices.Contains(unowned, field) {
			set["f:"+field] = owned(field, value)
		}
	}
	return set
}

func owned(field string, value any) any {
	switch value := value.(type) {
	case map[string]any:
		set := ownedFields(value)
		if len(set) > 0 && (field == "labels" || field == "annotations") {
			set["."] = map[string]any{}
		}
		return set
	case []any:
		return ownedItems(listKeys[field], value)
	}
	return map[string]any{}
}

// ownedItems are those of a list, or none when the list has one owner.
func ownedItems(keys []string, list []any) map[string]any {
	set := map[string]any{}
	if keys == nil {
		return set
	}
	for _, each := range list {
		if item, ok := each.(map[string]any); ok {
			fields := maps.Clone(ownedFields(item))
			fields["."] = map[string]any{}
			set[itemKey(keys, item)] = fields
		}
	}
	return set
}

// itemKey is such as k:{"name":"main"}.
func itemKey(keys []string, item map[string]any) string {
	var parts []string
	for _, key := range keys {
		switch value := item[key].(type) {
		case string:
			parts = append(parts, fmt.Sprintf("%q:%q", key, value))
		default:
			parts = append(parts, fmt.Sprintf("%q:%v", key, value))
		}
	}
	return "k:{" + strings.Join(parts, ",") + "}"
}
