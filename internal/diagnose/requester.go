package diagnose

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// FieldManager is the field manager of the claims controller. The API server notes it in the
// managedFields of an object with the fields that the controller has written as they are.
// Source: Kubernetes, Server-Side Apply, "Field management".
const FieldManager = "pipeline-storage-claims"

// maxSizeFields is how many field managers [SizeFields] returns: the controller, and a third party.
const maxSizeFields = 2

// sizeField is the requested size of a claim, as managedFields name it.
// Source: Kubernetes, meta/v1 FieldsV1.
const sizeField = `{"f:spec":{"f:resources":{"f:requests":{"f:storage":{}}}}}`

// SizeFields returns the part of managedFields that shows who requested the size of a claim, for a
// cache. It does not grow with its input: the author of a claim can write anything there, but the API
// server bounds the length of a manager's name.
// Source: Kubernetes, meta/v1/validation FieldManagerMaxLength.
func SizeFields(all []metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
	var some []metav1.ManagedFieldsEntry
	for i := range all {
		if len(some) < maxSizeFields && hasSize(&all[i]) {
			some = append(some, metav1.ManagedFieldsEntry{
				Manager: strings.Clone(all[i].Manager), FieldsV1: metav1.NewFieldsV1(sizeField),
			})
		}
	}
	return some
}

// hasSize reports whether a field manager has written the requested size as it is.
func hasSize(entry *metav1.ManagedFieldsEntry) bool {
	if entry.FieldsV1 == nil || entry.Subresource != "" {
		return false
	}
	var fields struct {
		Spec struct {
			Resources struct {
				Requests map[string]json.RawMessage `json:"f:requests"`
			} `json:"f:resources"`
		} `json:"f:spec"`
	}
	if json.Unmarshal(entry.FieldsV1.GetRawBytes(), &fields) != nil {
		return false
	}
	_, ok := fields.Spec.Resources.Requests["f:"+string(corev1.ResourceStorage)]
	return ok
}

// isOwnRequest reports whether the claims controller requested the size of a claim, and no other
// client. Without managedFields, which clients may remove, it reports false.
func isOwnRequest(claim *corev1.PersistentVolumeClaim) bool {
	fields := SizeFields(claim.ManagedFields)
	return len(fields) > 0 && !slices.ContainsFunc(fields, isThirdParty)
}

func isThirdParty(entry metav1.ManagedFieldsEntry) bool { return entry.Manager != FieldManager }

// requester names the third party that requested the size of a claim.
func requester(claim *corev1.PersistentVolumeClaim) string {
	fields := SizeFields(claim.ManagedFields)
	if i := slices.IndexFunc(fields, isThirdParty); i >= 0 {
		return fmt.Sprintf("the field manager %q", fields[i].Manager)
	}
	return "a third party"
}
