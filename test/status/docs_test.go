package status

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

const document = "docs/status.md"

// documentedRole is the ClusterRole of the document.
func documentedRole(t *testing.T) *rbacv1.ClusterRole {
	t.Helper()
	blocks := suite.Blocks(t, document, "yaml")
	i := slices.IndexFunc(blocks, func(b string) bool { return strings.HasPrefix(b, "apiVersion: rbac") })
	require.GreaterOrEqual(t, i, 0, "docs/status.md has a ClusterRole")
	role := &rbacv1.ClusterRole{}
	require.NoError(t, yaml.UnmarshalStrict([]byte(blocks[i]), role))
	return role
}

// TestRunsDocumentedCommands runs them with the real kubectl, as an administrator.
func TestRunsDocumentedCommands(t *testing.T) {
	admin := suite.Plane(t).Kubeconfig
	for _, block := range suite.Blocks(t, document, "sh") {
		shell(t, admin, block).Must(t)
	}
	for _, block := range suite.Blocks(t, "docs/nothing-mounted.md", "sh") {
		if strings.HasPrefix(block, "kubectl pipeline-storage ") {
			shell(t, admin, block).Must(t)
		}
	}
	out, _, code := kubectl(t, admin, "plugin", "list")
	assert.Zero(t, code)
	assert.Contains(t, out, "kubectl-pipeline_storage")
}
