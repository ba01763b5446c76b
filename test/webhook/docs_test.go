package webhook

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/test/parts"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

// TestRunbookCommands runs them with real kubectl, as an administrator of the shared installation.
func TestRunbookCommands(t *testing.T) {
	requireWebhook(t)
	shell := suite.Shell{Programs: parts.Require(t, "kubectl"), Env: []string{"KUBECONFIG=" + suite.Plane(t).Kubeconfig}}
	create(t, shared.Client, newNamespace(t, "runbook", nil), pipeline("a")) // its claim is the subject of an Event
	for _, block := range suite.Blocks(t, "docs/operations.md", "sh") {
		suite.Eventually(t, block, func(ctx context.Context) error {
			result := shell.Run(ctx, t, block)
			if result.Err == nil && strings.Contains(result.Stderr, "No resources found\n") {
				result.Err = errors.New("it finds nothing")
			}
			return result.Err
		})
	}
	namespace := newNamespace(t, "probe", nil)
	probe := probeCommand.FindStringSubmatch(suite.Document(t, "docs/operations.md"))
	require.NotEmpty(t, probe)
	read := " --namespace=" + namespace + " --output='jsonpath={.spec.volumes[*].persistentVolumeClaim.claimName}'"
	assert.Equal(t, claimName, shell.Run(t.Context(), t, probe[1]+read).Must(t))
	awaitReconciled(t)
	assertNoClaims(t, namespace)
}

// probeCommand is in a sentence of the runbook.
var probeCommand = regexp.MustCompile("`(kubectl run probe [^`]*)`")
