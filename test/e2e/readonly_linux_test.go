package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// A volume with the mount options of a read-only profile is read-only for a pod that names the
// claim in a volume of its own, too. No CSI driver runs on this node: the kubelet itself mounts the
// file system of a device with those options, as drivers do.
func TestReadOnlyVolumeRefusesWrites(t *testing.T) {
	requireNode(t)
	t.Parallel()
	const profile, namespace, volumeName = "library", "e2e-library", "e2e-library"
	makeNamespace(t, namespace)
	t.Cleanup(func() { removeNamespace(t, namespace) })
	volume := deviceVolume(t, volumeName, readOnlyOptions(t))
	volume.Spec.ClaimRef = &corev1.ObjectReference{
		Kind: "PersistentVolumeClaim", Namespace: namespace,
		Name: claim + "-" + profile,
	}
	volume.Spec.StorageClassName = "fast-" + profile
	createVolume(t, volume)

	startPod(t, namespace, with(boxPod("reader", "sleep"), using(profile)))
	assert.Equal(t, volumeName, boundClaim(t, namespace, claim+"-"+profile).Spec.VolumeName)
	phase, log := tryPod(t, namespace, namesClaim(boxPod("second", "write", "/mine", "book", "1"), claim+"-"+profile))
	assert.Equal(t, corev1.PodFailed, phase)
	assert.Contains(t, log, "read-only file system")
}

// The same pod writes where the volume has no such option: only the option stops it.
func TestWritableVolumeAcceptsWrites(t *testing.T) {
	requireNode(t)
	t.Parallel()
	namespace := newNamespace(t)
	volume := deviceVolume(t, namespace, nil)
	volume.Spec.ClaimRef = &corev1.ObjectReference{Kind: "PersistentVolumeClaim", Namespace: namespace, Name: "own"}
	createVolume(t, volume)
	_, err := shared.Client.CoreV1().PersistentVolumeClaims(namespace).Create(t.Context(), &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: "own"},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: volume.Spec.AccessModes, StorageClassName: new(""), VolumeName: volume.Name,
			Resources: corev1.VolumeResourceRequirements{Requests: volume.Spec.Capacity},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	runPod(t, namespace, namesClaim(boxPod("second", "write", "/mine", "book", "1"), "own"))
}

// readOnlyOptions are the mount options of the PersistentVolume that a read-only profile of a CSI
// driver creates.
func readOnlyOptions(t *testing.T) []string {
	t.Helper()
	config := &storage.Config{APIVersion: storage.APIVersion, Kind: storage.ConfigKind, Profiles: []storage.Profile{{
		Name: "library", StorageClass: storage.StorageClass{Backend: "csi", Driver: "driver.example.com"},
		Volume: &storage.Volume{Handle: "h", Namespace: "any"}, Mount: storage.MountConfig{ReadOnly: true},
	}}}
	config.SetDefaults()
	objects, err := storage.Objects(config, storage.Release{}, storage.ProfileRef{Profile: "library", Namespace: "any"})
	require.NoError(t, err)
	require.Equal(t, []string{"ro"}, objects.Volumes[0].Spec.MountOptions)
	return objects.Volumes[0].Spec.MountOptions
}

// deviceVolume is a local volume of a device with a file system that every user may write to.
func deviceVolume(t *testing.T, name string, options []string) *corev1.PersistentVolume {
	t.Helper()
	image, root := filepath.Join(t.TempDir(), "image"), t.TempDir()
	require.NoError(t, os.Chmod(root, 0o777))
	command(t, "truncate", "--size=32M", image)
	command(t, "mkfs.ext4", "-q", "-d", root, image)
	device := strings.TrimSpace(command(t, "losetup", "--find", "--show", image))
	t.Cleanup(func() { command(t, "losetup", "--detach", device) })
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("32Mi")},
			AccessModes:                   []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			MountOptions:                  options,
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				Local: &corev1.LocalVolumeSource{Path: device, FSType: new("ext4")},
			},
			NodeAffinity: onNode("node-1"),
		},
	}
}

func createVolume(t *testing.T, volume *corev1.PersistentVolume) {
	t.Helper()
	volumes := shared.Client.CoreV1().PersistentVolumes()
	_, err := volumes.Create(t.Context(), volume, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() {
		if err := volumes.Delete(context.WithoutCancel(t.Context()), volume.Name,
			metav1.DeleteOptions{}); !apierrors.IsNotFound(err) {
			assert.NoError(t, err)
		}
	})
}

// namesClaim makes a pod without the label mount a claim to write, in a volume of its own.
func namesClaim(pod *corev1.Pod, claim string) *corev1.Pod {
	pod = withoutStorageLabel(pod)
	pod.Spec.Volumes = []corev1.Volume{{Name: "mine", VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim},
	}}}
	pod.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "mine", MountPath: "/mine"}}
	return pod
}

// command runs a program of the machine and returns what it prints.
func command(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(context.WithoutCancel(t.Context()), args[0], args[1:]...).CombinedOutput()
	require.NoError(t, err, "%v: %s", args, out)
	return string(out)
}
