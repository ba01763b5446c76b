package policy

import (
	"path/filepath"
	"strings"
	"testing"

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
	commands := suite.Blocks(t, filepath.Join("docs", "policy-mode.md"), "sh")
	require.Len(t, commands, 2, "run the new block here, too")
	install := strings.TrimSpace(commands[0]) + " --set namespaceSelector.matchLabels.document=policy-mode"
	shell.Run(t.Context(), t, install).Must(t)
	_, err = suite.Kubernetes(t).AdmissionregistrationV1().MutatingAdmissionPolicies().
		Get(t.Context(), "storage.pipeline-storage", metav1.GetOptions{})
	require.NoError(t, err)
	shell.Run(t.Context(), t, "helm uninstall pipeline-storage --namespace storage").Must(t)

	shell.Run(t.Context(), t, strings.Replace(install, "mode=policy", "mode=webhook", 1)).Must(t)
	shell.Run(t.Context(), t, strings.ReplaceAll(commands[1], " --wait", "")).Must(t)
	configurations, err := suite.Kubernetes(t).AdmissionregistrationV1().MutatingWebhookConfigurations().
		List(t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/instance=pipeline-storage"})
	require.NoError(t, err)
	require.Empty(t, configurations.Items)
}
