package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// zones are assigned to the Nodes in turn.
var zones = []string{"zone-a", "zone-b", "zone-c"}

// makeNodes creates the simulated Nodes and returns their names when the scheduler may use them.
func makeNodes(ctx context.Context, client kubernetes.Interface, options Options) ([]string, error) {
	var names []string

	for i := range options.Nodes {
		name := fmt.Sprintf("node-%d", i+1)
		names = append(names, name)

		if err := makeNode(ctx, client, newNode(name, zones[i%len(zones)]), options.PodsPerNode); err != nil {
			return nil, fmt.Errorf("make the node %s: %w", name, err)
		}
	}

	for _, name := range names {
		if err := awaitUntainted(ctx, client, name); err != nil {
			return nil, err
		}
	}

	return names, nil
}

func makeNode(ctx context.Context, client kubernetes.Interface, node *corev1.Node, pods int64) error {
	if _, err := client.CoreV1().Nodes().Create(ctx, node, createOptions); err != nil {
		return err
	}

	// Not an update: the controller manager changes the node at the same time.
	patch, err := json.Marshal(map[string]any{"status": nodeStatus(pods)})
	if err != nil {
		return err
	}

	_, err = client.CoreV1().Nodes().
		Patch(ctx, node.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")

	return err
}

func newNode(name, zone string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{
		corev1.LabelHostname: name, corev1.LabelTopologyZone: zone, corev1.LabelTopologyRegion: "region",
		corev1.LabelOSStable: "linux", corev1.LabelArchStable: "amd64",
	}}}
}

// nodeStatus is that of a large node: it costs nothing, because the node is simulated.
func nodeStatus(pods int64) corev1.NodeStatus {
	now := metav1.Now()
	size := corev1.ResourceList{
		corev1.ResourceCPU:              resource.MustParse("256"),
		corev1.ResourceMemory:           resource.MustParse("1Ti"),
		corev1.ResourceEphemeralStorage: resource.MustParse("1Ti"),
		corev1.ResourcePods:             *resource.NewQuantity(pods, resource.DecimalSI),
	}

	return corev1.NodeStatus{
		Capacity: size, Allocatable: size,
		Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: gateway.String()}},
		Conditions: []corev1.NodeCondition{{
			Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "MadeByHand",
			LastHeartbeatTime: now, LastTransitionTime: now,
		}},
	}
}

// awaitUntainted waits for the controller manager, which taints a node until it has seen that the
// node is ready.
func awaitUntainted(ctx context.Context, client kubernetes.Interface, name string) error {
	for {
		node, err := client.CoreV1().Nodes().Get(ctx, name, getOptions)
		if err == nil && len(node.Spec.Taints) == 0 {
			return nil
		}

		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the node %s to be free of taints: %w", name, errors.Join(context.Cause(ctx), err))
		case <-time.After(readyPoll):
		}
	}
}
