package policy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

// podsPerSecond are created while the mode changes. An API server takes new policies once a second, so that a moment in
// which it has a part of them lasts that long.
// Source: Kubernetes, apiserver, pkg/admission/plugin/policy/generic/policy_source.go.
const podsPerSecond = 10

// TestChangeOfModeRefusesNoPod changes the mode there and back by the steps of docs/policy-mode.md, while labelled pods
// are created: each has its mount and the annotation of the claims controller.
func TestChangeOfModeRefusesNoPod(t *testing.T) {
	t.Parallel()

	for _, name := range []string{"helm3", "helm4"} { // one after the other: they are a load for API server and webhook
		t.Run(name, func(t *testing.T) {
			m := &move{helm: suite.Helm(t, name), pair: pair{client: suite.Kubernetes(t)}}
			m.policy = suite.Namespace(t, m.client, "moved", map[string]string{"move": name})
			// On a busy machine a webhook can be late. That is no failure. Guardrails have no part in this.
			m.Webhook = suite.InstallWebhook(t.Context(), t, suite.Installation{
				Release: "move", Namespace: "move-" + name,
				Helm: []string{
					"--set=namespaceSelector.matchLabels.move=" + name, "--set=webhook.timeoutSeconds=30,guardrails.enabled=false",
				},
			})
			t.Cleanup(m.Stop)

			ctx, end := context.WithCancel(t.Context())
			done := make(chan suite.Stats, 1)
			go func() {
				done <- suite.Load(ctx, podsPerSecond, func(ctx context.Context, _ int) error { return m.create(ctx) })
			}()
			defer func() {
				end()
				stats := <-done
				t.Logf("%d pods have their storage, %d have not, %d were not created", stats.Done, stats.Failed, stats.Missed)
				assert.Zero(t, stats.Failed, "%v", stats.Errors)
				assert.NotZero(t, stats.Done)
			}()
			m.change(t)
		})
	}
}

// move is an installation whose mode changes.
type move struct {
	*suite.Webhook
	pair

	helm *suite.HelmCLI
}

// change goes from the webhook to the policies and back. The webhook is away whenever it need not be there: a rollout
// ends its pods before Helm removes what calls them.
func (m *move) change(t *testing.T) {
	t.Helper()

	m.upgrade(t, "both")
	require.NoError(t, m.WriteConfiguration(t.Context()))
	suite.Eventually(t, "the API server should evaluate the policy", func(ctx context.Context) error {
		return m.isEvaluated(ctx, true)
	})
	m.Stop()
	suite.Eventually(t, "the policies should serve beside a webhook that is away", m.areInForce)
	m.upgrade(t, "policy")
	suite.Eventually(t, "the policies should serve alone", m.areInForce)

	m.upgrade(t, "both")
	require.NoError(t, m.Start(t.Context(), 1))
	m.upgrade(t, "webhook")
	suite.Eventually(t, "the policies should go", func(ctx context.Context) error { return m.isEvaluated(ctx, false) })
}

// upgrade sets the mode.
func (m *move) upgrade(t *testing.T, mode string) {
	t.Helper()
	m.helm.Must(t, "upgrade", m.Release, chart, "--namespace="+m.Namespace, "--reuse-values", "--set=mode="+mode,
		suite.Unvalidated)
}

// create creates a labelled pod and returns an error unless it has storage.
func (m *move) create(ctx context.Context) error {
	const pod = `{"metadata":{"name":"a","labels":{"pipeline-storage":"enabled"}},` +
		`"spec":{"containers":[{"name":"main","image":"a"}]}}`
	made, refused := m.admit(ctx, m.policy, pod)
	switch {
	case refused != "":
		return errors.New("refused: " + refused)
	case !strings.Contains(made, `"mountPath":"/data"`),
		!strings.Contains(made, `"pipeline-storage.io/injected":"default"`):
		return errors.New("admitted without storage: " + made)
	default:
		return nil
	}
}

// isEvaluated returns nil when the API server does, or does not, evaluate the policy that mounts for the pods of a
// second.
func (m *move) isEvaluated(ctx context.Context, want bool) error {
	var counts [2]string
	for i := range counts {
		text, err := m.client.CoreV1().RESTClient().Get().AbsPath("/metrics").Do(ctx).Raw()
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "apiserver_mutating_admission_policy_check_total{") &&
				strings.Contains(line, fmt.Sprintf("policy=%q", m.Namespace+"."+m.Name)) {
				counts[i] = line
			}
		}
		time.Sleep(time.Second)
	}
	if is := counts[0] != counts[1]; is != want {
		return fmt.Errorf("is it evaluated: %t", is)
	}
	return nil
}
