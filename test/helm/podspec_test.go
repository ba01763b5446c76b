package helm_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// podsOf are the pod templates of an object. It searches without the table of kinds, which is under
// test.
func podsOf(t *testing.T, object any) []corev1.PodTemplateSpec {
	t.Helper()
	var found []corev1.PodTemplateSpec
	switch value := object.(type) {
	case []any:
		for _, item := range value {
			found = append(found, podsOf(t, item)...)
		}
	case map[string]any:
		if spec, ok := value["spec"].(map[string]any); ok && spec["containers"] != nil {
			var pod corev1.PodTemplateSpec
			require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(value, &pod))
			return []corev1.PodTemplateSpec{pod}
		}
		for _, child := range value {
			found = append(found, podsOf(t, child)...)
		}
	}
	return found
}

// podOf is the pod template of an object that has one.
func podOf(t *testing.T, object unstructured.Unstructured) corev1.PodTemplateSpec {
	t.Helper()
	pods := podsOf(t, object.Object)
	require.Len(t, pods, 1, object.GetName())
	return pods[0]
}

// mounts reports whether the claim is mounted at the path in every container of the pod.
func mounts(pod corev1.PodTemplateSpec, claim, path string) bool {
	volume := slices.IndexFunc(pod.Spec.Volumes, func(v corev1.Volume) bool {
		return v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == claim
	})
	if volume < 0 {
		return false
	}
	for _, container := range append(slices.Clone(pod.Spec.InitContainers), pod.Spec.Containers...) {
		if !slices.ContainsFunc(container.VolumeMounts, func(m corev1.VolumeMount) bool {
			return m.Name == pod.Spec.Volumes[volume].Name && m.MountPath == path
		}) {
			return false
		}
	}
	return true
}

// names are the kind and name of every document.
func names(documents []unstructured.Unstructured) []string {
	all := make([]string, len(documents))
	for i, d := range documents {
		all[i] = d.GetKind() + "/" + d.GetName()
	}
	return all
}
