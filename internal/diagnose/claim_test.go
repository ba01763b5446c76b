package diagnose

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
)

// aClaim is a claim that fits itself, changed as a row says.
func aClaim(change ...func(*corev1.PersistentVolumeClaim)) *corev1.PersistentVolumeClaim {
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: "data", Namespace: "ml", UID: "claim-uid"},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			StorageClassName: new("fast"),
			Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("100Gi")},
			},
		},
	}
	for _, c := range change {
		c(claim)
	}
	return claim
}

func withSize(size string) func(*corev1.PersistentVolumeClaim) {
	return func(c *corev1.PersistentVolumeClaim) {
		c.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)}
	}
}

func withModes(modes ...corev1.PersistentVolumeAccessMode) func(*corev1.PersistentVolumeClaim) {
	return func(c *corev1.PersistentVolumeClaim) { c.Spec.AccessModes = modes }
}

func withClass(name string) func(*corev1.PersistentVolumeClaim) {
	return func(c *corev1.PersistentVolumeClaim) { c.Spec.StorageClassName = &name }
}

func onVolume() func(*corev1.PersistentVolumeClaim) {
	return func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "v" }
}

func asBlock(c *corev1.PersistentVolumeClaim) {
	c.Spec.VolumeMode = new(corev1.PersistentVolumeBlock)
}

func withLabel(key, value string) func(*corev1.PersistentVolumeClaim) {
	return func(c *corev1.PersistentVolumeClaim) { metav1.SetMetaDataLabel(&c.ObjectMeta, key, value) }
}

// load reads a configuration of the given profiles in YAML's flow style.
func load(tb testing.TB, profiles ...string) *inject.Config {
	tb.Helper()

	text := strings.Builder{}
	text.WriteString("apiVersion: pipeline-storage.io/v1alpha1\nkind: StorageConfig\nprofiles:\n")
	for i, p := range profiles { // each at a path of its own
		fmt.Fprintf(&text, "- %s, mount: {path: /data%d}}\n", strings.TrimSuffix(p, "}"), i)
	}
	config, _, err := inject.LoadForAdmission([]byte(text.String()))
	require.NoError(tb, err)
	return config
}

func TestOwnedBy(t *testing.T) {
	t.Parallel()

	ours := withLabel(inject.LabelInstallation, "me")
	for name, row := range map[string]struct {
		claim *corev1.PersistentVolumeClaim
		want  bool
	}{
		"our label":              {aClaim(ours), true},
		"no label":               {aClaim(), false},
		"another installation's": {aClaim(withLabel(inject.LabelInstallation, "other")), false},
		"our label and Helm's label": {
			aClaim(ours, withLabel(labelManagedBy, managedByHelm)), false,
		},
		"our label and Helm's annotation": {
			aClaim(ours, func(c *corev1.PersistentVolumeClaim) {
				metav1.SetMetaDataAnnotation(&c.ObjectMeta, AnnotationHelmRelease, "demo")
			}), false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, row.want, OwnedBy("me", row.claim))
		})
	}
}
