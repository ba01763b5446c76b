package suite

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// AddNode creates a large Node of a zone, and returns when the scheduler may use it. It has no kubelet: pods are
// scheduled to it and never run, and a deleted pod remains unless its grace period is 0.
func AddNode(tb testing.TB, client kubernetes.Interface, name, zone string) {
	tb.Helper()
	nodes := client.CoreV1().Nodes()
	_, err := nodes.Create(tb.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{
		corev1.LabelHostname: name, corev1.LabelTopologyZone: zone,
		corev1.LabelOSStable: "linux", corev1.LabelArchStable: "amd64",
	}}}, metav1.CreateOptions{})
	if err != nil {
		tb.Fatalf("make the node %s: %v", name, err)
	}
	// Not an update: the controller manager changes the node at the same time.
	patch, err := json.Marshal(map[string]any{"status": readyStatus()})
	if err != nil {
		tb.Fatal(err)
	}
	_, err = nodes.Patch(tb.Context(), name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	if err != nil {
		tb.Fatalf("make the node %s ready: %v", name, err)
	}
	// The controller manager taints a node until it has seen that the node is ready.
	Eventually(tb, "the node "+name+" should have no taint", func(ctx context.Context) error {
		node, err := nodes.Get(ctx, name, metav1.GetOptions{})
		if err == nil && len(node.Spec.Taints) > 0 {
			err = fmt.Errorf("it has %v", node.Spec.Taints)
		}
		return err
	})
}

func readyStatus() corev1.NodeStatus {
	size := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("256"), corev1.ResourceMemory: resource.MustParse("1Ti"),
		corev1.ResourceEphemeralStorage: resource.MustParse("1Ti"), corev1.ResourcePods: resource.MustParse("10k"),
	}
	return corev1.NodeStatus{Capacity: size, Allocatable: size, Conditions: []corev1.NodeCondition{{
		Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "Simulated",
		LastHeartbeatTime: metav1.Now(), LastTransitionTime: metav1.Now(),
	}}}
}
