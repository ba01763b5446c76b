package injecttest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

// PodField returns the value that the kubelet reads at a fieldPath of a pod. A path that it does
// not support here fails the test.
// Source: Kubernetes, pkg/fieldpath ExtractFieldPathAsString.
func PodField(t testing.TB, pod *corev1.Pod, fieldPath string) string {
	t.Helper()
	if field, rest, hasKey := strings.Cut(fieldPath, "['"); hasKey {
		key, isClosed := strings.CutSuffix(rest, "']")
		values, isMap := map[string]map[string]string{
			"metadata.labels": pod.Labels, "metadata.annotations": pod.Annotations,
		}[field]
		require.True(t, isClosed && isMap, "add the field %s to internal/injecttest/podfield.go", fieldPath)
		return values[key]
	}
	value, isField := map[string]string{
		"metadata.name": pod.Name, "metadata.namespace": pod.Namespace, "metadata.uid": string(pod.UID),
		"spec.nodeName": pod.Spec.NodeName, "spec.serviceAccountName": pod.Spec.ServiceAccountName,
	}[fieldPath]
	require.True(t, isField, "add the field %s to internal/injecttest/podfield.go", fieldPath)
	return value
}
