package status

import (
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

// What a person copies from the document.
var (
	commandBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")
	roleBlock    = regexp.MustCompile("(?s)```yaml\n(apiVersion: rbac.*?)```")
)

func document(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/status.md")
	require.NoError(t, err)
	return string(text)
}

// documentedRole is the ClusterRole of the document.
func documentedRole(t *testing.T) *rbacv1.ClusterRole {
	t.Helper()
	block := roleBlock.FindStringSubmatch(document(t))
	require.NotNil(t, block, "docs/status.md has a ClusterRole")
	role := &rbacv1.ClusterRole{}
	require.NoError(t, yaml.UnmarshalStrict([]byte(block[1]), role))
	return role
}

// TestRunsDocumentedCommands runs them with the real kubectl, as an administrator.
func TestRunsDocumentedCommands(t *testing.T) {
	start(t)
	blocks := commandBlock.FindAllStringSubmatch(document(t), -1)
	require.NotEmpty(t, blocks)
	for _, block := range blocks {
		shell(t, "set -eu\n"+block[1])
	}
	out, _, code := kubectl(t, shared.plane.Kubeconfig, "plugin", "list")
	assert.Zero(t, code)
	assert.Contains(t, out, "kubectl-pipeline_storage")
}
