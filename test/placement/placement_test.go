// Package placement tests, with the real API server and the real scheduler, on which nodes the pods
// run that pkg/inject has patched, and the webhook's own.
package placement

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/test/controlplane"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

const (
	waitTimeout = time.Minute
	poll        = 50 * time.Millisecond
)

// configuration has two disks whose pods run on one node, one disk for one pod at a time, and a
// claim with a directory for each pod of a Job.
const configuration = `apiVersion: pipeline-storage.io/v1alpha1
kind: StorageConfig
profiles:
- {name: disk, claim: {name: disk, create: false}, colocate: true}
- {name: other, claim: {name: other, create: false}, colocate: true, mount: {path: /other}}
- {name: single, claim: {name: single, create: false, accessModes: [ReadWriteOncePod]}, mount: {path: /single}}
- {name: runs, claim: {name: runs, create: false}, mount: {path: /runs, subPath: "{pod.labels['job-name']}/{pod.name}"}}
`

func TestMain(m *testing.M) { os.Exit(suite.Main(m, controlplane.Options{Controllers: true})) }

func TestPodsOfOneDiskShareNode(t *testing.T) {
	c := newCluster(t)
	for name, mode := range map[string]corev1.PersistentVolumeAccessMode{
		"disk": corev1.ReadWriteOnce, "other": corev1.ReadWriteOnce, "runs": corev1.ReadWriteMany,
		"single": corev1.ReadWriteOncePod,
	} {
		addClaim(t, c, name, mode)
	}

	t.Run("the first pod may run on any node, and the others follow it past a node with more room", func(t *testing.T) {
		first := nodeOf(t, c, create(t, c, "disk", pod("first", "6")))
		control := nodeOf(t, c, create(t, c, "", pod("control", "1")))
		require.NotEqual(t, first, control, "the scheduler should prefer the node with more room, or the test proves nothing")
		for _, name := range []string{"second", "third"} {
			assert.Equal(t, first, nodeOf(t, c, create(t, c, "disk", pod(name, "100m"))))
		}
		assert.NotEqual(t, first, nodeOf(t, c, create(t, c, "other", pod("of-other", "1"))), "another claim is another group")
	})

	t.Run("a term beside the injected one would select only pods that match both", func(t *testing.T) {
		both := pod("both", "100m")
		both.Namespace = c.namespace
		patched := c.patch(t, "disk", both)
		patched.Spec.Affinity.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution = append(
			patched.Spec.Affinity.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution,
			corev1.PodAffinityTerm{
				LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"name": "control"}},
				TopologyKey:   corev1.LabelOSStable,
			})
		require.NoError(t, c.Create(t.Context(), patched))
		assert.Contains(t, unschedulable(t, c, patched), "didn't match pod affinity rules")
	})

	t.Run("a second pod of a ReadWriteOncePod claim waits", func(t *testing.T) {
		nodeOf(t, c, create(t, c, "single", pod("only", "100m")))
		assert.Contains(t, unschedulable(t, c, create(t, c, "single", pod("late", "100m"))), "ReadWriteOncePod")
	})

	t.Run("directories of pods are accepted, also where the API server generates the name", func(t *testing.T) {
		run := pod("", "100m")
		run.GenerateName, run.Labels["job-name"] = "run-", "nightly"
		made := create(t, c, "runs", run)
		nodeOf(t, c, made)
		main := made.Spec.Containers[0]
		assert.Equal(t, "$(PIPELINE_STORAGE_POD_LABEL_JOB_NAME)/$(PIPELINE_STORAGE_POD_NAME)",
			main.VolumeMounts[0].SubPathExpr)
		assert.Equal(t, "metadata.labels['job-name']", main.Env[0].ValueFrom.FieldRef.FieldPath)
		assert.Equal(t, "metadata.name", main.Env[1].ValueFrom.FieldRef.FieldPath)
	})
}

// cluster is two nodes, which end with the test, and a namespace: the scheduler's state is under test,
// so the tests of this package run one after the other.
type cluster struct {
	client.Client
	namespace string
}

func newCluster(t *testing.T) cluster {
	t.Helper()

	admin, err := client.New(suite.RESTConfig(t), client.Options{})
	require.NoError(t, err)
	c := cluster{Client: admin, namespace: suite.Namespace(t, suite.Kubernetes(t), "placement", nil)}
	addNode(t, c, "a")
	addNode(t, c, "b")
	return c
}

func addNode(t *testing.T, c cluster, name string) {
	t.Helper()
	createNode(t, c, newNode(name))
}

func newNode(name string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{
		corev1.LabelHostname: name, corev1.LabelOSStable: "linux",
	}}}
}

