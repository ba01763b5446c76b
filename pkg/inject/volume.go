package inject

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	corev1 "k8s.io/api/core/v1"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// podVolume is a profile's volume in a pod. As with everything that injection adds, one function
// makes it, so that Remove recognizes it. Values of operations are pointers, because an encoder copies
// every other value.
func podVolume(name, claim string) *corev1.Volume {
	return &corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim},
	}}
}

// volume returns the pod's volume with the profile's claim, which it adds when the pod has no such
// volume. A volume of that name with another claim remains: the pod was rendered with another
// configuration, or before a change, and must find its data.
func (p *podPatch) volume(profile *chosenProfile) (kinds.PodVolume, error) {
	name, claim := profile.VolumeName(), profile.ClaimName(p.request.Release, p.request.Namespace)
	if own, ok := p.ownVolume(profile, claim); ok {
		if own.Name == "" {
			return kinds.PodVolume{}, fmt.Errorf("the volume with the claim %q has no name to mount it by: give it one", claim)
		}
		return own, nil
	}
	if mounted, ok := p.mountedByClaim(claim); ok {
		return mounted, nil
	}
	if v, ok := p.volumes.named(name); ok && v.Claim == "" {
		return v, fmt.Errorf("the name %q is taken by a volume that is no claim: rename that volume or the profile", name)
	} else if ok {
		p.warn("volume %q keeps the claim %q instead of %q: it was rendered with another configuration", name, v.Claim, claim)
		return v, nil
	}
	if rendered, ok := p.rendered(profile); ok {
		p.warn(
			"volume %q keeps the claim %q at %s: it was rendered with another configuration", rendered.Name,
			rendered.Claim, profile.Mount.Path,
		)
		return rendered, nil
	}
	if p.request.Admission {
		if err := profile.Serves(p.request.Namespace, p.request.NamespaceLabels); err != nil {
			return kinds.PodVolume{}, fmt.Errorf("%w: %w", errNotServed, err)
		}
	}
	if slices.Contains(p.pod.ReservedVolumes, name) {
		return kinds.PodVolume{}, fmt.Errorf(
			"the name %q is taken by a claim template: rename that template or the profile", name,
		)
	}
	if err := p.checkConfName(name); err != nil {
		return kinds.PodVolume{}, err
	}
	return p.addVolume(profile, kinds.PodVolume{Name: name, Claim: claim}), nil
}

// checkConfName refuses a name that a volume of the project's configuration has.
func (p *podPatch) checkConfName(name string) error {
	for _, v := range p.pod.ConfVolumes {
		if v.Name == name {
			return fmt.Errorf("the name %q is taken by %s: rename that volume or the profile", name, v.Key)
		}
	}
	return nil
}

// checkConf refuses what the webhook would refuse when it finds a pod whose containers are not here,
// because the project's configuration has something in the place of the claim.
func (p *podPatch) checkConf() error {
	if len(p.pod.ConfVolumes) == 0 {
		return nil
	}
	chosen, err := p.choose()
	if err != nil {
		return err
	}
	for _, profile := range chosen {
		claim := profile.ClaimName(storage.Release{}, p.request.Namespace)
		if slices.ContainsFunc(p.pod.ConfVolumes, func(v kinds.ConfVolume) bool { return v.Claim == claim }) {
			continue
		}
		if err := p.checkConfName(profile.VolumeName()); err != nil {
			return err
		}
		if err := p.checkPath(profile.Mount.Path, p.pod.ConfContainer()); err != nil {
			return err
		}
	}
	return nil
}

// addVolume adds a volume to the pod, and to the document unless another of its pods has brought
// it.
func (p *podPatch) addVolume(profile *chosenProfile, v kinds.PodVolume) kinds.PodVolume {
	p.pod.Volumes = append(p.pod.Volumes, v)
	p.volumes = volumeList{list: p.pod.AllVolumes()}
	p.addItem(p.pod.VolumesPath, len(p.pod.Volumes) == 1, v.Name, podVolume(v.Name, v.Claim),
		Addition{Profile: profile.Name, Volume: v.Name, Claim: v.Claim})
	return v
}

// mountedByClaim returns the volume that the kind's controller makes for mounts that name the claim
// itself.
func (p *podPatch) mountedByClaim(claim string) (kinds.PodVolume, bool) {
	for _, c := range p.pod.Containers {
		if i := slices.IndexFunc(c.SharedMounts, func(m kinds.VolumeMount) bool { return m.Claim == claim }); i >= 0 {
			return kinds.PodVolume{Name: c.SharedMounts[i].Volume, Claim: claim}, true
		}
	}
	return kinds.PodVolume{}, false
}

