package kinds

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// windows is the name of the operating system, in the OS field and in the labels of nodes.
// Source: Kubernetes, core/v1 Windows; pkg/kubelet/kubelet_node_status.go initialNode (GOOS).
const windows = string(corev1.Windows)

// A pod requests Windows in one of four forms: spec.os.name, a nodeSelector with a label of
// osLabels, a required node affinity on such a label, and a HostProcess container.
// Source: Kubernetes, core/v1 PodSpec.os and WindowsSecurityContextOptions.hostProcess (HostProcess
// containers exist on Windows only); Assigning Pods to Nodes.

// osLabels are the labels of a node with its operating system: the stable one, and the one before
// it, which kubelets still write. Source: Kubernetes, k8s.io/kubelet/pkg/apis LabelOS.
var osLabels = []string{corev1.LabelOSStable, "beta.kubernetes.io/os"}

// IsOSLabel reports whether the key is that of a node label with the operating system.
func IsOSLabel(key string) bool { return slices.Contains(osLabels, key) }

// RequiresWindows reports whether a decoded core/v1 Affinity lets the pod run on Windows nodes only.
// Terms of a node selector are alternatives, so that each of them must require Windows. One without
// a requirement matches no node. Source: Kubernetes, core/v1 NodeSelectorTerm.
func RequiresWindows(affinity map[string]any) bool {
	onNodes, _ := affinity["nodeAffinity"].(map[string]any)
	required, _ := onNodes["requiredDuringSchedulingIgnoredDuringExecution"].(map[string]any)
	terms, _ := required["nodeSelectorTerms"].([]any)
	found := false
	for _, term := range terms {
		term, _ := term.(map[string]any)
		labels, _ := term["matchExpressions"].([]any)
		fields, _ := term["matchFields"].([]any)
		switch {
		case slices.ContainsFunc(labels, requiresWindows):
			found = true
		case len(labels)+len(fields) > 0:
			return false
		}
	}
	return found
}

// requiresWindows reports whether a decoded NodeSelectorRequirement matches Windows nodes only.
func requiresWindows(requirement any) bool {
	r, _ := requirement.(map[string]any)
	values, _ := r["values"].([]any)
	isOther := func(value any) bool { return StringOf(value) != windows }
	return IsOSLabel(StringOf(r["key"])) && StringOf(r["operator"]) == string(corev1.NodeSelectorOpIn) &&
		len(values) > 0 && !slices.ContainsFunc(values, isOther)
}

// isHostProcess reads windowsOptions.hostProcess of a decoded security context, of a pod or a
// container.
func isHostProcess(context map[string]any) bool {
	options, _ := context["windowsOptions"].(map[string]any)
	return options["hostProcess"] == true
}

// isWindows reports whether the pod at a scope requests Windows, as far as its containers do not
// decide it. Affinity and security context are those that count for the pod by its row.
func isWindows(s scope, row *podRow) bool {
	spec := s.object(row.spec)
	os, _ := spec["os"].(map[string]any)
	if StringOf(os["name"]) == windows {
		return true
	}
	selector, _ := spec["nodeSelector"].(map[string]any)
	for _, label := range osLabels {
		if StringOf(selector[label]) == windows {
			return true
		}
	}
	return RequiresWindows(s.first(row.affinity, spec["affinity"])) ||
		isHostProcess(s.first(row.securityContext, spec["securityContext"]))
}

// first returns the object at the first of several places that has fields, or the other value where
// it is an object. A row of the configuration may have no places.
func (s scope) first(places []place, otherwise any) map[string]any {
	for _, p := range places {
		if n, ok := s.place(p); ok {
			if object, _ := n.value.(map[string]any); len(object) > 0 {
				return object
			}
		}
	}
	object, _ := otherwise.(map[string]any)
	return object
}

// isWindowsPod reports whether a typed pod requests Windows.
func isWindowsPod(spec *corev1.PodSpec, affinity map[string]any) bool {
	isLabel := func(label string) bool { return spec.NodeSelector[label] == windows }
	isHost := func(options *corev1.WindowsSecurityContextOptions) bool {
		return options != nil && options.HostProcess != nil && *options.HostProcess
	}
	isHostContainer := func(c corev1.Container) bool {
		return c.SecurityContext != nil && isHost(c.SecurityContext.WindowsOptions)
	}
	return spec.OS != nil && spec.OS.Name == corev1.Windows || slices.ContainsFunc(osLabels, isLabel) ||
		RequiresWindows(affinity) || spec.SecurityContext != nil && isHost(spec.SecurityContext.WindowsOptions) ||
		slices.ContainsFunc(spec.InitContainers, isHostContainer) || slices.ContainsFunc(spec.Containers, isHostContainer)
}
