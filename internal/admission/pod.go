package admission

import (
	"bytes"
	"slices"
	"strconv"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
)

// pod is what is read of a core/v1 Pod.
type pod struct {
	kinds.Pod
	name, generateName string
	// hasMetadata reports whether the metadata has been read as a whole.
	hasMetadata                bool
	initContainers, containers []kinds.Container
}

// title is the pod's name, or what its name will begin with.
func (p *pod) title() string {
	if p.name == "" && p.generateName != "" {
		return shortened(p.generateName, maxName) + "*"
	}
	return shortened(p.name, maxName)
}

// pod reads an object as a core/v1 Pod. The pointers are those of a pod that is the whole document,
// because the patch is applied to the object alone.
func (r *reader) pod(p *pod) error {
	*p = pod{Pod: kinds.Pod{
		Replicas: 1, VolumesPath: "/spec/volumes", SecurityContextPath: "/spec/securityContext",
		Scheduling: kinds.Scheduling{LabelsPath: "/metadata/labels", AffinityPath: "/spec/affinity"},
	}}
	err := r.object(func(name []byte) error {
		switch string(name) {
		case "metadata":
			err := r.metadata(p)
			p.hasMetadata = err == nil
			return err
		case "spec":
			if !r.onlyHead {
				return r.spec(p)
			}
		}
		return r.skip()
	})
	p.HasLabels = len(p.Labels) > 0
	if p.Containers = p.containers; len(p.initContainers) > 0 {
		p.Containers = slices.Concat(p.initContainers, p.containers)
	}
	return err
}

// metadata reads names, labels and annotations. The head has of these only what answers a review
// that cannot be read as a whole.
func (r *reader) metadata(p *pod) error {
	return r.object(func(name []byte) error {
		switch string(name) {
		case "name":
			return r.stringInto(&p.name)
		case "generateName":
			return r.stringInto(&p.generateName)
		case "labels":
			if r.onlyHead {
				return r.optIn(p)
			}
			return r.textMap(&p.Labels, labelBytes)
		case "annotations":
			if !r.onlyHead {
				return r.textMap(&p.Annotations, annotationBytes)
			}
		}
		return r.skip()
	})
}

// optIn looks for the opt-in label and keeps no other.
func (r *reader) optIn(p *pod) error {
	return r.object(func(name []byte) error {
		if string(name) != kinds.Label {
			return r.skip()
		}
		var value string
		err := r.stringInto(&value)
		p.Labels = map[string]string{kinds.Label: value}
		return err
	})
}

// spec reads what every decision needs, and scheduling where a profile has colocate. It skips the
// rest.
func (r *reader) spec(p *pod) error {
	return r.object(func(name []byte) error {
		switch string(name) {
		case "os":
			return r.isWindows(func(name string) bool { return name == "name" }, &p.Windows)
		case "nodeSelector":
			return r.isWindows(kinds.IsOSLabel, &p.Windows)
		case "affinity":
			return r.affinity(p)
		case "hostUsers":
			return r.hostUsers(p)
		case "volumes":
			return r.volumes(p)
		case "initContainers":
			return r.containers(&p.initContainers, "/spec/initContainers/", p)
		case "containers":
			return r.containers(&p.containers, "/spec/containers/", p)
		case "securityContext":
			return r.securityContext(p)
		}
		if r.needs.scheduling {
			return r.scheduling(p, name)
		}
		return r.skip()
	})
}

// affinity reads the pod's affinity, as JSON decodes it. Where no profile needs it, one that has no
// word of Windows is passed over: to decode an affinity takes many times its bytes. JSON could
// escape the word, though an API server does not.
func (r *reader) affinity(p *pod) error {
	text, err := r.decoder.ReadValue()
	if err != nil || !r.needs.scheduling && !bytes.ContainsRune(text, '\\') && !bytes.Contains(text, []byte("windows")) {
		return err
	}
	value, err := r.decoded(text, schedulingBytes)
	affinity, _ := value.(map[string]any)
	p.Windows = p.Windows || kinds.RequiresWindows(affinity)
	if r.needs.scheduling {
		p.Affinity = affinity
	}
	return err
}

