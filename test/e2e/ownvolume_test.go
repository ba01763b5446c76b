package e2e

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
)

// ownVolumes gives a pod volumes of the claim, NAME or NAME:ro for a read-only one. An init container
// mounts the volume input if it is among the mounted ones.
func ownVolumes(mountsInput bool, names ...string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		for _, name := range names {
			name, isReadOnly := strings.CutSuffix(name, ":ro")
			p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim, ReadOnly: isReadOnly},
			}})
		}
		if !mountsInput {
			return
		}
		reader := p.Spec.Containers[0]
		reader.Name, reader.Args = "reader", []string{"verify", "/in"}
		reader.VolumeMounts = []corev1.VolumeMount{{Name: "input", MountPath: "/in"}}
		p.Spec.InitContainers = []corev1.Container{reader}
	}
}

// TestReadOnlyVolumesOfThePodItself holds what pkg/inject/ownvolume.go takes for granted of a kubelet.
func TestReadOnlyVolumesOfThePodItself(t *testing.T) {
	requireNode(t)
	t.Parallel()
	namespace := newNamespace(t)
	writeIn(t, namespace, "/data", bytes)

	for name, tt := range map[string]struct {
		volumes  func(*corev1.Pod)
		canWrite bool
	}{
		"a read-only volume that nothing mounts":          {ownVolumes(false, "input:ro"), true},
		"a read-only volume that a container mounts":      {ownVolumes(true, "input:ro"), false},
		"a writable one, which is the last of the list":   {ownVolumes(true, "input:ro", "output"), true},
		"a writable one, and the last is the other one":   {ownVolumes(true, "output", "input:ro"), false},
		"a writable one beside one that nothing mounts":   {ownVolumes(false, "output", "input:ro"), true},
		"a writable volume that another container mounts": {ownVolumes(true, "input"), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := unique("writer")
			phase, log := tryPod(t, namespace, with(boxPod(file, "write", "/data", file, "1"), tt.volumes))
			if tt.canWrite {
				assert.Equal(t, corev1.PodSucceeded, phase, log)
				return
			}
			assert.Equal(t, corev1.PodFailed, phase)
			assert.Contains(t, log, "read-only file system")
		})
	}
}
