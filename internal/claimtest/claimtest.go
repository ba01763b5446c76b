// Package claimtest makes claims and configurations for tests.
package claimtest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// Change is one difference to the claim that [Claim] makes.
type Change func(*corev1.PersistentVolumeClaim)

// Claim is ml/data, 100Gi ReadWriteOnce of the class fast, with changes. The changes are made in
// their order. Each call returns a claim of its own, so that parallel tests may change it.
func Claim(changes ...Change) *corev1.PersistentVolumeClaim {
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
	for _, change := range changes {
		change(claim)
	}
	return claim
}

// Size makes it request that much. It must be a valid quantity, such as 10Gi: anything else panics.
func Size(size string) Change {
	return func(c *corev1.PersistentVolumeClaim) {
		c.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)}
	}
}

// RequestedBy names the field manager that has requested its size.
func RequestedBy(manager string) Change {
	return func(c *corev1.PersistentVolumeClaim) {
		c.ManagedFields = append(c.ManagedFields, metav1.ManagedFieldsEntry{
			Manager: manager, Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: "v1", FieldsType: "FieldsV1",
			FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:resources":{"f:requests":{".":{},"f:storage":{}}},"f:volumeName":{}}}`),
		})
	}
}

// Modes are its access modes. None at all is a claim that the API server refuses.
func Modes(modes ...corev1.PersistentVolumeAccessMode) Change {
	return func(c *corev1.PersistentVolumeClaim) { c.Spec.AccessModes = modes }
}

// Class names its StorageClass.
func Class(name string) Change {
	return func(c *corev1.PersistentVolumeClaim) { c.Spec.StorageClassName = &name }
}

// Volume names its volume.
func Volume(name string) Change {
	return func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = name }
}

// Label gives it a label.
func Label(key, value string) Change {
	return func(c *corev1.PersistentVolumeClaim) { metav1.SetMetaDataLabel(&c.ObjectMeta, key, value) }
}

// Block makes it a raw block device.
func Block(c *corev1.PersistentVolumeClaim) {
	c.Spec.VolumeMode = new(corev1.PersistentVolumeBlock)
}

// Config loads a configuration of profiles in YAML's flow style, each at a mount path of its own. A
// profile is a text such as {name: models}, without mount. A configuration that package storage
// refuses fails the test.
func Config(tb testing.TB, profiles ...string) *storage.Config {
	tb.Helper()

	text := strings.Builder{}
	text.WriteString("apiVersion: pipeline-storage.io/v1alpha1\nkind: StorageConfig\nprofiles:\n")
	for i, p := range profiles {
		fmt.Fprintf(&text, "- %s, mount: {path: /data%d}}\n", strings.TrimSuffix(p, "}"), i)
	}
	config, _, err := storage.LoadForAdmission([]byte(text.String()))
	require.NoError(tb, err)
	return config
}