// hostUsers reads whether the pod runs in a user namespace of its own. Without the field it does
// not. Source: Kubernetes, core/v1 PodSpec.hostUsers.
func (r *reader) hostUsers(p *pod) error {
	hostUsers := !p.UserNamespace
	err := r.bool(&hostUsers)
	p.UserNamespace = !hostUsers
	return err
}

// scheduling reads one field of a spec that decides where the pod can run. Spread constraints
// remain as JSON decodes them: pkg/inject reads them as typed values where it needs them.
func (r *reader) scheduling(p *pod, name []byte) (err error) {
	switch string(name) {
	case "nodeName":
		return r.stringInto(&p.NodeName)
	case "hostNetwork":
		return r.bool(&p.HostNetwork)
	case "topologySpreadConstraints":
		p.Spread, err = r.value(schedulingBytes)
		return err
	}
	return r.skip()
}

// isWindows reads the fields that name the operating system.
func (r *reader) isWindows(isSystem func(name string) bool, into *bool) error {
	return r.object(func(name []byte) error {
		if !isSystem(string(name)) {
			return r.skip()
		}
		var system string
		err := r.stringInto(&system)
		*into = *into || system == "windows"
		return err
	})
}

// volumes reads the names and claims of volumes. It first drops what an earlier
// field of that name had, as every reader of a list here does: the last one counts.
func (r *reader) volumes(p *pod) error {
	p.Volumes = nil
	return r.list(func() error {
		if err := r.count(volumes, 1); err != nil {
			return err
		}
		p.Volumes = append(p.Volumes, kinds.PodVolume{})
		v := &p.Volumes[len(p.Volumes)-1]
		return r.object(func(name []byte) error {
			switch string(name) {
			case "name":
				return r.stringInto(&v.Name)
			case "persistentVolumeClaim":
				return r.claim(v)
			}
			return r.skip()
		})
	})
}

// claim reads the source of a volume that is a claim.
func (r *reader) claim(v *kinds.PodVolume) error {
	return r.object(func(name []byte) error {
		switch string(name) {
		case "claimName":
			return r.stringInto(&v.Claim)
		case "readOnly":
			return r.bool(&v.ReadOnly)
		}
		return r.skip()
	})
}

// field reads one text field of an object.
func (r *reader) field(field string, into *string) error {
	return r.object(func(name []byte) error {
		if string(name) == field {
			return r.stringInto(into)
		}
		return r.skip()
	})
}

// containers reads a list of containers. The path is the pointer of the list with a slash behind it.
// Both lists of a pod count together against one limit.
func (r *reader) containers(into *[]kinds.Container, path string, p *pod) error {
	*into = nil
	return r.list(func() error {
		if err := r.count(containers, 1); err != nil {
			return err
		}
		*into = append(*into, kinds.Container{Path: path + strconv.Itoa(len(*into))})
		return r.container(&(*into)[len(*into)-1], p)
	})
}

// container reads a container in place, and its ports into the pod. Variables and ports are the
// largest parts of a usual review, and are skipped where no profile needs them.
func (r *reader) container(c *kinds.Container, p *pod) error {
	return r.object(func(name []byte) error {
		switch string(name) {
		case "name":
			return r.stringInto(&c.Name)
		case "volumeMounts":
			return r.mounts(c)
		case "volumeDevices":
			return r.devices(c)
		case "securityContext":
			return r.context(&c.SELinux, &p.Windows, nil)
		case "env":
			if r.needs.env {
				return r.env(c)
			}
		case "ports":
			if r.needs.scheduling {
				return r.ports(p)
			}
		}
		return r.skip()
	})
}

// mounts appends the container's mounts to those of all containers, which take one piece of memory.
// The container's part is clipped: an append to it copies it instead of writing over the next one.
func (r *reader) mounts(c *kinds.Container) error {
	first := len(r.allMounts)
	err := r.list(func() error {
		if err := r.count(mounts, 1); err != nil {
			return err
		}
		r.allMounts = append(r.allMounts, kinds.VolumeMount{})
		m := &r.allMounts[len(r.allMounts)-1]
		return r.object(func(name []byte) error {
			switch string(name) {
			case "name":
				return r.stringInto(&m.Volume)
			case "mountPath":
				return r.stringInto(&m.Path)
			case "readOnly":
				return r.bool(&m.ReadOnly)
			}
			return r.skip()
		})
	})
	c.Mounts = slices.Clip(r.allMounts[first:])
	return err
}

