package placement

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

const chart = "../../charts/pipeline-storage"

// TestReplicasOfLargeClustersShareNoNode creates the pods of the webhook as a ReplicaSet does, for
// a node of another operating system, too.
func TestReplicasOfLargeClustersShareNoNode(t *testing.T) {
	c := newCluster(t)
	windows := newNode("windows")
	windows.Labels[corev1.LabelOSStable] = "windows"
	createNode(t, c, windows)
	deployment := prepare(t, c, "--values", chart+"/values-ha.yaml")

	first := []string{
		nodeOf(t, c, replica(t, c, deployment, "old-1", "old")), nodeOf(t, c, replica(t, c, deployment, "old-2", "old")),
	}
	assert.ElementsMatch(t, []string{"a", "b"}, first)
	third := replica(t, c, deployment, "old-3", "old")
	message := unschedulable(t, c, third)
	assert.Contains(t, message, "didn't match pod topology spread constraints", "it waits rather than share a node")
	assert.Contains(t, message, "didn't match Pod's node affinity/selector", "it does not go to Windows")

	addNode(t, c, "c")
	assert.Equal(t, "c", nodeOf(t, c, third))

	var second []string
	for _, name := range []string{"new-1", "new-2", "new-3"} {
		second = append(second, nodeOf(t, c, replica(t, c, deployment, name, "new")))
	}
	slices.Sort(second)
	assert.Equal(t, []string{"a", "b", "c"}, second, "a rollout needs no fourth node")
}

// By default replicas share a node rather than wait, but none waits for a node of another operating
// system.
func TestReplicasPreferSeparateNodes(t *testing.T) {
	c := newCluster(t)
	deployment := prepare(t, c, "--set", "replicas=3")
	for _, name := range []string{"r-1", "r-2", "r-3"} {
		assert.Contains(t, []string{"a", "b"}, nodeOf(t, c, replica(t, c, deployment, name, "only")))
	}
}

// prepare renders the chart, creates what its pods need, and returns the Deployment.
func prepare(t *testing.T, c cluster, args ...string) *appsv1.Deployment {
	t.Helper()
	out := suite.Helm(t, "helm4").
		Must(t, append([]string{"template", "ps", chart, "--namespace", c.namespace}, args...)...)
	deployment := &appsv1.Deployment{}
	for document := range strings.SplitSeq(out, "\n---\n") {
		var kind metav1.TypeMeta
		require.NoError(t, yaml.Unmarshal([]byte(document), &kind))
		switch kind.Kind {
		case "Deployment":
			require.NoError(t, yaml.Unmarshal([]byte(document), deployment))
		case "ServiceAccount":
			createFrom(t, c, document, &corev1.ServiceAccount{})
		case "PriorityClass":
			createFrom(t, c, document, &schedulingv1.PriorityClass{})
		}
	}
	require.NotEmpty(t, deployment.Name)
	return deployment
}

func createFrom(t *testing.T, c cluster, document string, object client.Object) {
	t.Helper()
	require.NoError(t, yaml.Unmarshal([]byte(document), object))
	require.NoError(t, c.Create(t.Context(), object))
}

// replica creates a pod of a revision of the Deployment.
func replica(t *testing.T, c cluster, deployment *appsv1.Deployment, name, revision string) *corev1.Pod {
	t.Helper()
	template := deployment.Spec.Template.DeepCopy()
	template.Labels[appsv1.DefaultDeploymentUniqueLabelKey] = revision
	pod := &corev1.Pod{ObjectMeta: template.ObjectMeta, Spec: template.Spec}
	pod.Namespace, pod.Name = c.namespace, name
	require.NoError(t, c.Create(t.Context(), pod))
	return pod
}
