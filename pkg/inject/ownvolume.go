package inject

import (
	"slices"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
)

// A pod may name the profile's claim in volumes of its own, and read-only ones among them.
//
// The kubelet passes readOnly of such a volume to NodePublishVolume and mounts it read-only into
// every container, whatever the mount requests. (csi.readOnly of a PersistentVolume is another
// thing: it goes to the attachment, see [storage.Profile.ReadOnlyVolumeOption].)
//
// Several volumes of one claim that containers mount share one mount in the pod. A kubelet before
// 1.35 waits forever for all but one of them. A later one mounts all of them as the last one in the
// pod's list is. So a volume of our own, which goes to the head of the list, never makes the claim
// writable beside a read-only one that a container mounts. It does where none mounts that one: the
// kubelet passes over volumes without a mount. A ReadWriteOncePod claim makes no difference, because
// it counts pods and not volumes.
//
// Source: Kubernetes, pkg/kubelet/volumemanager/populator processPodVolumes, pkg/kubelet/
// volumemanager/cache AddPodToVolume, pkg/volume/csi getReadOnlyFromSpec,
// pkg/scheduler/framework/plugins/volumerestrictions; CHANGELOG-1.35 (#122140).

// ownVolume returns the pod's own volume of the claim that suits the profile best: one that is as
// writable as the profile, and of those one that is mounted already. It returns false where the pod
// has none, or only read-only ones that nothing mounts, beside which a volume can be added.
func (p *podPatch) ownVolume(profile *chosenProfile, claim string) (kinds.PodVolume, bool) {
	list := p.volumes.list
	isClaim := func(v kinds.PodVolume) bool { return v.Claim == claim }
	suits := func(v kinds.PodVolume) bool { return profile.Mount.ReadOnly || !v.ReadOnly }
	first := slices.IndexFunc(list, isClaim)
	if first < 0 {
		return kinds.PodVolume{}, false
	}
	if suits(list[first]) && !slices.ContainsFunc(list[first+1:], isClaim) { // nearly every pod
		return list[first], true
	}
	mounted := p.mountedVolumes()
	best, bestRank := first, 0
	for i, v := range list[first:] {
		rank := 0
		if _, isMounted := mounted[v.Name]; isMounted {
			rank++
		}
		if suits(v) {
			rank += 2
		}
		if isClaim(v) && rank > bestRank {
			best, bestRank = first+i, rank
		}
	}
	return list[best], bestRank > 0 || !p.canAddVolume(profile)
}

// canAddVolume reports whether the pod can get a volume of the profile. Containers that are not here
// may mount any volume, so that the pod's own ones remain the only ones.
func (p *podPatch) canAddVolume(profile *chosenProfile) bool {
	name := profile.VolumeName()
	_, isTaken := p.volumes.named(name)
	return !isTaken && !slices.Contains(p.pod.ReservedVolumes, name) && len(p.pod.ExternalContainers) == 0
}

// mountedVolumes are the names of the volumes that some container mounts.
func (p *podPatch) mountedVolumes() map[string]struct{} {
	names := map[string]struct{}{}
	for i := range p.pod.Containers {
		for _, m := range p.pod.Containers[i].AllMounts() {
			names[m.Volume] = struct{}{}
		}
	}
	return names
}

// checkReadOnly finds containers that the profile mounts writable at its path by a volume that is
// read-only. Mounts at other paths are the pod's own choice.
func (p *podPatch) checkReadOnly(profile *chosenProfile, volume kinds.PodVolume) {
	if !volume.ReadOnly || profile.Mount.ReadOnly {
		return
	}
	mountPath := absolute(profile.Mount.Path)
	isStuck := func(m kinds.VolumeMount) bool {
		return m.Volume == volume.Name && absolute(m.Path) == mountPath && !m.ReadOnly
	}
	var stuck nameList
	for i := range p.pod.Containers {
		if c := &p.pod.Containers[i]; profile.includes(c.Name) && slices.ContainsFunc(c.AllMounts(), isStuck) {
			stuck.add(c.Name)
		}
	}
	if stuck.count > 0 {
		p.problem(
			ProblemReadOnlyVolume, "remove readOnly from the volume and set it on the mounts that only read, or set the "+
				"annotation "+AnnotationReadOnly+`: "true"`,
			"%s cannot write at %s, because the pod's own volume %q mounts the claim %q read-only",
			stuck.sentence("container"), profile.Mount.Path, volume.Name, volume.Claim,
		)
	}
}

// checkOneVolume finds several volumes of the claim that containers mount.
func (p *podPatch) checkOneVolume(volume kinds.PodVolume) {
	isOther := func(v kinds.PodVolume) bool { return v.Claim == volume.Claim && v.Name != volume.Name }
	if !slices.ContainsFunc(p.volumes.list, isOther) {
		return
	}
	mounted := p.mountedVolumes()
	var names nameList
	for _, v := range p.volumes.list {
		if _, isMounted := mounted[v.Name]; isMounted && v.Claim == volume.Claim {
			names.add(v.Name)
		}
	}
	if names.count > 1 {
		p.problem(
			ProblemSeveralVolumes, "mount one volume wherever the claim is needed",
			"%s have the same claim %q; before Kubernetes 1.35 such a pod never starts, and later all of them are read-only "+
				"if the last one is", names.sentence("volume"), volume.Claim,
		)
	}
}
