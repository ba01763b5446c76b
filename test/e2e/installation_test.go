package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pipeline-storage/pipeline-storage/test/controlplane"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

const (
	secondName       = "second"
	secondValues     = "testdata/second.yaml"
	secondDeployment = "second-pipeline-storage"
)

// installation names an installation, with what the test last read of it: an API server that is
// down returns nothing.
type installation struct {
	releaseNamespace, deployment string
	// values are those that it was installed with, as Helm takes them.
	values []string

	mutex      sync.Mutex
	lastPods   []corev1.Pod
	leaderName string
}

// sharedInstallation is the installation that all tests share.
func sharedInstallation() *installation {
	return &installation{releaseNamespace: releaseNamespace, deployment: deployment}
}

// newInstallation installs the chart once more, under a name that is also that of its namespace, for
// the namespaces with the label installation=name. It is uninstalled when the test ends.
func newInstallation(t *testing.T, name string, more ...string) *installation {
	t.Helper()
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		helm, err := shared.Helm(ctx, "helm4")
		require.NoError(t, err)
		_, err = helm.Output(ctx, "uninstall", name, "--namespace", name, "--wait", "--timeout", "2m")
		assert.NoError(t, err)
		removeNamespace(t, name)
	})
	i := &installation{
		releaseNamespace: name, deployment: name + "-pipeline-storage",
		values: append([]string{"--values=" + secondValues, servingOnly(name)}, more...),
	}
	require.NoError(t, install(t.Context(), name, name, i.values...))
	return i
}

// servingOnly is the flag of Helm by which an installation serves the namespaces with the label
// installation=name, in place of all that have none.
func servingOnly(name string) string {
	return `--set-json=namespaceSelector={"matchExpressions":[{"key":"installation","operator":"In","values":["` + name +
		`"]}]}`
}

// second is the installation of the tests that run alone.
func second(t *testing.T, more ...string) *installation {
	t.Helper()
	return newInstallation(t, secondName, more...)
}

// secondLabels are those of a namespace that the second installation serves.
func secondLabels() map[string]string { return map[string]string{"installation": secondName} }

// namespace creates one that the installation serves, for one test.
func (i *installation) namespace(t *testing.T) string {
	t.Helper()
	return shared.Namespace(t, i.releaseNamespace+"-served", map[string]string{"installation": i.releaseNamespace})
}

// podsAndLeader returns the pods of the webhook and the name of the leader, as they are or as they
// were last read.
func (i *installation) podsAndLeader(ctx context.Context) (pods []corev1.Pod, leader string) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	i.mutex.Lock()
	defer i.mutex.Unlock()
	if pods, err := i.pods(ctx); err == nil {
		i.lastPods = pods
	}
	if lease, err := shared.Client.CoordinationV1().Leases(i.releaseNamespace).Get(ctx, i.deployment,
		metav1.GetOptions{}); err == nil && lease.Spec.HolderIdentity != nil {
		i.leaderName, _, _ = strings.Cut(*lease.Spec.HolderIdentity, "_")
	}
	return i.lastPods, i.leaderName
}

// awaitServing waits until all replicas of an installation serve and a labelled pod is admitted.
func (i *installation) awaitServing(t *testing.T, namespace string) {
	t.Helper()
	suite.EventuallyWithin(t, podLimit, "the webhook should serve", func(ctx context.Context) error {
		if err := i.areServing(ctx); err != nil {
			return err
		}
		return admit(ctx, shared.Client, namespace)
	})
}

