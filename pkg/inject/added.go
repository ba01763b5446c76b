package inject

import corev1 "k8s.io/api/core/v1"

// What injection adds to a pod, each made in one place, so that Remove knows it again.

// podVolume is a profile's volume in a pod.
func podVolume(name, claim string) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim},
	}}
}

// variable is the environment variable that tells a mount path.
func variable(name, mountPath string) corev1.EnvVar {
	return corev1.EnvVar{Name: name, Value: mountPath}
}

// groupContext is the security context of a pod that has none of its own.
func groupContext(group *int64) corev1.PodSecurityContext {
	policy := corev1.FSGroupChangeOnRootMismatch
	return corev1.PodSecurityContext{FSGroup: group, FSGroupChangePolicy: &policy}
}
