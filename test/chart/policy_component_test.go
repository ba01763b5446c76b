package chart_test

import (
	"flag"
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/pipeline-storage/pipeline-storage/test/parts"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

var update = flag.Bool("update", false, "write config/policy/policies.yaml")

// policyVersion is the first Kubernetes that serves what mode policy installs.
const policyVersion = "1.36.0"

// policyTemplates are the templates of the chart that config/policy has as objects of its own.
var policyTemplates = []string{
	"mutatingadmissionpolicy", "mutatingadmissionpolicybinding", "validatingadmissionpolicy",
	"validatingadmissionpolicybinding", "validatingadmissionpolicy-warnings",
	"validatingadmissionpolicybinding-warnings",
}

// TestPolicyComponentIsGenerated compares the policies of config/policy with those that the chart makes of the
// profiles of config/manager. With -update it writes them.
func TestPolicyComponentIsGenerated(t *testing.T) {
	t.Parallel()
	const file = root + "/config/policy/policies.yaml"
	config, err := os.ReadFile(root + "/config/manager/config.yaml")
	require.NoError(t, err)
	asJSON, err := yaml.YAMLToJSON(config)
	require.NoError(t, err)
	args := []string{
		"template", "pipeline-storage", chart, "--namespace", "pipeline-storage", "--kube-version", policyVersion,
		"--set=mode=policy", "--set-json=config=" + string(asJSON),
	}
	for _, name := range policyTemplates {
		args = append(args, "--show-only=templates/"+name+".yaml")
	}
	rendered := suite.Shell{}.Exec(t.Context(), t, parts.Require(t, "helm4")["helm4"], args...).Must(t)
	want := "# Generated from the chart and config/manager/config.yaml by make generate. Do not edit.\n" +
		ofRelease.ReplaceAllString(rendered, "")
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(want), 0o644))
	}
	got, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, want, string(got), "write config/policy/policies.yaml by make generate")
}

// ofRelease are the lines that only a release has, and empty ones.
var ofRelease = regexp.MustCompile(
	`(?m)^ *(?:(?:# Source|helm\.sh/chart|app\.kubernetes\.io/(?:version|managed-by)):.*)?\n`)
