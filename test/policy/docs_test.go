package policy

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pipeline-storage/pipeline-storage/test/parts"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

// TestDocumentedCommands runs the commands of docs/policy-mode.md: an installation, and the change from the webhook.
// They do not wait, because nothing runs pods here, and serve no namespace of the other tests.
func TestDocumentedCommands(t *testing.T) {
	t.Parallel()

	root, err := parts.Repository()
	require.NoError(t, err)
	shell := suite.Shell{
		Dir: root, Env: []string{"KUBECONFIG=" + suite.Plane(t).Kubeconfig},
		Programs: map[string]string{
			"helm": parts.Require(t, "helm4")["helm4"], "kubectl": parts.Require(t, "kubectl")["kubectl"],
		},
	}
	client := suite.Kubernetes(t)
	namespace := suite.Namespace(t, client, "document", map[string]string{"document": "policy-mode"})
	commands := suite.Blocks(t, filepath.Join("docs", "policy-mode.md"), "sh")
	require.Len(t, commands, 5, "run the new block here, too")
	install := strings.TrimSpace(commands[0]) + " --set namespaceSelector.matchLabels.document=policy-mode"
	shell.Run(t.Context(), t, install).Must(t)
	suite.Eventually(t, "the documented command should show the claim", func(ctx context.Context) error {
		shown := shell.Run(ctx, t, strings.Replace(commands[2], "kubectl run", "kubectl --namespace "+namespace+" run", 1))
		if shown.Err != nil || shown.Stdout != "pvc-data-pipeline" {
			return fmt.Errorf("it shows %q: %w", shown.Stdout, shown.Err)
		}
		return nil
	})
	shown := shell.Run(t.Context(), t, commands[3]).Must(t)
	assert.Contains(t, shown, "mutatingadmissionpolicy.admissionregistration.k8s.io/storage.pipeline-storage ")
	assert.Contains(t, shown, "validatingadmissionpolicybinding.admissionregistration.k8s.io/storage.pipeline-storage ")
	shell.Run(t.Context(), t, commands[4]).Must(t)
	shell.Run(t.Context(), t, "helm uninstall pipeline-storage --namespace storage").Must(t)

	shell.Run(t.Context(), t, strings.Replace(install, "mode=policy", "mode=webhook", 1)).Must(t)
	shell.Run(t.Context(), t, strings.ReplaceAll(commands[1], " --wait", "")).Must(t)
	configurations, err := client.AdmissionregistrationV1().MutatingWebhookConfigurations().
		List(t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/instance=pipeline-storage"})
	require.NoError(t, err)
	assert.Empty(t, configurations.Items)
}