// rendered returns a volume with a claim that injection mounted at the profile's path for a profile
// that this configuration does not have. The pod must find its data there, so it is no conflict.
func (p *podPatch) rendered(profile *chosenProfile) (kinds.PodVolume, bool) {
	var mounted map[string]struct{} // volumes at the path, once one is searched there
	for _, v := range p.volumes.list {
		if v.Claim == "" || !storage.IsVolumeName(v.Name) || hasVolume(p.config, v.Name) {
			continue
		}
		if mounted == nil {
			mounted = p.mountedOn(profile.Mount.Path)
		}
		if _, ok := mounted[v.Name]; ok {
			return v, true
		}
	}
	return kinds.PodVolume{}, false
}

// mountedOn returns the names of the volumes that some container mounts at a path.
func (p *podPatch) mountedOn(mountPath string) map[string]struct{} {
	volumes := map[string]struct{}{}
	for i := range p.pod.Containers {
		for _, m := range p.pod.Containers[i].Mounts {
			if absolute(m.Path) == absolute(mountPath) {
				volumes[m.Volume] = struct{}{}
			}
		}
	}
	return volumes
}

// hasVolume reports whether some profile gives its volume that name.
func hasVolume(config *storage.Config, name string) bool {
	return slices.ContainsFunc(config.Profiles, func(p storage.Profile) bool { return p.VolumeName() == name })
}

// volumeList finds volumes by name in a time that does not grow with their number. Of several
// volumes with one name the first counts.
type volumeList struct {
	list []kinds.PodVolume
	// byName are positions in the list, once something looks for a name in more than
	// linearSearchLimit.
	byName map[string]int
}

// named returns the volume of a name, and whether there is one.
func (l *volumeList) named(name string) (kinds.PodVolume, bool) {
	if len(l.list) <= linearSearchLimit {
		i := slices.IndexFunc(l.list, func(v kinds.PodVolume) bool { return v.Name == name })
		if i < 0 {
			return kinds.PodVolume{}, false
		}
		return l.list[i], true
	}
	if l.byName == nil {
		l.byName = make(map[string]int, len(l.list))
		for i, v := range slices.Backward(l.list) {
			l.byName[v.Name] = i
		}
	}
	i, ok := l.byName[name]
	if !ok {
		return kinds.PodVolume{}, false
	}
	return l.list[i], true
}

// injectedVolume is a volume that injection added to a list of volumes.
type injectedVolume struct {
	profile, name, claim string
	list                 string
	index                int
	// pods are the positions of the pods that have it.
	pods []int
	// isRetained is true where something else mounts it.
	isRetained bool
}

// volume notes that a pod has a volume, which another pod may have brought already.
func (r *removal) volume(i int, v injectedVolume) *injectedVolume {
	at := slices.IndexFunc(r.volumes, func(o *injectedVolume) bool { return o.list == v.list && o.index == v.index })
	if at < 0 {
		at = len(r.volumes)
		r.volumes = append(r.volumes, &v)
	}
	r.volumes[at].pods = append(r.volumes[at].pods, i)
	return r.volumes[at]
}

// removeVolume removes a volume that nothing mounts any longer.
func (r *removal) removeVolume(v *injectedVolume) {
	root := v.list[:strings.LastIndexByte(v.list, '/')]
	if mount := r.otherMount(r.lookup(root), root, v.name); mount != "" {
		v.isRetained = true
		i, container := r.containerOf(mount)
		if !slices.Contains(v.pods, i) {
			i = v.pods[0]
		}
		r.decisions[i].Reason = ReasonRetained
		r.decisions[i].Message = fmt.Sprintf("volume %q stays: %s mounts it in a way of its own", v.name, container)
		r.warn(i, "%s", r.decisions[i].Message)
		return
	}
	r.removeItem(v.list, v.index)
	r.removed(v.pods[0], Addition{Profile: v.profile, Volume: v.name, Claim: v.claim})
}

// otherMount returns the pointer of a mount of the volume that remains, wherever it is, or "".
func (r *removal) otherMount(value any, pointer, volume string) string {
	switch value := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			if found := r.otherMount(value[key], string(jsontext.Pointer(pointer).AppendToken(key)), volume); found != "" {
				return found
			}
		}
	case []any:
		isMounts := strings.HasSuffix(pointer, "/volumeMounts") || strings.HasSuffix(pointer, "/volumeDevices")
		for n, item := range value {
			path := pointer + "/" + strconv.Itoa(n)
			if mount, _ := item.(map[string]any); isMounts && kinds.StringOf(mount["name"]) == volume &&
				!r.isRemoved(pointer, n) {
				return path
			}
			if found := r.otherMount(item, path, volume); found != "" {
				return found
			}
		}
	}
	return ""
}

// containerOf names the container that a place is in, and the position of its pod, or -1.
func (r *removal) containerOf(pointer string) (pod int, name string) {
	for i := range r.object.Pods {
		for _, c := range r.object.Pods[i].Containers {
			if strings.HasPrefix(pointer, c.Path+"/") {
				return i, fmt.Sprintf("container %q", c.Name)
			}
		}
	}
	return -1, pointer
}