// areServing returns an error unless there are as many pods as wanted, all of them ready, and the
// Service has exactly their addresses.
func (i *installation) areServing(ctx context.Context) error {
	d, err := shared.Client.AppsV1().Deployments(i.releaseNamespace).Get(ctx, i.deployment, metav1.GetOptions{})
	if err != nil {
		return err
	}
	pods, err := i.pods(ctx)
	if err != nil {
		return err
	}
	if len(pods) != int(*d.Spec.Replicas) {
		return fmt.Errorf("there are %d replicas, not %d", len(pods), *d.Spec.Replicas)
	}
	var own []string
	for k := range pods {
		if !isReady(&pods[k]) {
			return fmt.Errorf("%s is not ready: %s", pods[k].Name, why(&pods[k]))
		}
		own = append(own, pods[k].Status.PodIP)
	}
	found, err := i.endpoints(ctx)
	slices.Sort(own)
	slices.Sort(found)
	if err == nil && !slices.Equal(own, found) {
		err = fmt.Errorf("the Service has the addresses %v, not %v", found, own)
	}
	return err
}

// pods are those of the replicas, with those that end.
func (i *installation) pods(ctx context.Context) ([]corev1.Pod, error) {
	list, err := shared.Client.CoreV1().Pods(i.releaseNamespace).List(ctx,
		metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=pipeline-storage"})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// endpoints are the addresses to which the Service leads.
func (i *installation) endpoints(ctx context.Context) ([]string, error) {
	list, err := shared.Client.DiscoveryV1().EndpointSlices(i.releaseNamespace).List(ctx,
		metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + i.deployment})
	if err != nil {
		return nil, err
	}
	var ready []string
	for k := range list.Items {
		for _, endpoint := range list.Items[k].Endpoints {
			if endpoint.Conditions.Ready != nil && *endpoint.Conditions.Ready {
				ready = append(ready, endpoint.Addresses...)
			}
		}
	}
	return ready, nil
}

// processes are the replicas that run, as the machine's process numbers by their pods' names.
func (i *installation) processes(t *testing.T) map[string]int {
	t.Helper()
	pods, err := i.pods(t.Context())
	require.NoError(t, err)
	running := map[string]int{}
	for k := range pods {
		running[pods[k].Name] = pidOf(t, &pods[k])
	}
	return running
}

// transitions is how often the leader has changed, restarts how often a replica has ended.
func (i *installation) changes(t *testing.T) (transitions, restarts int) {
	t.Helper()
	lease, err := shared.Client.CoordinationV1().Leases(i.releaseNamespace).Get(t.Context(), i.deployment,
		metav1.GetOptions{})
	require.NoError(t, err)
	pods, _ := i.podsAndLeader(t.Context())
	for _, pod := range pods {
		for _, status := range pod.Status.ContainerStatuses {
			restarts += int(status.RestartCount)
		}
	}
	return int(*lease.Spec.LeaseTransitions), restarts
}

// user is the ServiceAccount of an installation, as the audit log has it.
func (i *installation) user() string {
	return "system:serviceaccount:" + i.releaseNamespace + ":" + i.deployment
}

// assertNothingDeleted checks that an installation has requested the deletion of no claim and no
// volume, and returns the number of its requests.
func (i *installation) assertNothingDeleted(t *testing.T) (requests map[string]int) {
	t.Helper()
	events, err := shared.Plane.Audit()
	require.NoError(t, err)
	requests = map[string]int{}
	for _, e := range events {
		if controlplane.Actor(e) != i.user() || e.ObjectRef == nil {
			continue
		}
		requests[e.Verb+" "+e.ObjectRef.Resource]++
		if strings.HasPrefix(e.Verb, "delete") && strings.HasPrefix(e.ObjectRef.Resource, "persistentvolume") {
			assert.Fail(t, "deletion of data was requested", "%s %s", e.Verb, e.RequestURI)
		}
	}
	assert.NotEmpty(t, requests, "the audit log must have the webhook's requests, or their absence proves nothing")
	return requests
}

// pidOf is the process of a replica.
func pidOf(t *testing.T, pod *corev1.Pod) int {
	t.Helper()
	processes, err := shared.Node.Processes(pod.UID)
	require.NoError(t, err)
	for _, p := range processes {
		if p.Name == program {
			return p.PID
		}
	}
	require.Fail(t, "the webhook does not run", pod.Name)
	return 0
}
