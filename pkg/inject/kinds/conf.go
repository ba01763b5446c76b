package kinds

import (
	"maps"
	"slices"
	"strings"
)

// Conf is where the configuration of a project mounts volumes into a pod, in addition to the pod's
// own: keys such as spark.kubernetes.driver.volumes.TYPE.NAME.mount.path. Source: Spark,
// KubernetesVolumeUtils.scala parseVolumesWithPrefix.
type Conf struct {
	// Path is the map of keys and texts.
	Path string
	// Prefix begins the keys that are about the pod.
	Prefix string
	// Containers is the path of the pod's containers. One of them gets the mounts: the one that the key
	// podTemplateContainerName names, or the first. Source: Spark, KubernetesUtils.scala
	// selectSparkContainer and MountVolumesFeatureStep.scala.
	Containers string
}

// ConfVolume is a volume that a project's configuration adds to a pod and mounts.
type ConfVolume struct {
	Name, Path string
	// Claim is the name of the claim; empty for another source.
	Claim string
	// Key is the key of the configuration with the mount path.
	Key string
}

// What stands in the keys behind the prefix.
const (
	confVolumes   = "volumes."
	confContainer = "podTemplateContainerName"
	confMountPath = "mount.path"
	confClaimName = "options.claimName"
	confClaim     = "persistentVolumeClaim"
)

// readConf reads the volumes of the configuration, and adds their mounts to the container that gets
// them.
func readConf(pod *Pod, s scope, conf *Conf) {
	if conf == nil {
		return
	}
	values := s.object(parsePath(conf.Path))
	for _, key := range slices.Sorted(maps.Keys(values)) {
		volume, ok := strings.CutPrefix(key, conf.Prefix+confVolumes)
		source, rest, _ := strings.Cut(volume, ".")
		name, field, _ := strings.Cut(rest, ".")
		if !ok || field != confMountPath {
			continue
		}
		v := ConfVolume{Name: name, Path: StringOf(values[key]), Key: key}
		if source == confClaim {
			v.Claim = StringOf(values[strings.TrimSuffix(key, confMountPath)+confClaimName])
		}
		pod.ConfVolumes = append(pod.ConfVolumes, v)
	}
	if c := confContainerOf(pod, s, conf, StringOf(values[conf.Prefix+confContainer])); c != nil {
		c.SharedMounts = append(slices.Clip(c.SharedMounts), pod.confMounts()...)
	}
}

// confContainerOf is the container that gets the mounts, or nil where it is not in the object.
func confContainerOf(pod *Pod, s scope, conf *Conf, name string) *Container {
	for _, n := range s.all(parsePath(conf.Containers)) {
		if name != "" && StringOf(n.field("name").value) != name && conf.Containers != "." {
			continue
		}
		at := slices.IndexFunc(pod.Containers, func(c Container) bool { return c.Path == n.pointer })
		if at >= 0 {
			return &pod.Containers[at]
		}
	}
	return nil
}

// confMounts are the mounts of the project's configuration.
func (p *Pod) confMounts() []VolumeMount {
	mounts := make([]VolumeMount, len(p.ConfVolumes))
	for i, v := range p.ConfVolumes {
		mounts[i] = VolumeMount{Volume: v.Name, Path: v.Path, Claim: v.Claim, Key: v.Key}
	}
	return mounts
}

// ConfContainer stands for the container that gets the mounts of the project's configuration, where it
// is not in the object.
func (p *Pod) ConfContainer() *Container { return &Container{SharedMounts: p.confMounts()} }
