package policy

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

// TestConfigurationThatChangesIsServed: an upgrade and a new installation are served, as the first one was. With a
// ConfigMap as a parameter of the policies they were not: an API server on which for a moment no policy has such a
// parameter reads no ConfigMap again until it restarts, and served the configuration before.
// Source: Kubernetes, apiserver, pkg/admission/plugin/policy/generic/policy_source.go, ensureParamsForPolicyLocked.
func TestConfigurationThatChangesIsServed(t *testing.T) {
	t.Parallel()

	const config = "profiles: [{name: default, mount: {path: /one}}]"
	const path = "--set=config.profiles[0].mount.path="
	p := installPolicy(t, "again", config, nil)
	served := func(path string) {
		t.Helper()
		suite.Eventually(t, "pods should be mounted at "+path, func(ctx context.Context) error {
			made, refused := p.admit(ctx, p.policy, `{"metadata":{"name":"a","labels":{"pipeline-storage":"enabled"}},`+
				`"spec":{"containers":[{"name":"main","image":"a"}]}}`)
			if refused != "" || !strings.Contains(made, path) {
				return fmt.Errorf("the pod: %.600s", made+refused)
			}
			return nil
		})
	}
	helm := suite.Helm(t, "helm4")
	served(`"/one"`)
	helm.Must(t, "upgrade", "again", chart, "--namespace=policy-again", "--reuse-values", suite.Unvalidated,
		"--set=config.profiles[0].name=default", path+"/two")
	served(`"/two"`)
	helm.Must(t, "uninstall", "again", "--namespace=policy-again")
	helm.Must(t, "install", "again", chart, "--namespace=policy-again", "--set=mode=policy,claims=false",
		suite.Unvalidated, "--set=config.profiles[0].name=default", path+"/three",
		"--set=namespaceSelector.matchLabels.pair=policy-again")
	served(`"/three"`)
}
