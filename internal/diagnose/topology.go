package diagnose

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
)

// MultiNodeNext is the next step at the end of the note of [MultiNode].
const MultiNodeNext = "use a shared backend with ReadWriteMany, or keep the pods on one node with colocate: true"

// Driver returns a finding when no node can mount the volume because its driver is not installed.
// Nil: it is, or the drivers were not read.
func Driver(claim string, volume *corev1.PersistentVolume, drivers []string) *Finding {
	if volume == nil || volume.Spec.CSI == nil || drivers == nil || slices.Contains(drivers, volume.Spec.CSI.Driver) {
		return nil
	}
	f := advise(ReasonDriverMissing,
		fmt.Sprintf("PersistentVolume %s of claim %s needs the CSI driver %s, and the cluster has no CSIDriver of that "+
			"name: ",
			volume.Name, claim, volume.Spec.CSI.Driver), "install the driver (kubectl get csidrivers lists those that are)")
	return &f
}

// lacksDriver reports whether the provisioner is a CSI driver by its name and has no CSIDriver
// object. Other provisioners, such as rancher.io/local-path, never have one.
func lacksDriver(drivers []string, provisioner string) bool {
	isCSI := strings.HasPrefix(provisioner, "csi.") || strings.Contains(provisioner, ".csi.")
	return isCSI && drivers != nil && !slices.Contains(drivers, provisioner)
}

// Reach returns a finding when the nodes on which pods could run cannot reach the volume: it is in
// another zone, or on another node. Nil: they can, or the nodes were not read.
func Reach(claim string, volume *corev1.PersistentVolume, nodes []metav1.PartialObjectMetadata,
	pods []corev1.Pod,
) *Finding {
	if volume == nil || nodes == nil || volume.Spec.NodeAffinity == nil || volume.Spec.NodeAffinity.Required == nil {
		return nil
	}
	selector := volume.Spec.NodeAffinity.Required
	fits := func(n metav1.PartialObjectMetadata) bool { return matchesNode(selector, &n) }
	if !slices.ContainsFunc(nodes, fits) {
		f := advise(ReasonWrongZone, fmt.Sprintf("claim %s has its data on PersistentVolume %s, which only nodes with %s "+
			"reach, and the cluster has no such node: ",
			claim, volume.Name, describeSelector(selector)),
			"add a node there, or copy the data to a volume of a zone that has nodes")
		return &f
	}
	for i := range pods {
		why := whyUnreachable(selector, &pods[i], nodes)
		if why == "" {
			continue
		}
		f := advise(ReasonWrongZone, fmt.Sprintf("claim %s has its data on PersistentVolume %s, which only nodes with %s "+
			"reach, and the pod %s %s: ",
			claim, volume.Name, describeSelector(selector), pods[i].Name,
			why), "let the pod run there (nodeSelector, tolerations, free room on those nodes)")
		return &f
	}
	return nil
}

// whyUnreachable returns why a pod cannot mount the volume where it is. Empty: it can, or it waits
// for something else.
func whyUnreachable(selector *corev1.NodeSelector, pod *corev1.Pod, nodes []metav1.PartialObjectMetadata) string {
	if name := pod.Spec.NodeName; name != "" {
		i := slices.IndexFunc(nodes, func(n metav1.PartialObjectMetadata) bool { return n.Name == name })
		if i >= 0 && !matchesNode(selector, &nodes[i]) {
			return "is on the node " + name
		}
		return ""
	}
	// The scheduler's words, of several versions.
	// Source: Kubernetes, pkg/scheduler/framework/plugins/volumebinding.
	for _, words := range []string{"volume node affinity conflict", "PersistentVolume's node affinity"} {
		if why := whyNotScheduled(pod); strings.Contains(why, words) {
			return "is not scheduled: " + strings.TrimRight(why, ". ")
		}
	}
	return ""
}

// matchesNode reports whether a node satisfies one of the terms of a selector.
// Source: Kubernetes, core/v1 NodeSelector.
func matchesNode(selector *corev1.NodeSelector, node *metav1.PartialObjectMetadata) bool {
	return slices.ContainsFunc(selector.NodeSelectorTerms, func(t corev1.NodeSelectorTerm) bool {
		if len(t.MatchExpressions)+len(t.MatchFields) == 0 {
			return false
		}
		return satisfies(t.MatchExpressions, node.Labels) && satisfies(t.MatchFields,
			labels.Set{metav1.ObjectNameField: node.Name})
	})
}

// operators maps the operators of node selectors to those of label selectors. Both have the same
// meaning.
// Source: Kubernetes, component-helpers, scheduling/corev1/nodeaffinity.
var operators = map[corev1.NodeSelectorOperator]selection.Operator{
	corev1.NodeSelectorOpIn: selection.In, corev1.NodeSelectorOpNotIn: selection.NotIn,
	corev1.NodeSelectorOpExists: selection.Exists, corev1.NodeSelectorOpDoesNotExist: selection.DoesNotExist,
	corev1.NodeSelectorOpGt: selection.GreaterThan, corev1.NodeSelectorOpLt: selection.LessThan,
}

// satisfies reports whether the labels meet all requirements. A requirement that cannot be parsed
// is met by no node.
func satisfies(all []corev1.NodeSelectorRequirement, set labels.Set) bool {
	for _, r := range all {
		requirement, err := labels.NewRequirement(r.Key, operators[r.Operator], r.Values)
		if err != nil || !requirement.Matches(set) {
			return false
		}
	}
	return true
}

// describeSelector returns a node selector as text for people.
func describeSelector(selector *corev1.NodeSelector) string {
	var terms []string
	for _, t := range selector.NodeSelectorTerms {
		var all []string
		if len(t.MatchExpressions)+len(t.MatchFields) == 0 {
			continue // it matches no node
		}
		for _, r := range slices.Concat(t.MatchExpressions, t.MatchFields) {
			all = append(all, strings.TrimSpace(fmt.Sprintf("%s %s %s", r.Key, strings.ToLower(string(r.Operator)),
				strings.Join(r.Values, ", "))))
		}
		terms = append(terms, strings.Join(all, " and "))
	}
	return strings.Join(terms, " or ")
}
