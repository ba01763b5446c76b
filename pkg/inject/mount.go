package inject

import (
	"fmt"
	"path"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// mount adds the volume to a container, and the variable with its path.
func (p *podPatch) mount(profile *chosenProfile, volume kinds.PodVolume, c *kinds.Container) error {
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
		c.Mounts = append(c.Mounts, kinds.VolumeMount{Volume: volume.Name, Path: mountPath})
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
func (p *podPatch) mirrors(profile *chosenProfile, c *kinds.Container) bool {
	return c.MirrorOf != "" && c.Name != c.MirrorOf && profile.includes(c.MirrorOf) && p.container(c.MirrorOf) != nil
}

// mirror leaves a container to the mounts of the other one, whose path must be free in it.
func (p *podPatch) mirror(profile *chosenProfile, volume kinds.PodVolume, c *kinds.Container) error {
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
func (p *podPatch) mountedAt(volume kinds.PodVolume, c *kinds.Container) (string, bool) {
	for _, m := range c.AllMounts() {
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
func (p *podPatch) checkPath(mountPath string, c *kinds.Container) error {
	if slices.ContainsFunc(c.Devices, func(device string) bool { return absolute(device) == absolute(mountPath) }) {
		return fmt.Errorf("mount path %s is taken by a raw block device", mountPath)
	}
	clean, nested := absolute(mountPath), 0
	for _, m := range c.AllMounts() {
		switch other := absolute(m.Path); {
		case other == clean:
			return fmt.Errorf("mount path %s is taken by volume %q: choose another by mount.path, --mount-path or the pod annotation "+AnnotationMountPath, mountPath, m.Volume)
		case !storage.IsBelow(other, clean) && !storage.IsBelow(clean, other):
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

// volumeMount returns the mount of the pod's volume of that name, and the variables that it needs, made once for all
// containers.
func (p *podPatch) volumeMount(c *chosenProfile, volume string) (any, []corev1.EnvVar, error) {
	if c.mount == nil {
		f, err := p.folder(&c.Mount)
		if err != nil {
			return nil, nil, err
		}
		c.mount, c.variables = corev1.VolumeMount{
			Name: volume, MountPath: c.Mount.Path, SubPath: f.path, SubPathExpr: f.expression, ReadOnly: c.Mount.ReadOnly,
		}, f.variables
	}
	return c.mount, c.variables, nil
}

// container takes our mounts, and what came with them.
func (r *removal) container(i int, c *kinds.Container, uses []use) {
	var gone []*chosenProfile
	mounts := c.Path + "/volumeMounts"
	for _, u := range uses {
		if !u.profile.includes(c.Name) {
			continue
		}
		isOurs := false
		for n, raw := range r.list(mounts) {
			if isJSON(raw, u.mount) {
				isOurs = true
				r.take(mounts, n)
			}
		}
		if isOurs {
			gone = append(gone, u.profile)
			r.removed(i, Addition{Profile: u.profile.Name, Container: c.Name, Volume: u.volume.name, MountPath: u.profile.Mount.Path})
		}
	}
	for _, row := range containerTraces {
		var traces []trace
		for _, profile := range gone {
			traces = append(traces, row.traces(profile)...)
		}
		traces = slices.DeleteFunc(traces, func(t trace) bool { return r.isExpanded(mounts, t.addition.Env) })
		r.takeHead(i, c, row.list, traces)
	}
}
