package diagnose

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// MultiNode returns a note when pods on several nodes use a volume that one node at a time can
// mount. The note is empty while that does no harm. Then after is the time until a pod that is not
// scheduled has waited longer than podWait, or 0. pods are the live ones with their node names, in
// any order. ReadWriteOnce permits several pods, as long as they run on one node.
// Source: Kubernetes, Persistent Volumes, Access Modes.
func MultiNode(
	p *storage.Profile, claim string, pods []corev1.Pod, now time.Time, podWait time.Duration,
) (note string, after time.Duration) {
	var nodes []string
	for _, pod := range pods {
		if name := pod.Spec.NodeName; name != "" && !slices.Contains(nodes, name) {
			nodes = append(nodes, name)
		}
	}
	if len(nodes) > 1 {
		return multiNodeNote(p, claim, "pods on more than one node use it"), 0
	}
	if len(nodes) == 0 {
		return "", 0 // no pod has the volume: they wait for another reason
	}
	for _, pod := range pods {
		if pod.Spec.NodeName != "" {
			continue
		}
		left := podWait - now.Sub(pod.CreationTimestamp.Time)
		if left <= 0 {
			use := fmt.Sprintf("pods on the node %s use it, and the pod %s waits for a node", nodes[0], pod.Name)
			return multiNodeNote(p, claim, use), 0
		}
		if after == 0 || left < after {
			after = left
		}
	}
	return "", after
}

// multiNodeNote returns the sentence of [MultiNode]. what is a clause about the pods and their
// nodes.
func multiNodeNote(p *storage.Profile, claim, what string) string {
	return fmt.Sprintf("claim %s is %s on %s, but %s: pods on other nodes wait; %s",
		claim, Modes(p.Claim.AccessModes), p.StorageClass.Backend, what, MultiNodeNext)
}
