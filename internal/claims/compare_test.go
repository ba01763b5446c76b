package claims

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pipeline-storage/pipeline-storage/internal/claimtest"
)

func withCapacity(size string) func(*corev1.PersistentVolumeClaim) {
	return func(c *corev1.PersistentVolumeClaim) {
		c.Status.Capacity = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)}
	}
}

func TestMisfits(t *testing.T) {
	t.Parallel()

	for name, row := range map[string]struct {
		existing, wanted *corev1.PersistentVolumeClaim
		want             []string
	}{
		"the same claim fits": {claimtest.Claim(), claimtest.Claim(), nil},
		"more modes and more space fit": {claimtest.Claim(claimtest.Modes(corev1.ReadWriteMany,
			corev1.ReadWriteOnce), claimtest.Size("1Ti")), claimtest.Claim(), nil},
		"a volume that turned out large enough fits": {
			claimtest.Claim(claimtest.Size("1Gi"), withCapacity("100Gi")),
			claimtest.Claim(), nil,
		},
		"the size in other units fits": {claimtest.Claim(claimtest.Size("102400Mi")), claimtest.Claim(), nil},
		"a volume of its own fits a provisioned claim": {
			claimtest.Claim(claimtest.Volume("pvc-123")), claimtest.Claim(),
			nil,
		},
		"the wanted volume fits in any class": {
			claimtest.Claim(claimtest.Volume("v"), claimtest.Class("")),
			claimtest.Claim(claimtest.Volume("v")), nil,
		},
		"a missing mode does not": {
			claimtest.Claim(), claimtest.Claim(claimtest.Modes(corev1.ReadWriteMany)),
			[]string{"its access modes are ReadWriteOnce, which lacks ReadWriteMany"},
		},
		"less space does not": {
			claimtest.Claim(claimtest.Size("99Gi")), claimtest.Claim(),
			[]string{"its size is 99Gi, less than 100Gi"},
		},
		"another class does not": {
			claimtest.Claim(claimtest.Class("gp2")), claimtest.Claim(),
			[]string{`its StorageClass is "gp2", not "fast"`},
		},
		"no class does not": {
			claimtest.Claim(func(c *corev1.PersistentVolumeClaim) { c.Spec.StorageClassName = nil }), claimtest.Claim(),
			[]string{`its StorageClass is "", not "fast"`},
		},
		"another volume does not": {
			claimtest.Claim(claimtest.Volume("x")), claimtest.Claim(claimtest.Volume("v")),
			[]string{`its volume is "x", not "v"`},
		},
		"a block device does not": {
			claimtest.Claim(claimtest.Block), claimtest.Claim(),
			[]string{"its volumeMode is Block, but pods mount a file system"},
		},
		"everything wrong is all named": {claimtest.Claim(claimtest.Block, claimtest.Size("1Gi"), claimtest.Class("x"),
			claimtest.Modes()), claimtest.Claim(), []string{
			"its access modes are , which lacks ReadWriteOnce",
			"its size is 1Gi, less than 100Gi", `its StorageClass is "x", not "fast"`,
			"its volumeMode is Block, but pods mount a file system",
		}},
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
		"nothing":              {claimtest.Claim(), claimtest.Claim(), nil},
		"a larger size grows":  {claimtest.Claim(), claimtest.Claim(claimtest.Size("1Ti")), nil},
		"a smaller size stays": {claimtest.Claim(), claimtest.Claim(claimtest.Size("1Gi")), nil},
		"modes in another order": {
			claimtest.Claim(claimtest.Modes(corev1.ReadWriteOnce, corev1.ReadOnlyMany)),
			claimtest.Claim(claimtest.Modes(corev1.ReadOnlyMany, corev1.ReadWriteOnce)), nil,
		},
		"a mode that the profile no longer has": {
			claimtest.Claim(claimtest.Modes(corev1.ReadWriteOnce, corev1.ReadOnlyMany)), claimtest.Claim(),
			[]string{"its access modes are ReadWriteOnce, ReadOnlyMany, not ReadWriteOnce"},
		},
		"another class": {
			claimtest.Claim(), claimtest.Claim(claimtest.Class("slow")),
			[]string{`its StorageClass is "fast", not "slow"`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, row.want, differences(row.existing, row.wanted))
		})
	}
}