// createNode creates a node that is ready and has room.
func createNode(t *testing.T, c cluster, node *corev1.Node) {
	t.Helper()

	require.NoError(t, c.Create(t.Context(), node))
	t.Cleanup(func() { removeNode(t, c, node.Name) })
	before := node.DeepCopy()
	room := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("8"), corev1.ResourceMemory: resource.MustParse("8Gi"),
		corev1.ResourcePods: resource.MustParse("110"),
	}
	node.Status = corev1.NodeStatus{Capacity: room, Allocatable: room, Conditions: []corev1.NodeCondition{{
		Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "Made", LastHeartbeatTime: metav1.Now(),
	}}}
	require.NoError(t, c.Status().Patch(t.Context(), node, client.MergeFrom(before)),
		"whatever controllers have written meanwhile")
}

// removeNode removes a node, and the pods of the test at once: those that wait must not go to the
// nodes of another test.
func removeNode(t *testing.T, c cluster, name string) {
	t.Helper()

	ctx := context.WithoutCancel(t.Context())
	assert.NoError(t, c.DeleteAllOf(ctx, &corev1.Pod{}, client.InNamespace(c.namespace), client.GracePeriodSeconds(0)))
	assert.NoError(t, c.Delete(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}))
}

func addClaim(t *testing.T, c cluster, name string, mode corev1.PersistentVolumeAccessMode) {
	t.Helper()

	size := corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
	modes := []corev1.PersistentVolumeAccessMode{mode}
	require.NoError(t, c.Create(t.Context(), &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: c.namespace + "-" + name},
		Spec: corev1.PersistentVolumeSpec{
			AccessModes: modes, Capacity: size, StorageClassName: "none",
			ClaimRef: &corev1.ObjectReference{Namespace: c.namespace, Name: name},
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				CSI: &corev1.CSIPersistentVolumeSource{Driver: "disk.example.com", VolumeHandle: name},
			},
		},
	}))
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: name},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: modes, StorageClassName: new("none"), VolumeName: c.namespace + "-" + name,
			Resources: corev1.VolumeResourceRequirements{Requests: size},
		},
	}
	require.NoError(t, c.Create(t.Context(), claim))
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		assert.NoError(t, c.Get(context.Background(), client.ObjectKeyFromObject(claim), claim))
		assert.Equal(t, corev1.ClaimBound, claim.Status.Phase)
	}, waitTimeout, poll)
}

func pod(name, cpu string) *corev1.Pod {
	return &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"name": name}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "main", Image: "example/train",
			Resources: corev1.ResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)},
			},
		}}},
	}
}

// patch is the pod as the webhook would make it for the profile.
func (c cluster) patch(t *testing.T, profile string, pod *corev1.Pod) *corev1.Pod {
	t.Helper()

	config, _, err := storage.LoadForAdmission([]byte(configuration))
	require.NoError(t, err)
	require.NoError(t, config.SetDefaultProfiles(profile))
	text, err := json.Marshal(pod)
	require.NoError(t, err)
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.UseNumber()
	var document map[string]any
	require.NoError(t, decoder.Decode(&document))
	objects, err := kinds.NewTable(config.Kinds).Find(document)
	require.NoError(t, err)
	result := inject.Patch(config, inject.Request{Namespace: c.namespace, Admission: true, Selector: labels.Everything()},
		objects[0].Pods...)
	require.Nil(t, result.Refused())
	operations, err := json.Marshal(result.Operations)
	require.NoError(t, err)
	decoded, err := jsonpatch.DecodePatch(operations)
	require.NoError(t, err)
	text, err = decoded.Apply(text)
	require.NoError(t, err)
	patched := &corev1.Pod{}
	require.NoError(t, json.Unmarshal(text, patched))
	return patched
}

// create creates the pod, patched for a profile or, with none, as it is.
func create(t *testing.T, c cluster, profile string, pod *corev1.Pod) *corev1.Pod {
	t.Helper()

	pod.Namespace = c.namespace
	if profile != "" {
		pod = c.patch(t, profile, pod)
	}
	require.NoError(t, c.Create(t.Context(), pod))
	return pod
}

// nodeOf waits until the scheduler has found a node.
func nodeOf(t *testing.T, c cluster, pod *corev1.Pod) string {
	t.Helper()

	require.EventuallyWithT(t, func(t *assert.CollectT) {
		require.NoError(t, c.Get(context.Background(), client.ObjectKeyFromObject(pod), pod))
		assert.NotEmpty(t, pod.Spec.NodeName, "%v", pod.Status.Conditions)
	}, waitTimeout, poll)
	return pod.Spec.NodeName
}

// unschedulable waits until the scheduler has reported why there is no node.
func unschedulable(t *testing.T, c cluster, pod *corev1.Pod) string {
	t.Helper()

	var message string
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		require.NoError(t, c.Get(context.Background(), client.ObjectKeyFromObject(pod), pod))
		for _, condition := range pod.Status.Conditions {
			if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse {
				message = condition.Message
			}
		}
		assert.NotEmpty(t, message)
	}, waitTimeout, poll)
	assert.Empty(t, pod.Spec.NodeName)
	return message
}