// devices reads the paths of raw block devices: no mount can have one of them.
func (r *reader) devices(c *kinds.Container) error {
	c.Devices = nil
	return r.list(func() error {
		if err := r.count(devices, 1); err != nil {
			return err
		}
		c.Devices = append(c.Devices, "")
		return r.field("devicePath", &c.Devices[len(c.Devices)-1])
	})
}

// env reads environment variables. A value from a source is not known, only that it has one.
func (r *reader) env(c *kinds.Container) error {
	c.Env = nil
	return r.list(func() error {
		if err := r.count(variables, 1); err != nil {
			return err
		}
		c.Env = append(c.Env, kinds.Env{})
		e := &c.Env[len(c.Env)-1]
		return r.object(func(name []byte) error {
			switch string(name) {
			case "name":
				return r.stringInto(&e.Name)
			case "value":
				return r.stringInto(&e.Value)
			case "valueFrom":
				return r.source(e)
			}
			return r.skip()
		})
	})
}

// source reads of a core/v1 EnvVarSource that it is there, and the field of the pod if that is the
// source.
func (r *reader) source(e *kinds.Env) error {
	e.FromSource = r.decoder.PeekKind() != 'n'
	return r.object(func(name []byte) error {
		if string(name) == "fieldRef" {
			return r.field("fieldPath", &e.FieldPath)
		}
		return r.skip()
	})
}

// ports appends the ports of a container as JSON decodes them. A null list is left out, as the
// other readers of pods leave out an absent one.
func (r *reader) ports(p *pod) error {
	ports, err := r.value(schedulingBytes)
	if ports != nil {
		p.Ports = append(p.Ports, ports)
	}
	return err
}

// securityContext looks which fields there are. An absent, null or empty one can be added as a
// whole.
func (r *reader) securityContext(p *pod) error {
	p.SecurityContext = nil
	if r.decoder.PeekKind() != '{' {
		return r.skip()
	}
	var c kinds.SecurityContext
	return r.context(&c.SELinux, &p.Windows, func(name []byte) {
		p.SecurityContext = &c
		isSet := r.decoder.PeekKind() != 'n'
		switch string(name) {
		case "fsGroup":
			c.HasFSGroup = c.HasFSGroup || isSet
		case "fsGroupChangePolicy":
			c.HasFSGroupChangePolicy = c.HasFSGroupChangePolicy || isSet
		case "seLinuxChangePolicy":
			c.HasSELinuxChangePolicy = c.HasSELinuxChangePolicy || isSet
		}
	})
}

// context reads what the security contexts of pods and containers share: the SELinux label, and
// whether it is of a HostProcess container. Field, unless it is nil, sees the name of each field
// first, and must not read its value.
func (r *reader) context(seLinux *string, isWindows *bool, field func(name []byte)) error {
	return r.object(func(name []byte) error {
		if field != nil {
			field(name)
		}
		switch string(name) {
		case "seLinuxOptions":
			return r.seLinux(seLinux)
		case "windowsOptions":
			return r.object(func(name []byte) error {
				if string(name) != "hostProcess" {
					return r.skip()
				}
				isHostProcess := *isWindows
				err := r.bool(&isHostProcess)
				*isWindows = *isWindows || isHostProcess
				return err
			})
		}
		return r.skip()
	})
}

// seLinux reads the label of SELinux options.
func (r *reader) seLinux(into *string) error {
	var user, role, kind, level string
	err := r.object(func(name []byte) error {
		switch string(name) {
		case "user":
			return r.stringInto(&user)
		case "role":
			return r.stringInto(&role)
		case "type":
			return r.stringInto(&kind)
		case "level":
			return r.stringInto(&level)
		}
		return r.skip()
	})
	*into = kinds.SELinuxLabel(user, role, kind, level)
	return err
}
