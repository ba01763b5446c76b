package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

const (
	webhookName = "storage.pipeline-storage.io"
	// rolloutRate is the load of a rollout, in admissions a second, and operationsRate that of the
	// operations beside which other tests run.
	rolloutRate, operationsRate = 200, 50
	// mostUnderWay is how many of them may be under way: more than an idle machine needs for the rate.
	mostUnderWay = 16
	// leastRate is what a busy machine must do of them, or there was no load.
	leastRate = 10
	// around is how long the load runs before and after the operation under test.
	around = time.Second
	// drain is how long the replicas of TestReplicaOperations answer after SIGTERM.
	drain = 6 * time.Second
)

// step is an operation on an installation, and what must hold during it and after it.
type step struct {
	name string
	run  func(t *testing.T, s *installation, namespace string)
}

// inSteps does them one after the other. Each begins when all replicas serve.
func (i *installation) inSteps(t *testing.T, namespace string, steps []step) {
	t.Helper()
	for _, s := range steps {
		t.Run(s.name, func(t *testing.T) {
			i.awaitServing(t, namespace)
			s.run(t, i, namespace)
		})
	}
}

// TestReplicaOperations does to the replicas of one installation what an administrator does.
func TestReplicaOperations(t *testing.T) {
	requireNode(t)
	t.Parallel()
	s := newInstallation(t, "replicas", fmt.Sprintf("drainSeconds=%d", drain/time.Second))
	s.inSteps(t, s.namespace(t), []step{
		{"no replica runs", allReplicasGone},
		{"a replica drains", replicaDrains},
		{"the configuration is broken and put right", configurationBroken},
	})
}

// allReplicasGone shows the cost of failurePolicy Fail, and its limits: pods without the label, and
// the webhook's own pods, which can start again.
func allReplicasGone(t *testing.T, s *installation, namespace string) {
	s.scale(t, 0)
	suite.Eventually(t, "labelled pods should be refused", func(ctx context.Context) error {
		if pods, err := s.pods(ctx); err != nil || len(pods) > 0 {
			return errors.Join(err, fmt.Errorf("%d replicas still run", len(pods)))
		}
		if admit(ctx, shared.Client, namespace) == nil {
			return errors.New("a labelled pod was admitted")
		}
		return nil
	})
	pods := shared.Client.CoreV1().Pods(namespace)
	_, err := pods.Create(t.Context(), idle("refused"), metav1.CreateOptions{})
	require.ErrorContains(t, err, `failed calling webhook "`+webhookName+`"`, "the error must name the webhook")
	_, err = pods.Get(t.Context(), "refused", metav1.GetOptions{})
	require.Error(t, err, "a refused pod is not there")
	made, err := pods.Create(t.Context(), withoutStorageLabel(idle("bystander")), metav1.CreateOptions{})
	require.NoError(t, err)
	assert.Empty(t, made.Annotations)
	// A label of the product does not tie the webhook's own namespace to it, or it could never
	// start again.
	_, err = shared.Client.CoreV1().Pods(s.releaseNamespace).Create(t.Context(), hardened(idle("own")), dryRun)
	require.NoError(t, err)

	s.scale(t, 2)
	s.awaitServing(t, namespace)
}

func (i *installation) scale(t *testing.T, replicas int32) {
	t.Helper()
	_, err := shared.Client.AppsV1().Deployments(i.releaseNamespace).UpdateScale(t.Context(), i.deployment,
		&autoscalingv1.Scale{
			ObjectMeta: metav1.ObjectMeta{Name: i.deployment, Namespace: i.releaseNamespace},
			Spec:       autoscalingv1.ScaleSpec{Replicas: replicas},
		}, metav1.UpdateOptions{})
	require.NoError(t, err)
}

// refusesNoPod runs do under load, and checks that every pod was admitted with its storage. The rate
// is offered, not promised: a machine that cannot do it makes fewer requests, which is logged.
func refusesNoPod(t *testing.T, namespace string, rate int, do func()) {
	t.Helper()
	stats := underLoadOf(t, namespace, rate, mostUnderWay, func() {
		time.Sleep(around)
		do()
		time.Sleep(around)
	})
	assert.Zero(t, stats.Failed, "%v", stats.Errors)
	assert.Greater(t, stats.Done, leastRate*int(stats.Elapsed.Seconds()), "this was no load")
	claims, err := shared.Client.CoreV1().PersistentVolumeClaims(namespace).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	assert.Empty(t, claims.Items, "dry runs create nothing")
}

// TestRolloutRefusesNoPod does what kubectl rollout restart does, alone on the machine, because its
// load is high.
func TestRolloutRefusesNoPod(t *testing.T) {
	requireNode(t)
	s, namespace := sharedInstallation(), newNamespace(t)
	s.awaitServing(t, namespace)
	before := s.processes(t)
	ended := s.followEnds(t)
	refusesNoPod(t, namespace, rolloutRate, func() {
		patch := fmt.Sprintf(`{"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":%q}}}}}`,
			time.Now().Format(time.RFC3339Nano))
		_, err := shared.Client.AppsV1().Deployments(s.releaseNamespace).Patch(t.Context(), s.deployment,
			types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{})
		require.NoError(t, err)
		s.awaitReplaced(t, before)
	})
	for name := range before {
		assert.Zero(t, ended.code(t, name), "%s ended with another code than 0 after SIGTERM", name)
	}
}

// awaitReplaced waits until other pods serve and those from before no longer exist.
func (i *installation) awaitReplaced(t *testing.T, before map[string]int) {
	t.Helper()
	suite.EventuallyWithin(t, 2*time.Minute, "all replicas should be replaced", func(ctx context.Context) error {
		pods, err := i.pods(ctx)
		if err != nil {
			return err
		}
		for k := range pods {
			if _, old := before[pods[k].Name]; old {
				return fmt.Errorf("%s is still there", pods[k].Name)
			}
		}
		return i.areServing(ctx)
	})
}
