package storage

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// ClaimLabel is the label of pods that mount a claim of the profile, where the profile keeps them on one
// node. The value is the name of the claim, shortened where a label cannot hold it.
func (p *Profile) ClaimLabel(claim string) (key, value string) {
	return p.Name + "." + LabelClaim, shorten(claim)
}

// Colocates reports whether the profile keeps its pods on one node: colocate is true, and the volume is on
// one node at a time. A ReadWriteOncePod claim has one pod at a time, so that there are no pods to keep
// together.
func (p *Profile) Colocates() bool {
	return p.Colocate && p.SingleNode() && !p.singlePod()
}

// singlePod reports whether the claim is for one pod in the whole cluster.
func (p *Profile) singlePod() bool {
	return slices.Contains(p.Claim.AccessModes, corev1.ReadWriteOncePod)
}

// Colocates reports whether some profile keeps its pods on one node, so that the affinity of pods matters.
func (c *Config) Colocates() bool {
	return slices.ContainsFunc(c.Profiles, func(p Profile) bool { return p.Colocates() })
}

// colocateWarning is why colocate of the profile has no effect, or nil.
func (p *Profile) colocateWarning() []string {
	switch {
	case !p.Colocate || p.Colocates():
		return nil
	case p.singlePod():
		return []string{p.warning("colocate has no effect for ReadWriteOncePod: " +
			"one pod at a time has the claim, on any node")}
	}
	return []string{p.warning("colocate has no effect: many nodes can mount the volume")}
}

// SingleNode reports whether the volume can be mounted on one node only: every mode is ReadWriteOnce(Pod)
// and the backend is a disk.
func (p *Profile) SingleNode() bool {
	return p.Backend().Block && !slices.ContainsFunc(p.Claim.AccessModes, func(m corev1.PersistentVolumeAccessMode) bool {
		return m == corev1.ReadWriteMany || m == corev1.ReadOnlyMany
	})
}
