package inject

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// includes reports whether a container of that name gets the mount.
func (c *chosenProfile) includes(name string) bool {
	return !c.excluded.has(name) && (len(c.only.list) == 0 || c.only.has(name))
}

// includesAny reports whether any container of the pod gets the mount. It warns of misspelt names
// in the pod's own annotations only: a profile's list is for many pods.
func (p *podPatch) includesAny(profile *chosenProfile) bool {
	for _, name := range profile.annotated {
		if p.container(name) == nil {
			p.warn("there is no container %q, which an annotation names", name)
		}
	}
	return slices.ContainsFunc(p.pod.Containers, func(c kinds.Container) bool { return profile.includes(c.Name) })
}

// mount mounts the volume into every container that the profile includes.
func (p *podPatch) mount(profile *chosenProfile, volume kinds.PodVolume) error {
	for i := range p.pod.Containers {
		c := &p.pod.Containers[i]
		var err error
		switch {
		case !profile.includes(c.Name):
		case c.MirrorOf != "" && c.MirrorOf != c.Name && profile.includes(c.MirrorOf) && p.container(c.MirrorOf) != nil:
			err = p.mirror(profile, volume, c)
		default:
			err = p.mountInto(profile, volume, c)
		}
		if err != nil {
			return fmt.Errorf("container %q: %w", c.Name, err)
		}
	}
	return nil
}

// mountInto adds the mount to a container that does not mount the claim, and the variables with the
// path or that the subPath needs.
func (p *podPatch) mountInto(profile *chosenProfile, volume kinds.PodVolume, c *kinds.Container) error {
	var variables []corev1.EnvVar
	mountPath, isMounted := p.mountedAt(volume, c)
	if !isMounted {
		mountPath = profile.Mount.Path
		if err := p.checkPath(mountPath, c); err != nil {
			return err
		}
		var added any
		var err error
		if added, variables, err = p.volumeMount(profile, volume.Name); err != nil {
			return err
		}
		c.Mounts = append(c.Mounts, kinds.VolumeMount{
			Volume: volume.Name, Path: mountPath, ReadOnly: profile.Mount.ReadOnly,
		})
		p.addItem(c.Path+"/volumeMounts", len(c.Mounts) == 1, volume.Name, added,
			Addition{Profile: profile.Name, Container: c.Name, Volume: volume.Name, MountPath: mountPath})
	}
	if len(profile.Env) == 0 && len(variables) == 0 {
		return nil
	}
	return p.env(profile, variables, mountPath, c)
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
	if len(profile.Env) > 0 {
		p.warn(
			"container %q has the mounts of %q, but gets no variable %s; the storage is at %s", c.Name, c.MirrorOf,
			strings.Join(profile.Env, ", "), mountPath,
		)
	}
	return nil
}

// container returns the pod's container of that name, or nil.
func (p *podPatch) container(name string) *kinds.Container {
	if len(p.pod.Containers) <= linearSearchLimit {
		return p.pod.Container(name)
	}
	if p.containers == nil {
		p.containers = make(map[string]*kinds.Container, len(p.pod.Containers))
		for i := range slices.Backward(p.pod.Containers) {
			p.containers[p.pod.Containers[i].Name] = &p.pod.Containers[i]
		}
	}
	return p.containers[name]
}

// mountedAt returns where the container mounts the claim already. Its own choice of path is
// respected.
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

// checkPath refuses a path that another volume has and notes one that nests with another.
func (p *podPatch) checkPath(mountPath string, c *kinds.Container) error {
	if slices.ContainsFunc(c.Devices, func(device string) bool { return absolute(device) == absolute(mountPath) }) {
		return fmt.Errorf("mount path %s is taken by a raw block device", mountPath)
	}
	clean := absolute(mountPath)
	for _, m := range c.AllMounts() {
		switch other := absolute(m.Path); {
		case other == clean:
			return fmt.Errorf(
				"mount path %s is taken by %s: choose another by mount.path, --mount-path or the pod annotation "+
					AnnotationMountPath,
				mountPath, holder(m),
			)
		case storage.IsBelow(other, clean) || storage.IsBelow(clean, other):
			p.nested.add(c.Name, mountPath, &m)
		}
	}
	return nil
}

// holder names what a mount is of: the key, where a project's configuration has it.
func holder(m kinds.VolumeMount) string {
	if m.Key != "" {
		return m.Key
	}
	return fmt.Sprintf("volume %q", m.Volume)
}

// absolute cleans a path inside a container, where a relative one starts at the root.
func absolute(p string) string {
	if path.IsAbs(p) {
		return path.Clean(p)
	}
	return path.Clean("/" + p)
}

// volumeMount returns the mount of the pod's volume of that name, and the variables that it needs,
// made once for all containers.
func (p *podPatch) volumeMount(c *chosenProfile, volume string) (any, []corev1.EnvVar, error) {
	if c.mount == nil {
		f, err := p.directory(&c.Mount)
		if err != nil {
			return nil, nil, err
		}
		c.mount, c.variables = &corev1.VolumeMount{
			Name: volume, MountPath: c.Mount.Path, SubPath: f.path, SubPathExpr: f.expression, ReadOnly: c.Mount.ReadOnly,
		}, f.variables
	}
	return c.mount, c.variables, nil
}

