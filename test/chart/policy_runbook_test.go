package chart_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pipeline-storage/pipeline-storage/test/parts"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

const (
	policyDocument = "docs/policy-mode.md"
	// policyName is the name of both policies in the document.
	policyName = "storage.pipeline-storage"
)

// TestPolicyRunbook removes what docs/policy-mode.md lists as missing, one after the other. The API server's message
// is the one of the document, and the upgrade of the document creates what is missing.
func TestPolicyRunbook(t *testing.T) {
	t.Parallel()
	h := suite.Helm(t, "helm4")
	h.Must(t, "install", "pipeline-storage", chart, "--namespace=storage", "--create-namespace", "--set=mode=policy",
		"--set=namespaceSelector.matchLabels.kubernetes\\.io/metadata\\.name=default")
	shell := suite.Shell{
		Dir: root, Env: []string{"KUBECONFIG=" + suite.Plane(t).Kubeconfig},
		Programs: map[string]string{"helm": h.Program, "kubectl": parts.Require(t, "kubectl")["kubectl"]},
	}
	_, runbook, found := strings.Cut(suite.Document(t, policyDocument), "\n## When a pod is refused or has no storage\n")
	require.True(t, found)
	upgrade := ""
	for _, block := range suite.BlocksIn(runbook, "sh") {
		if strings.HasPrefix(block, "helm upgrade") {
			upgrade = block
		}
		suite.Eventually(t, block, func(ctx context.Context) error { return finds(shell.Run(ctx, t, block)) })
	}
	require.NotEmpty(t, upgrade)

	admission, options := suite.Kubernetes(t).AdmissionregistrationV1(), metav1.DeleteOptions{}
	for message, remove := range map[string]func() error{
		"has no storage: the MutatingAdmissionPolicy did not mount it": func() error {
			return admission.MutatingAdmissionPolicyBindings().Delete(t.Context(), policyName, options)
		},
	} {
		require.Contains(t, runbook, message)
		require.NoError(t, remove(), message)
		suite.Eventually(t, message, func(ctx context.Context) error {
			if err := createLabelled(ctx, t, "default", "default"); err == nil || !strings.Contains(err.Error(), message) {
				return fmt.Errorf("another message, or none: %w", err)
			}
			return nil
		})
		shell.Run(t.Context(), t, upgrade).Must(t)
		suite.Eventually(t, "labelled pods should be admitted again", func(ctx context.Context) error {
			return createLabelled(ctx, t, "default", "default")
		})
	}
}

// finds returns an error where a command has failed, or found nothing.
func finds(result suite.Result) error {
	if result.Err == nil && (result.Stdout == "" || strings.Contains(result.Stderr, "No resources found")) {
		return errors.New("it finds nothing")
	}
	return result.Err
}