func TestClassRefusal(t *testing.T) {
	t.Parallel()

	const (
		remain  = corev1.PersistentVolumeReclaimRetain
		perish  = corev1.PersistentVolumeReclaimDelete
		differs = "StorageClass fast exists with the reclaimPolicy %s, but the profile has %s, which decides whether data " +
			"outlives its claim: " +
			"give the profile another storageClass.name, recreate the class (a reclaimPolicy cannot be changed), " +
			"or accept the class as it is with storageClass.create: false"
	)
	class := func(provisioner string, policy *corev1.PersistentVolumeReclaimPolicy) *storagev1.StorageClass {
		return &storagev1.StorageClass{
			ObjectMeta: metav1.ObjectMeta{Name: "fast"}, Provisioner: provisioner,
			ReclaimPolicy: policy,
		}
	}
	for name, row := range map[string]struct {
		existing, wanted *storagev1.StorageClass
		want             string
	}{
		"the same":       {class("a", new(remain)), class("a", new(remain)), ""},
		"none is Delete": {class("a", nil), class("a", new(perish)), ""},
		"Delete where Retain is wanted": {
			class("a", new(perish)), class("a", new(remain)),
			fmt.Sprintf(differs, perish, remain),
		},
		"none where Retain is wanted": {class("a", nil), class("a", new(remain)), fmt.Sprintf(differs, perish, remain)},
		"Retain where Delete is wanted": {
			class("a", new(remain)), class("a", new(perish)),
			fmt.Sprintf(differs, remain, perish),
		},
		"another provisioner comes first": {
			class("a", nil), class("b", new(remain)),
			"StorageClass fast exists with the provisioner a, but the profile's backend needs b: give the profile another " +
				"storageClass.name, or use the class with storageClass.create: false",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, row.want, classRefusal(row.existing, row.wanted))
		})
	}
}

func TestClassDifferences(t *testing.T) {
	t.Parallel()

	class := func(parameters map[string]string, change func(*storagev1.StorageClass)) *storagev1.StorageClass {
		c := &storagev1.StorageClass{Parameters: parameters}
		change(c)
		return c
	}
	same := func(*storagev1.StorageClass) {}
	wanted := class(map[string]string{"iops": "3000", "type": "gp3"}, same)
	for name, row := range map[string]struct {
		existing *storagev1.StorageClass
		want     []string
	}{
		"nothing": {wanted, nil},
		"another parameter": {
			class(map[string]string{"iops": "3000", "type": "gp2"}, same),
			[]string{`its parameter type is "gp2", not "gp3"`},
		},
		"a missing parameter": {
			class(map[string]string{"type": "gp3"}, same),
			[]string{`it lacks the parameter iops: "3000"`},
		},
		"one parameter more": {
			class(map[string]string{"iops": "3000", "type": "gp3", "x": "y"}, same),
			[]string{`it has the parameter x: "y"`},
		},
		"the defaults spelled": {class(wanted.Parameters, func(c *storagev1.StorageClass) {
			c.VolumeBindingMode, c.AllowVolumeExpansion = new(storagev1.VolumeBindingImmediate), new(false)
		}), nil},
		"the binding mode": {class(wanted.Parameters, func(c *storagev1.StorageClass) {
			c.VolumeBindingMode = new(storagev1.VolumeBindingWaitForFirstConsumer)
		}), []string{"its volumeBindingMode is WaitForFirstConsumer, not Immediate"}},
		"mount options": {
			class(wanted.Parameters, func(c *storagev1.StorageClass) { c.MountOptions = []string{"ro"} }),
			[]string{`its mount options are ["ro"], not []`},
		},
		"the expansion": {
			class(wanted.Parameters, func(c *storagev1.StorageClass) { c.AllowVolumeExpansion = new(true) }),
			[]string{"its allowVolumeExpansion is true, not false"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, row.want, classDifferences(row.existing, wanted))
		})
	}
}