// directory is a profile's subPath as one pod mounts it: a path, or an expression and the variables
// that it needs.
type directory struct {
	path, expression string
	variables        []corev1.EnvVar
}

// directory fills the placeholders of the profile's subPath. No value leads out of its directory:
// see [storage.Placeholders]. An empty one would make the directory that of all runs, so that a
// missing label refuses the pod.
func (p *podPatch) directory(mount *storage.MountConfig) (directory, error) {
	subPath := mount.SubPath
	if !strings.Contains(subPath, "{") {
		return directory{path: subPath}, nil
	}
	var variables []corev1.EnvVar
	var problem error
	fill := func(row *storage.Placeholder, key string) string {
		problem = cmp.Or(problem, p.fillable(row, key))
		if row.FieldPath == "" {
			return row.Value(p.subject(), key)
		}
		variable := row.EnvVar(key)
		variables = append(variables, variable) // a repeated one is there already when it is added
		return "$(" + variable.Name + ")"
	}
	text, usesVariables := subPath, mount.NeedsVariables()
	if usesVariables { // a dollar of the path is no variable; source: Kubernetes, third_party/forked/golang/expansion
		text = strings.ReplaceAll(text, "$", "$$")
	}
	filled := storage.ReplacePlaceholders(text, fill)
	switch {
	case problem != nil:
		return directory{}, fmt.Errorf("mount.subPath %s: %w", subPath, problem)
	case usesVariables:
		return directory{expression: filled, variables: variables}, p.takesVariables()
	}
	return directory{path: filled}, nil
}

// subject is the pod, and what is known of its namespace and release.
func (p *podPatch) subject() storage.Subject {
	return storage.Subject{Pod: p.pod, Namespace: p.request.Namespace, Release: p.request.Release.Name}
}

// fillable refuses a placeholder that has no value, or one that is not the name of one directory.
func (p *podPatch) fillable(row *storage.Placeholder, key string) error {
	value := row.Value(p.subject(), key)
	switch {
	case value != "" && !row.Safe(value):
		return fmt.Errorf("%s is %q here, which is not the name of a directory", row.Text(key), value)
	case value != "" || row.Later != nil && row.Later(p.subject(), key):
		return nil
	case row.Noun != "":
		return p.missing(row.Noun, key)
	}
	return fmt.Errorf("the value of %s is not known here: with postrender, add --namespace NAMESPACE --release RELEASE",
		row.Text(key))
}

// indexLabel is a label that pods of a Job have if it is Indexed, which is not looked at here.
// Source: Kubernetes, pkg/controller/job/indexed_job_utils.go addCompletionIndexLabel.
const indexLabel = "batch.kubernetes.io/job-completion-index"

// missing is the error for a pod that will not have the label, or another noun of
// [storage.Placeholder].
func (p *podPatch) missing(noun, key string) error {
	remedy := "add the " + noun + " to the pod"
	switch {
	case p.request.Admission:
	case key == indexLabel:
		remedy = "only pods of a Job with completionMode: Indexed get it: if this is one, leave the pod to the webhook, " +
			"which reads the label"
	default:
		remedy = "add the " + noun + " to the pod template; where a controller adds it, leave the pod to the webhook, " +
			"which reads it"
	}
	return fmt.Errorf("the pod has no %s %s, and without it all pods would share one directory: %s", noun, key, remedy)
}

// takesVariables refuses variables where the kind's controller would break the pod.
func (p *podPatch) takesVariables() error {
	if !p.pod.CopiesMounts {
		return nil
	}
	return errors.New("mount.subPath: the controller of this kind copies mounts to a container of its own, which " +
		"would miss their variables: " +
		"leave these pods to the webhook, or write a placeholder that the controller fills, such as {{workflow.name}}")
}

// container removes injected mounts, and what came with them.
func (r *removal) container(i int, c *kinds.Container, injected []injectedProfile) {
	var removed []*chosenProfile
	mounts := c.Path + "/volumeMounts"
	for _, p := range injected {
		if !p.profile.includes(c.Name) {
			continue
		}
		isInjected := false
		for n, raw := range r.list(mounts) {
			if isJSON(raw, p.mount) {
				isInjected = true
				r.removeItem(mounts, n)
			}
		}
		if isInjected {
			removed = append(removed, p.profile)
			r.removed(
				i,
				Addition{Profile: p.profile.Name, Container: c.Name, Volume: p.volume.name, MountPath: p.profile.Mount.Path},
			)
		}
	}
	for _, row := range containerTraces {
		var traces []trace
		for _, profile := range removed {
			traces = append(traces, row.traces(profile)...)
		}
		traces = slices.DeleteFunc(traces, func(t trace) bool { return r.isExpanded(mounts, t.addition.Env) })
		r.removeHead(i, c, row.list, traces)
	}
}
