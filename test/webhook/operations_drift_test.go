package webhook

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/pipeline-storage/pipeline-storage/internal/drift"
	"github.com/pipeline-storage/pipeline-storage/test/process"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

const driftGauge = "pipeline_storage_webhook_configuration_drift"

// webhooksRewritten does what a stolen token of the replicas may do: it widens the rules and drops
// a selector. Every replica reports it and stays ready; the leader restores the webhooks.
func webhooksRewritten(t *testing.T, s *site) {
	config, err := suite.ServiceAccountConfig(t.Context(), s.Client, suite.Plane(t), s.Namespace, s.Name)
	require.NoError(t, err)
	thief, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	before, err := s.live(t.Context())
	require.NoError(t, err)
	attack := []byte(`[
		{"op": "replace", "path": "/webhooks/0/rules/0/resources", "value": ["pods", "secrets"]},
		{"op": "replace", "path": "/webhooks/0/objectSelector", "value": {}}
	]`)
	_, err = thief.AdmissionregistrationV1().MutatingWebhookConfigurations().Patch(t.Context(), s.configuration(),
		types.JSONPatchType, attack, metav1.PatchOptions{})
	require.NoError(t, err, "the certificate mode self gives this right")

	const fields = "webhook " + webhookName + ": rules, objectSelector"
	for _, replica := range s.Replicas {
		awaitDrift(t, replica, 1, fields)
	}
	suite.Eventually(t, "there should be an Event on the MutatingWebhookConfiguration", func(ctx context.Context) error {
		events, err := s.Client.EventsV1().Events(metav1.NamespaceDefault).List(ctx,
			metav1.ListOptions{FieldSelector: "reason=" + drift.ReasonDrift})
		if err != nil {
			return err
		}
		for i := range events.Items {
			if e := &events.Items[i]; e.Regarding.Name == s.configuration() && strings.Contains(e.Note, fields) {
				assert.Equal(t, corev1.EventTypeWarning, e.Type)
				return nil
			}
		}
		return fmt.Errorf("none of %d Events is about it", len(events.Items))
	})
	suite.EventuallyWithin(t, 2*drift.DefaultRepairAfter+10*time.Second, "the webhooks should be restored",
		func(ctx context.Context) error {
			live, err := s.live(ctx)
			if err == nil && len(live.Rules[0].Resources) > 1 {
				err = fmt.Errorf("the rules are %v", live.Rules)
			}
			return err
		})
	after, err := s.live(t.Context())
	require.NoError(t, err)
	assert.Equal(t, before, after, "the caBundle included")
	for _, replica := range s.Replicas {
		awaitDrift(t, replica, 0, "webhooks: ok\n")
	}
}

// awaitDrift waits until a replica, which stays ready all the time, reports a difference, or none.
func awaitDrift(t *testing.T, replica *suite.Replica, want float64, detail string) {
	t.Helper()
	suite.Eventually(t, replica.Pod+" should report the webhooks", func(ctx context.Context) error {
		text, err := process.Get(ctx, "http://"+replica.Health+"/readyz")
		require.NoError(t, err)
		value, err := sumOf(ctx, replica, driftGauge)
		if err == nil && (value != want || !strings.Contains(text, detail)) {
			err = fmt.Errorf("%s is %v, and /readyz is %q", driftGauge, value, text)
		}
		return err
	})
}
