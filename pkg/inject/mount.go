package inject

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// use mounts one profile into the pod and reports whether any container has it then.
func (p *podPatch) use(profile *chosenProfile) (bool, error) {
	p.warnUnknownContainers(profile)
	if !slices.ContainsFunc(p.pod.Containers, func(c Container) bool { return profile.includes(c.Name) }) {
		return false, nil
	}
	volume, err := p.volume(profile)
	if err != nil {
		return false, err
	}
	for i := range p.pod.Containers {
		c := &p.pod.Containers[i]
		if !profile.includes(c.Name) {
			continue
		}
		mount := p.mount
		if p.mirrors(profile, c) {
			mount = p.mirror
		}
		if err := mount(profile, volume, c); err != nil {
			return false, fmt.Errorf("container %q: %w", c.Name, err)
		}
	}
	p.fsGroup(profile, volume)
	if err := p.colocate(profile, volume.Claim); err != nil {
		return false, err
	}
	p.warnMissingAnnotations(profile)
	p.decision.Profiles = append(p.decision.Profiles, profile.Name)
	p.decision.Claims = append(p.decision.Claims, volume.Claim)
	return true, nil
}

// volume returns the pod's volume with the profile's claim, which it adds when there is none. A volume of our name with
// another claim stays: the pod was rendered with another configuration, or before a change, and must find its data.
func (p *podPatch) volume(profile *chosenProfile) (PodVolume, error) {
	name, claim := profile.VolumeName(), profile.Names(p.request.Release, p.request.Namespace).Claim
	if v, ok := p.volumes.withClaim(claim); ok {
		if v.Name == "" {
			return PodVolume{}, fmt.Errorf("the volume with the claim %q has no name to mount it by: give it one", claim)
		}
		return v, nil
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
	if kept, ok := p.kept(profile); ok {
		p.warn("volume %q keeps the claim %q at %s: it was rendered with another configuration", kept.Name, kept.Claim, profile.Mount.Path)
		return kept, nil
	}
	if p.request.Admission {
		if err := profile.Serves(p.request.Namespace, p.request.NamespaceLabels); err != nil {
			return PodVolume{}, fmt.Errorf("%w: %w", errNotServed, err)
		}
	}
	if slices.Contains(p.pod.ReservedVolumes, name) {
		return PodVolume{}, fmt.Errorf("the name %q is taken by a claim template: rename that template or the profile", name)
	}
	return p.addVolume(profile, PodVolume{Name: name, Claim: claim}), nil
}

// addVolume adds a volume to the pod, and to the document unless another of its pods has brought it.
func (p *podPatch) addVolume(profile *chosenProfile, v PodVolume) PodVolume {
	p.pod.Volumes = append(p.pod.Volumes, v)
	p.volumes = newVolumeList(p.pod.volumes())
	if p.edits.add(p.pod.VolumesPath, len(p.pod.Volumes) == 1, v.Name, podVolume(v.Name, v.Claim)) {
		p.added(Addition{Profile: profile.Name, Volume: v.Name, Claim: v.Claim})
	}
	return v
}

// mountedByClaim returns the volume that the kind's controller makes for mounts that name the claim itself.
func (p *podPatch) mountedByClaim(claim string) (PodVolume, bool) {
	for _, c := range p.pod.Containers {
		if i := slices.IndexFunc(c.SharedMounts, func(m Mounted) bool { return m.Claim == claim }); i >= 0 {
			return PodVolume{Name: c.SharedMounts[i].Volume, Claim: claim}, true
		}
	}
	return PodVolume{}, false
}

// kept returns a volume with a claim that we mounted at the profile's path under a profile that this configuration does
// not have. The pod must find its data there, so it is no conflict.
func (p *podPatch) kept(profile *chosenProfile) (PodVolume, bool) {
	var mounted nameSet // volumes at the path; filled when a volume asks
	for _, v := range p.volumes.list {
		if v.Claim == "" || !isOurs(v.Name) || hasVolume(p.config, v.Name) {
			continue
		}
		if mounted.list == nil {
			mounted = p.mountedOn(profile.Mount.Path)
		}
		if mounted.has(v.Name) {
			return v, true
		}
	}
	return PodVolume{}, false
}

// mountedOn returns the volumes that some container mounts at a path, and an empty name.
func (p *podPatch) mountedOn(mountPath string) nameSet {
	volumes := newNameSet([]string{""})
	for i := range p.pod.Containers {
		for _, m := range p.pod.Containers[i].Mounts {
			if absolute(m.Path) == absolute(mountPath) {
				volumes.add(m.Volume)
			}
		}
	}
	return volumes
}

// isOurs reports whether a volume of a pod has a name as [Profile.VolumeName] makes them.
func isOurs(volume string) bool {
	return volume == volumePrefix || strings.HasPrefix(volume, volumePrefix+"-")
}

// hasVolume reports whether some profile gives its volume that name.
func hasVolume(config *Config, name string) bool {
	return slices.ContainsFunc(config.Profiles, func(p Profile) bool { return p.VolumeName() == name })
}

// mount adds the volume to a container, and the variable with its path.
func (p *podPatch) mount(profile *chosenProfile, volume PodVolume, c *Container) error {
	mountPath, mounted := p.mountedAt(volume, c)
	if !mounted {
		mountPath = profile.Mount.Path
		if err := p.checkPath(mountPath, c); err != nil {
			return err
		}
		added, variables, err := p.volumeMount(profile, volume.Name)
		if err != nil {
			return err
		}
		c.Mounts = append(c.Mounts, Mounted{Volume: volume.Name, Path: mountPath})
		if p.edits.add(c.Path+"/volumeMounts", len(c.Mounts) == 1, volume.Name, added) {
			p.added(Addition{Profile: profile.Name, Container: c.Name, Volume: volume.Name, MountPath: mountPath})
		}
		if err := p.addVariables(profile, variables, c); err != nil {
			return err
		}
	}
	return p.env(profile, mountPath, c)
}

// mirrors reports whether a container gets the mounts of another one that is mounted into.
func (p *podPatch) mirrors(profile *chosenProfile, c *Container) bool {
	return c.MirrorOf != "" && c.Name != c.MirrorOf && profile.includes(c.MirrorOf) && p.container(c.MirrorOf) != nil
}

// mirror leaves a container to the mounts of the other one, whose path must be free in it.
func (p *podPatch) mirror(profile *chosenProfile, volume PodVolume, c *Container) error {
	mountPath, mounted := p.mountedAt(volume, p.container(c.MirrorOf))
	if !mounted {
		mountPath = profile.Mount.Path
	}
	if err := p.checkPath(mountPath, c); err != nil {
		return err
	}
	if profile.Env != "" {
		p.warn("container %q has the mounts of %q, but gets no variable %s; the storage is at %s", c.Name, c.MirrorOf, profile.Env, mountPath)
	}
	return nil
}

// mountedAt returns where the container mounts the claim already. Its own choice of path is respected.
func (p *podPatch) mountedAt(volume PodVolume, c *Container) (string, bool) {
	for _, m := range c.mounts() {
		if m.Claim != "" && m.Claim == volume.Claim {
			return m.Path, true
		}
		if v, ok := p.volumes.named(m.Volume); ok && v.Claim == volume.Claim {
			return m.Path, true
		}
	}
	return "", false
}

// namedNested is how many mounts that nest with a path are named, each in a warning.
const namedNested = 3

// checkPath refuses a path that another volume has and warns of one that nests with another.
func (p *podPatch) checkPath(mountPath string, c *Container) error {
	if slices.ContainsFunc(c.Devices, func(device string) bool { return absolute(device) == absolute(mountPath) }) {
		return fmt.Errorf("mount path %s is taken by a raw block device", mountPath)
	}
	clean, nested := absolute(mountPath), 0
	for _, m := range c.mounts() {
		switch other := absolute(m.Path); {
		case other == clean:
			return fmt.Errorf("mount path %s is taken by volume %q: choose another by mount.path, --mount-path or the pod annotation "+AnnotationMountPath, mountPath, m.Volume)
		case !isBelow(other, clean) && !isBelow(clean, other):
		case nested < namedNested:
			p.warn("container %q: mount path %s nests with %s of volume %q", c.Name, mountPath, m.Path, m.Volume)
			nested++
		default:
			nested++
		}
	}
	if more := nested - namedNested; more > 0 {
		p.warn("container %q: mount path %s nests with %d more mounts", c.Name, mountPath, more)
	}
	return nil
}

// absolute cleans a path inside a container, where a relative one starts at the root.
func absolute(p string) string {
	if path.IsAbs(p) {
		return path.Clean(p)
	}
	return path.Clean("/" + p)
}

// env adds the variable that tells the mount path.
func (p *podPatch) env(profile *chosenProfile, value string, c *Container) error {
	name := profile.Env
	if name == "" {
		return nil
	}
	isSet := false
	for _, e := range c.env() {
		if e.Name != name {
			continue
		}
		isSet = true
		if e.FromSource || e.Value != value {
			return fmt.Errorf("environment variable %s is set to something else than %s: remove it or change env of the profile", name, value)
		}
	}
	if isSet {
		return nil
	}
	if c.NoEnv {
		p.warn("container %q gets no variable %s, because this kind refuses one here; the storage is at %s", c.Name, name, value)
		return nil
	}
	c.Env = append(c.Env, Env{Name: name, Value: value})
	if p.edits.add(c.Path+"/env", len(c.Env) == 1, name, variable(name, value)) {
		p.added(Addition{Profile: profile.Name, Container: c.Name, Env: name})
	}
	return nil
}

// fsGroup sets the profile's group where the pod has none, so that a process that is not root can write.
func (p *podPatch) fsGroup(profile *chosenProfile, volume PodVolume) {
	if profile.FSGroup == nil {
		return
	}
	if p.pod.SecurityContextPath == "" {
		p.warn("fsGroup %d of profile %q is not set: this kind has no security context of the pod, or its parent is missing", *profile.FSGroup, profile.Name)
		return
	}
	context := p.pod.SecurityContext
	if context != nil && context.HasFSGroup {
		if p.group != nil && *p.group != *profile.FSGroup {
			p.warn("fsGroup %d of profile %q is not set: the pod has %d for another profile", *profile.FSGroup, profile.Name, *p.group)
		}
		return
	}
	p.group = profile.FSGroup
	var isNew bool
	if group := groupContext(profile.FSGroup); context == nil {
		isNew = p.edits.set(p.pod.SecurityContextPath, group)
	} else {
		isNew = p.edits.set(p.pod.SecurityContextPath+"/fsGroup", group.FSGroup)
		if !context.HasFSGroupChangePolicy {
			p.edits.set(p.pod.SecurityContextPath+"/fsGroupChangePolicy", *group.FSGroupChangePolicy)
		}
	}
	p.pod.SecurityContext = &SecurityContext{HasFSGroup: true, HasFSGroupChangePolicy: true}
	if isNew {
		p.added(Addition{Profile: profile.Name, FSGroup: profile.FSGroup})
	}
	if others := p.otherClaims(volume); len(others) > 0 {
		p.warn("fsGroup %d applies to the pod's other claims too: %s", *profile.FSGroup, strings.Join(others, ", "))
	}
}

// namedClaims is how many claims a warning names.
const namedClaims = 10

// otherClaims are the first other claims of the pod, and a word for the rest.
func (p *podPatch) otherClaims(volume PodVolume) []string {
	var others []string
	for _, v := range p.volumes.list {
		if v.Claim == "" || v.Claim == volume.Claim {
			continue
		}
		if len(others) == namedClaims {
			return append(others, "and more")
		}
		others = append(others, v.Claim)
	}
	return others
}
