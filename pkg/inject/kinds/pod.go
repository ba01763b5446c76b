package kinds

import (
	"slices"
	"strings"
)

// Pod is what is read of a pod or pod template, with the JSON pointers at which it can be extended.
// The render path fills it through the table of kinds, the admission path from the review.
type Pod struct {
	// Path is the JSON pointer of the pod in its document; empty when the document is the pod.
	Path string
	// ControllerLabels are the keys of labels that the controller of the object's kind adds to the
	// pods that it creates, and CopiesMounts is as in [Controller]. Both are empty at admission,
	// where the pod is what it will be.
	ControllerLabels []string
	CopiesMounts     bool
	// Labels and Annotations are the pod's.
	Labels, Annotations map[string]string
	// Windows is true for a pod that runs on Windows, where the mount paths of a profile mean
	// nothing. windows.go has the forms in which a pod requests it.
	Windows bool
	// UserNamespace is true for a pod with hostUsers: false.
	UserNamespace bool
	// Replicas is how many such pods run at once.
	Replicas int
	// VolumesPath is the pointer of the list of volumes, which pods of one document may share.
	VolumesPath string
	Volumes     []PodVolume
	// SharedVolumes are those that the pod can mount in addition to its own, where none of its own
	// has the name.
	SharedVolumes []PodVolume
	// ReservedVolumes are names that claim templates will give to volumes.
	ReservedVolumes []string
	// ConfVolumes are those that the configuration of the pod's project adds and mounts.
	ConfVolumes []ConfVolume
	// SecurityContextPath is the pointer of the security context. SecurityContext is nil without
	// one.
	SecurityContextPath string
	SecurityContext     *SecurityContext
	// Scheduling is where and with what the pod is scheduled.
	Scheduling
	// Containers are init containers, native sidecars and containers. Ephemeral containers are not
	// among them.
	Containers []Container
	// ExternalContainers are the names of containers that another object or the kind's controller
	// defines, so that nothing can be mounted into them here.
	ExternalContainers []string
	// Label is where the opt-in label goes when something of the pod cannot be mounted here. Nil:
	// there is no such place.
	Label *LabelPlace
	// Why is why something cannot be mounted here.
	Why string
}

// LabelPlace is the place of the opt-in label, among labels that reach a pod which another object
// defines.
type LabelPlace struct {
	// Path is the JSON pointer of the labels, or of the object in which they have to be made.
	Path string
	// Missing are the names of what has to be made below Path; the last is that of the labels.
	Missing []string
	// Key is the key of the label there.
	Key string
	// Value is the value that the label has already.
	Value string
}

// PodVolume is what is read of a core/v1 Volume.
type PodVolume struct {
	Name string
	// Claim is the name of the PersistentVolumeClaim; empty for every other source.
	Claim string
	// ReadOnly is persistentVolumeClaim.readOnly: the node mounts the claim read-only for the whole
	// pod, whatever the mounts of its containers request.
	// Source: Kubernetes, pkg/kubelet/kubelet_pods.go makeMounts (mustMountRO).
	ReadOnly bool
}

// SecurityContext is what is read of a core/v1 PodSecurityContext.
type SecurityContext struct {
	HasFSGroup, HasFSGroupChangePolicy, HasSELinuxChangePolicy bool
	// SELinux is the label of the pod's seLinuxOptions, see [SELinuxLabel].
	SELinux string
}

// SELinuxLabel joins the parts of core/v1 SELinuxOptions. It is empty where all of them are.
func SELinuxLabel(user, role, kind, level string) string {
	if user+role+kind+level == "" {
		return ""
	}
	return strings.Join([]string{user, role, kind, level}, ":")
}

// Container is what is read of a core/v1 Container.
type Container struct {
	// Path is the JSON pointer of the container.
	Path string
	// Name is its name in the pod, or where neither it nor the row has one the field that holds it.
	Name   string
	Mounts []VolumeMount
	// Devices are the paths of raw block volumes.
	Devices []string
	Env     []Env
	// SharedMounts and SharedEnv are what it has in addition, from a place that many containers
	// share.
	SharedMounts []VolumeMount
	SharedEnv    []Env
	// SELinux is the label of the container's own seLinuxOptions, see [SELinuxLabel]. Without them
	// the pod's count.
	SELinux string
	// NoEnv is true for a container that takes no environment variable here.
	NoEnv bool
	// MirrorOf is the name of a container whose mounts it gets in addition to its own.
	MirrorOf string
}

// AllMounts are all mounts of the container.
func (c *Container) AllMounts() []VolumeMount {
	if len(c.SharedMounts) == 0 { // every container but those of a few kinds
		return c.Mounts
	}
	return slices.Concat(c.Mounts, c.SharedMounts)
}

// AllEnv are all environment variables of the container. A container's own wins over one that is
// shared.
func (c *Container) AllEnv() []Env {
	if len(c.SharedEnv) == 0 {
		return c.Env
	}
	return slices.Concat(c.Env, c.SharedEnv)
}

// VolumeMount is what is read of a core/v1 VolumeMount.
type VolumeMount struct {
	Volume, Path string
	// ReadOnly is the mount's own readOnly.
	ReadOnly bool
	// Claim is the claim, where the mount names one instead of a volume of the pod.
	Claim string
	// Key is the key of a project's configuration that mounts it; empty for a mount of the pod's own.
	Key string
}

// Env is what is read of a core/v1 EnvVar.
type Env struct {
	Name, Value string
	// FromSource is true where the value comes from valueFrom, so that it cannot be read here.
	FromSource bool
	// FieldPath is the field of the pod that it comes from, if it does.
	FieldPath string
}

// control notes what the controller of the pod's kind does with it.
func (p *Pod) control(c *Controller) {
	p.CopiesMounts = c.CopiesMounts
	if strings.Contains(p.Path, c.LabelsBelow) {
		p.ControllerLabels = c.Labels
	}
}

// Container returns the container of that name, or nil.
func (p *Pod) Container(name string) *Container {
	for i := range p.Containers {
		if p.Containers[i].Name == name {
			return &p.Containers[i]
		}
	}
	return nil
}

// AllVolumes are all that the pod can mount. One of its own hides a shared one of the same name.
func (p *Pod) AllVolumes() []PodVolume {
	if len(p.SharedVolumes) == 0 {
		return p.Volumes
	}
	own := make(map[string]struct{}, len(p.Volumes))
	for _, v := range p.Volumes {
		own[v.Name] = struct{}{}
	}
	all := slices.Clone(p.Volumes)
	for _, shared := range p.SharedVolumes {
		if _, isHidden := own[shared.Name]; !isHidden {
			all = append(all, shared)
		}
	}
	return all
}
