package diagnose

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
)

// SELinux returns a finding when a pod waits for a volume that another pod has on the same node with
// another SELinux label. It is for volumes whose driver has seLinuxMount: true. Nil: no pod waits for
// that.
//
// From Kubernetes 1.37 (for ReadWriteOncePod claims from 1.28) such a volume is mounted with the
// label of its pod. The kubelet refuses a second label, and so a pod without one or with the policy
// Recursive beside a pod with one.
// Source: Kubernetes, pkg/features SELinuxMount; pkg/volume/util/selinux.go GetMountSELinuxLabel;
// pkg/kubelet/volumemanager/cache/desired_state_of_world.go AddPodToVolume.
func SELinux(claim string, pods []corev1.Pod) *Finding {
	holders := map[string]*corev1.Pod{} // by node
	for i := range pods {
		if pods[i].Status.Phase == corev1.PodRunning && holders[pods[i].Spec.NodeName] == nil {
			holders[pods[i].Spec.NodeName] = &pods[i]
		}
	}
	for i := range pods {
		waiting := &pods[i]
		holder := holders[waiting.Spec.NodeName]
		if waiting.Status.Phase != corev1.PodPending || waiting.Spec.NodeName == "" || holder == nil {
			continue
		}
		wants, has := mountLabel(waiting, claim), mountLabel(holder, claim)
		if !labelsConflict(wants, has) {
			continue
		}
		f := advise(ReasonSELinuxLabels, fmt.Sprintf("claim %s is mounted on the node %s for the pod %s (%s), and the pod "+
			"%s waits for it (%s): from Kubernetes 1.37 a node mounts such a volume with one SELinux label. ",
			claim, waiting.Spec.NodeName, holder.Name, labelText(has), waiting.Name, labelText(wants)),
			"Give both pods the same seLinuxOptions, or set seLinuxChangePolicy: Recursive in the profile and recreate "+
				"the pods")
		return &f
	}
	return nil
}

// mountLabel is the SELinux label with which the kubelet mounts a claim for a pod. It is empty for a
// pod that leaves the labels to the container runtime.
func mountLabel(pod *corev1.Pod, claim string) string {
	context := pod.Spec.SecurityContext
	if context != nil && context.SELinuxChangePolicy != nil &&
		*context.SELinuxChangePolicy == corev1.SELinuxChangePolicyRecursive {
		return ""
	}
	read := kinds.FromPod(pod)
	var volumes []string
	for _, v := range read.Volumes {
		if v.Claim == claim {
			volumes = append(volumes, v.Name)
		}
	}
	isOfClaim := func(m kinds.VolumeMount) bool { return slices.Contains(volumes, m.Volume) }
	for _, c := range read.Containers {
		label := c.SELinux
		if label == "" && read.SecurityContext != nil {
			label = read.SecurityContext.SELinux
		}
		if label != "" && slices.ContainsFunc(c.Mounts, isOfClaim) {
			return label
		}
	}
	return ""
}

// labelText writes the parts of a label that a pod has.
func labelText(label string) string {
	if label == "" {
		return "no SELinux label"
	}
	return "SELinux label " + strings.TrimLeft(label, ":")
}

// labelsConflict compares the parts of two labels. A node completes the first three, but never the
// level. Source: Kubernetes, pkg/controller/volume/selinuxwarning/translator Conflicts.
func labelsConflict(a, b string) bool {
	const parts = 4
	first, second := labelParts(a, parts), labelParts(b, parts)
	for i := range parts {
		isCompleted := i < parts-1 && (first[i] == "" || second[i] == "")
		if first[i] != second[i] && !isCompleted {
			return true
		}
	}
	return false
}

// labelParts splits a label. The last part has colons of its own; parts that are missing are empty.
func labelParts(label string, count int) []string {
	split := strings.SplitN(label, ":", count)
	return append(split, make([]string, count-len(split))...)
}
