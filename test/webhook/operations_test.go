package webhook

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/test/benchadmission/reviews"
	"github.com/pipeline-storage/pipeline-storage/test/cluster"
)

const (
	webhookName   = "storage.pipeline-storage.io"
	configuration = releaseNamespace + "." + deployment
	claimName     = "pvc-data-pipeline"
	serviceHost   = deployment + "." + releaseNamespace + ".svc"
	mountPath     = "/data"
	replicaCount  = 2
)

// TestOperations does to one installation what operations do: everything that can end ends, and
// comes back. The steps follow each other on a cluster of their own, and each begins when the one
// before has left all replicas serving.
func TestOperations(t *testing.T) {
	t.Parallel()
	isolate(t)
	s := newSite(t)
	for _, step := range []struct {
		name string
		run  func(*testing.T, *site)
	}{
		{"no replica runs", allReplicasGone},
		{"both replicas are rolled under load", rolledUnderLoad},
		{"the configuration is broken and put right", configurationBroken},
		{"a replica drains", replicaDrains},
		{"bodies that are not reviews", oddBodies},
		{"the caBundle is wiped", bundleWiped},
		{"the webhooks are rewritten with the replicas' token", webhooksRewritten},
		{"the leader is killed", leaderKilled},
		{"the leader loses its Lease under load", leaseLost},
		{"the API server is killed", serverKilled},
	} {
		t.Run(step.name, func(t *testing.T) {
			s.awaitServing(t)
			step.run(t, s)
		})
	}
	s.nothingIsLeft(t)
}

// site is a cluster with one installation, which these tests may harm.
type site struct {
	*cluster.Cluster
	// load makes many requests: it speaks protobuf, to leave the CPUs to the programs under test.
	load kubernetes.Interface
	// namespace is for pods that no check reads afterwards, most of them dry runs.
	namespace string
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{Cluster: cluster.Require(t, cluster.Options{Nodes: 3}), namespace: reviews.Namespace}
	config := rest.CopyConfig(s.Config)
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.WarningHandler = rest.NoWarnings{}
	var err error
	s.load, err = kubernetes.NewForConfig(config)
	require.NoError(t, err)
	s.makeNamespace(t, s.namespace)
	require.NoError(t, install(t.Context(), s.Cluster, release, releaseNamespace))
	return s
}

// makeNamespace creates a namespace that can have pods. It is not deleted: its cluster ends with
// the test.
func (s *site) makeNamespace(t *testing.T, name string) {
	t.Helper()
	_, err := s.Client.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	require.NoError(t, err)
	cluster.Eventually(t, "the namespace should get its account", func(ctx context.Context) error {
		_, err := s.Client.CoreV1().ServiceAccounts(name).Get(ctx, "default", metav1.GetOptions{})
		return err
	})
}

// nothingIsLeft checks that thousands of dry runs have created nothing.
func (s *site) nothingIsLeft(t *testing.T) {
	t.Helper()
	claims, err := s.Client.CoreV1().PersistentVolumeClaims(s.namespace).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	assert.Empty(t, claims.Items)
}

// labelled is a pod that requests storage.
func labelled(name string) *corev1.Pod {
	pod := unlabelled(name)
	pod.Labels = map[string]string{kinds.Label: kinds.LabelEnabled}
	return pod
}

func unlabelled(name string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "example/image"}}},
	}
}

