package storage

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// seLinuxPolicies are the values of seLinuxChangePolicy.
// Source: Kubernetes, core/v1 PodSELinuxChangePolicy.
var seLinuxPolicies = []corev1.PodSELinuxChangePolicy{
	corev1.SELinuxChangePolicyMountOption, corev1.SELinuxChangePolicyRecursive,
}

// validateSELinux refuses what the API server would refuse of every pod.
func (p *Profile) validateSELinux(at *field.Path) field.ErrorList {
	if p.SELinuxChangePolicy == "" || slices.Contains(seLinuxPolicies, p.SELinuxChangePolicy) {
		return nil
	}
	return field.ErrorList{field.NotSupported(at, p.SELinuxChangePolicy, seLinuxPolicies)}
}
