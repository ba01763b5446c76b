package inject

import (
	"cmp"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
)

// seLinuxChangePolicy sets the profile's policy where the pod has none.
//
// From Kubernetes 1.37 a volume of a driver with seLinuxMount is mounted with the SELinux label of
// the pod, and pods with different labels cannot share it on one node. With Recursive the container
// runtime relabels the files instead, as before.
// Source: Kubernetes, core/v1 SELinuxChangePolicyMountOption; pkg/features SELinuxMount.
func (p *podPatch) seLinuxChangePolicy(profile *chosenProfile) {
	policy := profile.SELinuxChangePolicy
	if policy == "" {
		return
	}
	context := p.context()
	switch {
	case p.pod.SecurityContextPath == "":
		p.warn(
			"seLinuxChangePolicy %s of profile %q is not set: this kind has no security context of the pod, or its parent "+
				"is missing", policy, profile.Name,
		)
	case p.seLinuxPolicy != "" && p.seLinuxPolicy != policy:
		p.warn(
			"seLinuxChangePolicy %s of profile %q is not set: the pod has %s for another profile", policy, profile.Name,
			p.seLinuxPolicy,
		)
	case !context.HasSELinuxChangePolicy:
		p.seLinuxPolicy = policy
		p.setContext(
			fieldSELinuxChangePolicy, policy, Addition{Profile: profile.Name, SELinuxChangePolicy: string(policy)},
		)
		context.HasSELinuxChangePolicy = true
		p.pod.SecurityContext = &context
	}
}

// checkSELinux finds containers that mount the volume with different SELinux labels. From Kubernetes
// 1.37, a node with SELinux refuses to mount a PersistentVolume for such a pod, whatever its
// seLinuxChangePolicy. Containers without a label do not count.
// Source: Kubernetes, pkg/volume/util/selinux.go GetMountSELinuxLabel (MultipleSELinuxLabelsError);
// pkg/kubelet/volumemanager/cache/desired_state_of_world.go getSELinuxLabel.
func (p *podPatch) checkSELinux(volume kinds.PodVolume) {
	ofPod := p.context().SELinux
	var first *kinds.Container
	label := ""
	for i := range p.pod.Containers {
		c := &p.pod.Containers[i]
		own := cmp.Or(c.SELinux, ofPod)
		if own == "" || own == label || !mounts(c, volume.Name) {
			continue
		}
		if first == nil {
			first, label = c, own
			continue
		}
		p.problem(
			ProblemSELinuxLabels, "give them the same options, or exclude one of them",
			"containers %q and %q mount the claim %q with different seLinuxOptions, and from Kubernetes 1.37 such a pod does "+
				"not start on a node with SELinux", first.Name, c.Name, volume.Claim,
		)
		return
	}
}

// mounts reports whether a container mounts a volume.
func mounts(c *kinds.Container, volume string) bool {
	for _, m := range c.AllMounts() {
		if m.Volume == volume {
			return true
		}
	}
	return false
}
