package kube

import (
	"context"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Fields are the fields of a JSON object.
type Fields map[string]any

// MergePatch sends the fields to change, and reads the answer into target. A nil value removes its
// field.
//
// With metadata.resourceVersion in the fields it fails with a conflict when the object has changed
// since it was read. The API server's error is returned as it is, so that apierrors.IsConflict and
// the like apply to it.
// Source: Kubernetes, API Concepts, "JSON Merge Patch" and "Resource versions"; RFC 7386.
func MergePatch(
	ctx context.Context, api client.Writer, target client.Object, fields Fields, options ...client.PatchOption,
) error {
	text, err := json.Marshal(fields)
	if err != nil {
		return fmt.Errorf("encode a patch: %w", err)
	}
	return api.Patch(ctx, target, client.RawPatch(types.MergePatchType, text), options...)
}