// admit has a labelled pod admitted, without creating it, and returns where its storage is mounted.
// A pod that is admitted without storage is an error: that is the worst outcome.
func (s *site) admit(ctx context.Context) (path string, err error) {
	pod, err := s.load.CoreV1().Pods(s.namespace).Create(ctx, labelled("dry"),
		metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	if err != nil {
		return "", err
	}
	return mountOf(pod)
}

func mountOf(pod *corev1.Pod) (path string, err error) {
	for _, mount := range pod.Spec.Containers[0].VolumeMounts {
		for _, volume := range pod.Spec.Volumes {
			if volume.Name == mount.Name && volume.PersistentVolumeClaim != nil &&
				volume.PersistentVolumeClaim.ClaimName == claimName {
				return mount.MountPath, nil
			}
		}
	}
	return "", fmt.Errorf("the pod %s was admitted without storage", pod.Name)
}

// replicas are the running processes of the webhook.
func (s *site) replicas() []cluster.Process { return s.Kubelet.Processes(releaseNamespace) }

// awaitServing waits until all replicas serve, the API server has exactly their addresses, and gets
// an answer.
func (s *site) awaitServing(t *testing.T) {
	t.Helper()
	cluster.Eventually(t, "all replicas should serve", func(ctx context.Context) error {
		if err := s.areServing(ctx); err != nil {
			return err
		}
		_, err := s.admit(ctx)
		return err
	})
}

func (s *site) areServing(ctx context.Context) error {
	running := s.replicas()
	if len(running) != replicaCount {
		return fmt.Errorf("%d replicas run, not %d", len(running), replicaCount)
	}
	var own []string
	for _, p := range running {
		own = append(own, p.Address.String())
		status, text, err := get(ctx, p, healthPort, "/readyz")
		if err != nil || status != 200 {
			return errors.Join(fmt.Errorf("%s answers %d: %s", p.Pod, status, text), err)
		}
	}
	known, err := s.endpoints(ctx)
	slices.Sort(own)
	slices.Sort(known)
	if err == nil && !slices.Equal(own, known) {
		err = fmt.Errorf("the Service has the addresses %v, not %v", known, own)
	}
	return err
}

// endpoints are the addresses to which the Service leads.
func (s *site) endpoints(ctx context.Context) ([]string, error) {
	slices, err := s.Client.DiscoveryV1().EndpointSlices(releaseNamespace).List(ctx,
		metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + deployment})
	if err != nil {
		return nil, err
	}
	var ready []string
	for i := range slices.Items {
		for _, endpoint := range slices.Items[i].Endpoints {
			if endpoint.Conditions.Ready != nil && *endpoint.Conditions.Ready {
				ready = append(ready, endpoint.Addresses...)
			}
		}
	}
	return ready, nil
}

func (s *site) scale(t *testing.T, replicas int32) {
	t.Helper()
	_, err := s.Client.AppsV1().Deployments(releaseNamespace).UpdateScale(t.Context(), deployment, &autoscalingv1.Scale{
		ObjectMeta: metav1.ObjectMeta{Name: deployment, Namespace: releaseNamespace},
		Spec:       autoscalingv1.ScaleSpec{Replicas: replicas},
	}, metav1.UpdateOptions{})
	require.NoError(t, err)
}

// liveWebhook reads the webhook as API servers have it.
func (s *site) liveWebhook(ctx context.Context) (*admissionregistrationv1.MutatingWebhook, error) {
	live, err := s.Client.AdmissionregistrationV1().MutatingWebhookConfigurations().Get(ctx, configuration,
		metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	if len(live.Webhooks) != 1 || live.Webhooks[0].Name != webhookName {
		return nil, fmt.Errorf("the configuration %s has other webhooks than %s", configuration, webhookName)
	}
	return &live.Webhooks[0], nil
}

// allReplicasGone shows the cost of failurePolicy Fail, and its limits: pods without the label, and
// the webhook itself.
func allReplicasGone(t *testing.T, s *site) {
	pods := s.Client.CoreV1().Pods(s.namespace)
	s.scale(t, 0)
	cluster.Eventually(t, "labelled pods should be refused", func(ctx context.Context) error {
		_, err := s.admit(ctx)
		if err == nil {
			return errors.New("a labelled pod was admitted")
		}
		if len(s.replicas()) > 0 {
			return errors.New("a replica still runs")
		}
		return nil
	})

	_, err := pods.Create(t.Context(), labelled("refused"), metav1.CreateOptions{})
	require.ErrorContains(t, err, `failed calling webhook "`+webhookName+`"`, "the error must name the webhook")
	_, err = pods.Get(t.Context(), "refused", metav1.GetOptions{})
	require.Error(t, err, "a refused pod is not there")
	made, err := pods.Create(t.Context(), unlabelled("bystander"), metav1.CreateOptions{})
	require.NoError(t, err)
	assert.Empty(t, made.Annotations)
	// A label of the product does not tie the webhook's own namespace to it, or it could never
	// start again.
	_, err = s.Client.CoreV1().Pods(releaseNamespace).Create(t.Context(), labelled("own"),
		metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	require.NoError(t, err)

	s.scale(t, replicaCount)
	s.awaitServing(t)
	path, err := s.admit(t.Context())
	require.NoError(t, err)
	assert.Equal(t, mountPath, path)
}

// errorsOf are the messages of a load's failures.
func errorsOf(stats cluster.Stats) string {
	messages := make([]string, 0, len(stats.Errors))
	for _, err := range stats.Errors {
		messages = append(messages, err.Error())
	}
	return strings.Join(messages, "\n")
}
