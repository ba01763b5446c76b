package kinds

import (
	"encoding/json"
	"reflect"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
)

// FromPod reads a typed pod, as a client of the API server has it. It reads what [Table.Find] reads
// of the same pod in a document, with one difference: a container without a name remains without
// one. The result shares the pod's labels and annotations.
//
// It is the one typed reader. Admission has a streaming reader of its own; a test in
// internal/admission holds all three readers together.
func FromPod(pod *corev1.Pod) Pod {
	read := Pod{
		Labels: pod.Labels, Annotations: pod.Annotations, Replicas: 1,
		VolumesPath: "/spec/volumes", SecurityContextPath: "/spec/securityContext",
		SecurityContext: securityContextOf(pod.Spec.SecurityContext),
		Scheduling:      schedulingOf(pod),
		UserNamespace:   pod.Spec.HostUsers != nil && !*pod.Spec.HostUsers,
	}
	read.Windows = isWindowsPod(&pod.Spec, read.Affinity)
	for i := range pod.Spec.Volumes {
		volume := PodVolume{Name: pod.Spec.Volumes[i].Name}
		if claim := pod.Spec.Volumes[i].PersistentVolumeClaim; claim != nil {
			volume.Claim, volume.ReadOnly = claim.ClaimName, claim.ReadOnly
		}
		read.Volumes = append(read.Volumes, volume)
	}
	read.Containers = slices.Concat(
		containersOf(pod.Spec.InitContainers, "/spec/initContainers/"),
		containersOf(pod.Spec.Containers, "/spec/containers/"),
	)
	return read
}

// securityContextOf reads a security context. An empty one counts as none, because it can be
// replaced as a whole.
func securityContextOf(context *corev1.PodSecurityContext) *SecurityContext {
	if context == nil || reflect.DeepEqual(*context, corev1.PodSecurityContext{}) {
		return nil
	}
	return &SecurityContext{
		HasFSGroup:             context.FSGroup != nil,
		HasFSGroupChangePolicy: context.FSGroupChangePolicy != nil,
		HasSELinuxChangePolicy: context.SELinuxChangePolicy != nil,
		SELinux:                seLinuxOf(context.SELinuxOptions),
	}
}

// seLinuxOf is the label of a typed SELinuxOptions, or empty without one.
func seLinuxOf(o *corev1.SELinuxOptions) string {
	if o == nil {
		return ""
	}
	return SELinuxLabel(o.User, o.Role, o.Type, o.Level)
}

// containersOf reads a list of containers. The path is the list's pointer with a slash behind it.
func containersOf(containers []corev1.Container, path string) []Container {
	read := make([]Container, 0, len(containers))
	for i := range containers {
		read = append(read, containerOf(&containers[i], path+strconv.Itoa(i)))
	}
	return read
}

// containerOf reads a container, but for its ports: those are part of the pod's [Scheduling].
func containerOf(c *corev1.Container, path string) Container {
	read := Container{Path: path, Name: c.Name}
	if c.SecurityContext != nil {
		read.SELinux = seLinuxOf(c.SecurityContext.SELinuxOptions)
	}
	for _, m := range c.VolumeMounts {
		read.Mounts = append(read.Mounts, VolumeMount{Volume: m.Name, Path: m.MountPath, ReadOnly: m.ReadOnly})
	}
	for _, d := range c.VolumeDevices {
		read.Devices = append(read.Devices, d.DevicePath)
	}
	for i := range c.Env {
		e := Env{Name: c.Env[i].Name, Value: c.Env[i].Value, FromSource: c.Env[i].ValueFrom != nil}
		if e.FromSource && c.Env[i].ValueFrom.FieldRef != nil {
			e.FieldPath = c.Env[i].ValueFrom.FieldRef.FieldPath
		}
		read.Env = append(read.Env, e)
	}
	return read
}

// schedulingOf reads what keeps a pod on one node with others.
func schedulingOf(pod *corev1.Pod) Scheduling {
	read := Scheduling{
		LabelsPath: "/metadata/labels", HasLabels: len(pod.Labels) > 0, AffinityPath: "/spec/affinity",
		NodeName: pod.Spec.NodeName, HostNetwork: pod.Spec.HostNetwork,
	}
	if pod.Spec.Affinity != nil {
		read.Affinity, _ = decoded(pod.Spec.Affinity).(map[string]any)
	}
	if len(pod.Spec.TopologySpreadConstraints) > 0 {
		read.Spread = decoded(pod.Spec.TopologySpreadConstraints)
	}
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		if len(c.Ports) > 0 {
			read.Ports = append(read.Ports, decoded(c.Ports))
		}
	}
	return read
}

// decoded returns a typed part of a pod as [encoding/json] decodes it. Every such part can be
// written and read.
func decoded(typed any) any {
	text, err := json.Marshal(typed)
	if err != nil {
		return nil
	}
	var value any
	if json.Unmarshal(text, &value) != nil {
		return nil
	}
	return value
}
