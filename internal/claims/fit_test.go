package claims

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
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

func withCapacity(size string) func(*corev1.PersistentVolumeClaim) {
	return func(c *corev1.PersistentVolumeClaim) {
		c.Status.Capacity = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)}
	}
}

func withModes(modes ...corev1.PersistentVolumeAccessMode) func(*corev1.PersistentVolumeClaim) {
	return func(c *corev1.PersistentVolumeClaim) { c.Spec.AccessModes = modes }
}

func withClass(name string) func(*corev1.PersistentVolumeClaim) {
	return func(c *corev1.PersistentVolumeClaim) { c.Spec.StorageClassName = &name }
}

func withVolume(name string) func(*corev1.PersistentVolumeClaim) {
	return func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = name }
}

func asBlock(c *corev1.PersistentVolumeClaim) {
	c.Spec.VolumeMode = new(corev1.PersistentVolumeBlock)
}

func withLabel(key, value string) func(*corev1.PersistentVolumeClaim) {
	return func(c *corev1.PersistentVolumeClaim) { metav1.SetMetaDataLabel(&c.ObjectMeta, key, value) }
}

func TestMisfits(t *testing.T) {
	t.Parallel()

	for name, row := range map[string]struct {
		existing, wanted *corev1.PersistentVolumeClaim
		want             []string
	}{
		"the same claim fits":                          {aClaim(), aClaim(), nil},
		"more modes and more space fit":                {aClaim(withModes(corev1.ReadWriteMany, corev1.ReadWriteOnce), withSize("1Ti")), aClaim(), nil},
		"a volume that turned out large enough fits":   {aClaim(withSize("1Gi"), withCapacity("100Gi")), aClaim(), nil},
		"the size in other units fits":                 {aClaim(withSize("102400Mi")), aClaim(), nil},
		"a volume of its own fits a provisioned claim": {aClaim(withVolume("pvc-123")), aClaim(), nil},
		"the wanted volume fits in any class":          {aClaim(withVolume("v"), withClass("")), aClaim(withVolume("v")), nil},
		"a missing mode does not": {
			aClaim(), aClaim(withModes(corev1.ReadWriteMany)),
			[]string{"its access modes are ReadWriteOnce, which lacks ReadWriteMany"},
		},
		"less space does not":           {aClaim(withSize("99Gi")), aClaim(), []string{"its size is 99Gi, less than 100Gi"}},
		"another class does not":        {aClaim(withClass("gp2")), aClaim(), []string{`its StorageClass is "gp2", not "fast"`}},
		"no class does not":             {aClaim(func(c *corev1.PersistentVolumeClaim) { c.Spec.StorageClassName = nil }), aClaim(), []string{`its StorageClass is "", not "fast"`}},
		"another volume does not":       {aClaim(withVolume("x")), aClaim(withVolume("v")), []string{`its volume is "x", not "v"`}},
		"a block device does not":       {aClaim(asBlock), aClaim(), []string{"its volumeMode is Block, but pods mount a file system"}},
		"everything wrong is all named": {aClaim(asBlock, withSize("1Gi"), withClass("x"), withModes()), aClaim(), []string{"its access modes are , which lacks ReadWriteOnce", "its size is 1Gi, less than 100Gi", `its StorageClass is "x", not "fast"`, "its volumeMode is Block, but pods mount a file system"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, row.want, misfits(row.existing, row.wanted))
		})
	}
}

func TestDifferences(t *testing.T) {
	t.Parallel()

	for name, row := range map[string]struct {
		existing, wanted *corev1.PersistentVolumeClaim
		want             []string
	}{
		"nothing":              {aClaim(), aClaim(), nil},
		"a larger size grows":  {aClaim(), aClaim(withSize("1Ti")), nil},
		"a smaller size stays": {aClaim(), aClaim(withSize("1Gi")), nil},
		"modes in another order": {
			aClaim(withModes(corev1.ReadWriteOnce, corev1.ReadOnlyMany)), aClaim(withModes(corev1.ReadOnlyMany, corev1.ReadWriteOnce)), nil,
		},
		"a mode that the profile no longer has": {
			aClaim(withModes(corev1.ReadWriteOnce, corev1.ReadOnlyMany)), aClaim(),
			[]string{"its access modes are ReadWriteOnce, ReadOnlyMany, not ReadWriteOnce"},
		},
		"another class": {aClaim(), aClaim(withClass("slow")), []string{`its StorageClass is "fast", not "slow"`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, row.want, differences(row.existing, row.wanted))
		})
	}
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
				metav1.SetMetaDataAnnotation(&c.ObjectMeta, annotationHelmRelease, "demo")
			}), false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, row.want, ownedBy("me", row.claim))
		})
	}
}

func TestClassRefusal(t *testing.T) {
	t.Parallel()

	class := func(provisioner string) *storagev1.StorageClass {
		return &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "fast"}, Provisioner: provisioner}
	}
	assert.Empty(t, classRefusal(class("a"), class("a")))
	assert.Equal(t, "StorageClass fast exists with the provisioner a, but the profile's backend needs b: "+
		"give the profile another storageClass.name, or use the class with storageClass.create: false", classRefusal(class("a"), class("b")))
}

func TestVolumeRefusal(t *testing.T) {
	t.Parallel()

	volume := func(ref *corev1.ObjectReference) *corev1.PersistentVolume {
		v := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "v"}}
		v.Spec.ClaimRef = ref
		return v
	}
	wanted := volume(&corev1.ObjectReference{Namespace: "ml", Name: "data"})
	for name, row := range map[string]struct {
		ref  *corev1.ObjectReference
		want string
	}{
		"our claim":                  {&corev1.ObjectReference{Namespace: "ml", Name: "data", UID: "any"}, ""},
		"nobody's":                   {nil, ""},
		"another namespace's claim":  {&corev1.ObjectReference{Namespace: "etl", Name: "data"}, "PersistentVolume v belongs to the claim etl/data, not to ml/data: give the profile another volume.name, or a namespace of its own"},
		"another claim of the space": {&corev1.ObjectReference{Namespace: "ml", Name: "x"}, "PersistentVolume v belongs to the claim ml/x, not to ml/data: give the profile another volume.name, or a namespace of its own"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, row.want, volumeRefusal(volume(row.ref), wanted))
		})
	}
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
