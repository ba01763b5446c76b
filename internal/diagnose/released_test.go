package diagnose

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

func TestHeldFor(t *testing.T) {
	t.Parallel()
	key := types.NamespacedName{Namespace: "ml", Name: "data"}
	held := func(name string, age time.Duration, change ...func(*corev1.PersistentVolume)) corev1.PersistentVolume {
		v := corev1.PersistentVolume{
			ObjectMeta: metav1.ObjectMeta{
				Name: name, CreationTimestamp: metav1.NewTime(time.Unix(0, 0).Add(-age)),
				Labels: map[string]string{storage.LabelNamespace: "ml", storage.LabelNamespaceUID: "home"},
			},
			Spec: corev1.PersistentVolumeSpec{
				PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
				ClaimRef:                      &corev1.ObjectReference{Namespace: "ml", Name: "data", UID: "gone"},
			},
		}
		for _, c := range change {
			c(&v)
		}
		return v
	}
	cases := map[string]struct {
		volumes          []corev1.PersistentVolume
		volumesExp, prev []string
	}{
		"none": {nil, nil, nil},
		"the newest is the first": {
			[]corev1.PersistentVolume{held("old", 2*time.Hour), held("new", time.Hour), held("oldest", 3*time.Hour)},
			[]string{"new", "old", "oldest"},
			nil,
		},
		"an earlier namespace": {
			[]corev1.PersistentVolume{held("v", 0,
				func(v *corev1.PersistentVolume) { v.Labels[storage.LabelNamespaceUID] = "before" })},
			nil,
			[]string{"v"},
		},
		"a label of another namespace": {
			[]corev1.PersistentVolume{held("v", 0,
				func(v *corev1.PersistentVolume) { v.Labels[storage.LabelNamespace] = "other" })},
			nil,
			[]string{"v"},
		},
		"no labels": {
			[]corev1.PersistentVolume{held("v", 0, func(v *corev1.PersistentVolume) { v.Labels = nil })}, nil, []string{"v"},
		},
		"what is another's, the claim's already, on its way out, or not kept": {
			[]corev1.PersistentVolume{
				held("a", 0, func(v *corev1.PersistentVolume) { v.Spec.ClaimRef = nil }),
				held("b", 0, func(v *corev1.PersistentVolume) { v.Spec.ClaimRef.Namespace = "other" }),
				held("c", 0, func(v *corev1.PersistentVolume) { v.Spec.ClaimRef.Name = "other" }),
				held("d", 0, func(v *corev1.PersistentVolume) { v.Spec.ClaimRef.UID = "now" }),
				held("e", 0, func(v *corev1.PersistentVolume) { v.DeletionTimestamp = &metav1.Time{} }),
				held("f", 0, func(v *corev1.PersistentVolume) { v.Spec.PersistentVolumeReclaimPolicy = "Delete" }),
				held("g", 0, func(v *corev1.PersistentVolume) { v.Spec.PersistentVolumeReclaimPolicy = "Recycle" }),
			},
			nil, nil,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ReleasedFor(key, "now", "home", c.volumes)
			assert.Equal(t, c.volumesExp, volumeNames(got.Volumes))
			assert.Equal(t, c.prev, volumeNames(got.Earlier))
		})
	}
}

func volumeNames(volumes []corev1.PersistentVolume) []string {
	var names []string
	for i := range volumes {
		names = append(names, volumes[i].Name)
	}
	return names
}

func TestNamesFirstVolumes(t *testing.T) {
	t.Parallel()
	volumes := make([]corev1.PersistentVolume, 5)
	for i := range volumes {
		volumes[i].Name = string(rune('a' + i))
	}
	assert.Contains(t, Ambiguous("data", volumes[:3]).Note, "PersistentVolumes a, b, c all have data")
	assert.Contains(t, Ambiguous("data", volumes).Note, "PersistentVolumes a, b, c and 2 more all have data")
}
