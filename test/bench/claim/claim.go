// Package claim checks for both benchmarks that a program has mounted a claim into a pod.
package claim

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
)

// Remove removes the volume that holds a claim, and its mount at a path from each container. It returns an
// error unless each of them is there, exactly as the edit must make it. What remains is what the pod was
// before, in which the caller finds every other change: a volume or mount that is there twice, too. Where the
// volume is in its list, and what it is called, is up to the program.
func Remove(spec *corev1.PodSpec, name, path string) error {
	source := &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name}
	at := slices.IndexFunc(spec.Volumes, func(v corev1.Volume) bool {
		return equality.Semantic.DeepEqual(v.PersistentVolumeClaim, source)
	})
	if at < 0 {
		return fmt.Errorf("no volume holds the claim %s", name)
	}
	wanted := corev1.VolumeMount{Name: spec.Volumes[at].Name, MountPath: path}
	spec.Volumes = slices.Delete(spec.Volumes, at, at+1)
	for _, list := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range list {
			c := &list[i]
			at := slices.IndexFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool {
				return equality.Semantic.DeepEqual(m, wanted)
			})
			if at < 0 {
				return fmt.Errorf("container %q does not mount the claim at %s", c.Name, path)
			}
			c.VolumeMounts = slices.Delete(c.VolumeMounts, at, at+1)
		}
	}
	return nil
}