func TestVolumeDifferences(t *testing.T) {
	t.Parallel()

	type volumeSource = corev1.PersistentVolumeSource
	csi := func(driver, handle string, attributes map[string]string) volumeSource {
		return volumeSource{CSI: &corev1.CSIPersistentVolumeSource{
			Driver: driver, VolumeHandle: handle,
			VolumeAttributes: attributes,
		}}
	}
	local := func(path string) volumeSource { return volumeSource{Local: &corev1.LocalVolumeSource{Path: path}} }
	hostPath := func(path string, kind *corev1.HostPathType) volumeSource {
		return volumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path, Type: kind}}
	}
	type policy = corev1.PersistentVolumeReclaimPolicy
	volume := func(source volumeSource, policy policy, class string) *corev1.PersistentVolume {
		return &corev1.PersistentVolume{Spec: corev1.PersistentVolumeSpec{
			PersistentVolumeSource:        source,
			PersistentVolumeReclaimPolicy: policy, StorageClassName: class,
		}}
	}
	for name, row := range map[string]struct {
		existing, wanted volumeSource
		want             []string
	}{
		"the same": {csi("d", "h", nil), csi("d", "h", nil), nil},
		"attributes of its own": {
			csi("d", "h", map[string]string{"a": "b", "id": "x"}),
			csi("d", "h", map[string]string{"a": "b"}), nil,
		},
		"another handle": {
			csi("d", "old", nil), csi("d", "new", nil),
			[]string{`its source is "old" of the driver d, not "new" of the driver d`},
		},
		"another driver": {
			csi("d", "h", nil), csi("e", "h", nil),
			[]string{`its source is "h" of the driver d, not "h" of the driver e`},
		},
		"another share": {
			csi("d", "h", map[string]string{"share": "/a"}),
			csi("d", "h", map[string]string{"share": "/b"}),
			[]string{`its attribute share is "/a", not "/b"`},
		},
		"another local path": {
			local("/a"), local("/b"),
			[]string{`its source is the local path "/a", not the local path "/b"`},
		},
		"another host path": {
			hostPath("/a", nil), hostPath("/b", nil),
			[]string{`its source is the hostPath "/a", not the hostPath "/b"`},
		},
		"a host path that may be made": {hostPath("/a", nil), hostPath("/a", new(corev1.HostPathDirectoryOrCreate)), nil},
		"another kind": {
			volumeSource{NFS: &corev1.NFSVolumeSource{}},
			csi("d", "h", nil),
			[]string{`its source is of a kind that no profile has, not "h" of the driver d`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, row.want, volumeDifferences(volume(row.existing, corev1.PersistentVolumeReclaimRetain, "c"),
				volume(row.wanted, corev1.PersistentVolumeReclaimRetain, "c")))
		})
	}
	readOnly := volume(csi("d", "h", nil), corev1.PersistentVolumeReclaimRetain, "c")
	readOnly.Spec.MountOptions = []string{"ro"}
	assert.Equal(t, []string{`its mount options are [], not ["ro"]`},
		volumeDifferences(volume(csi("d", "h", nil), corev1.PersistentVolumeReclaimRetain, "c"), readOnly))
	assert.Equal(t, []string{"its reclaim policy is Delete, not Retain", `its StorageClass is "b", not "a"`},
		volumeDifferences(
			volume(local("/a"), corev1.PersistentVolumeReclaimDelete, "b"),
			volume(local("/a"), corev1.PersistentVolumeReclaimRetain, "a")))
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
		"our claim":          {&corev1.ObjectReference{Namespace: "ml", Name: "data", UID: "any"}, ""},
		"without a claimRef": {nil, ""},
		"another namespace's claim": {
			&corev1.ObjectReference{Namespace: "etl", Name: "data"},
			"PersistentVolume v belongs to the claim etl/data, not to ml/data: give the profile another volume.name, or a " +
				"namespace of its own",
		},
		"another claim of the space": {
			&corev1.ObjectReference{Namespace: "ml", Name: "x"},
			"PersistentVolume v belongs to the claim ml/x, not to ml/data: give the profile another volume.name, or a " +
				"namespace of its own",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, row.want, volumeRefusal(volume(row.ref), wanted))
		})
	}
}
