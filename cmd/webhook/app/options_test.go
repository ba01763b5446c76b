package app

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/internal/drift"
	"github.com/pipeline-storage/pipeline-storage/internal/selection"
)

// complete are the flags without which the program does not start.
const complete = "--namespace storage --installation storage.ps --webhook-configuration ps --service ps " +
	"--certificate-secret ps-tls"

// policyMode are the flags without which the program does not start in policy mode.
const policyMode = "--webhook=false --namespace storage --installation storage.ps --admission-policy ps"

func TestParseOptions(t *testing.T) {
	t.Setenv("POD_NAMESPACE", "from-env")
	t.Setenv("POD_NAME", "ps-0")
	o, err := ParseOptions(strings.Fields("--installation storage.ps --webhook-configuration ps --service ps " +
		"--certificate-secret ps-tls"))
	require.NoError(t, err)
	assert.Equal(t, "from-env", o.Namespace)
	assert.Equal(t, "ps-0", o.PodName)
	assert.Equal(t, 9443, o.Port)
	assert.Equal(t, 10*time.Second, o.Drain)
	assert.Equal(t, 30*time.Second, o.PendingAfter)
	assert.True(t, o.LeaderElect)
	assert.True(t, o.Claims)
	assert.False(t, o.HTTP2, "API servers call a Service over HTTP/1.1")
	assert.Empty(t, o.PprofAddress, "profiles are served on request only")

	c := o.certificates()
	assert.True(t, c.Self)
	assert.Equal(t, "from-env/ps-tls", c.Secret.String())
	assert.Contains(t, c.DNSNames, "ps.from-env.svc")
}

func TestParseOptionsRefuses(t *testing.T) {
	t.Setenv("POD_NAMESPACE", "")
	for name, tt := range map[string]struct {
		args string
		exp  []string
	}{
		"an unknown flag": {complete + " --prot 1", []string{"unknown flag: --prot (see --help)"}},
		"an argument":     {complete + " x", []string{`unexpected argument "x"`}},
		"everything that is missing": {"", []string{
			"--webhook-configuration is missing", "--namespace is missing",
			"--service is missing", "--certificate-secret is missing", "--installation is missing",
		}},
		"an unknown source": {
			complete + " --certificates acme",
			[]string{`--certificates: "acme" is not one of self, files`},
		},
		"an unknown level": {
			complete + " --log-level all",
			[]string{`--log-level: "all" is not one of debug, info, error`},
		},
		"an unknown format": {
			complete + " --log-format xml",
			[]string{`--log-format: "xml" is not one of json, text`},
		},
		"an odd installation": {
			complete + " --installation a/b",
			[]string{`--installation: "a/b" is not a value of a label`},
		},
		"a policy and a webhook": {
			complete + " --admission-policy ps",
			[]string{
				"--admission-policy: it is for --webhook=false, and --webhook-configuration is for the webhook: remove one",
			},
		},
		"everything that is missing in policy mode": {"--webhook=false", []string{
			"--admission-policy is missing: without a webhook it selects the namespaces that are served",
			"--namespace is missing", "--installation is missing",
		}},
		"webhooks in policy mode": {
			policyMode + " --webhook-configuration ps",
			[]string{"--webhook-configuration: with --webhook=false the namespaces are those of --admission-policy"},
		},
		"nothing to run": {
			policyMode + " --claims=false", []string{"--webhook=false and --claims=false leave nothing to run: remove one"},
		},
		"a negative drain": {complete + " --drain -1s", []string{"--drain: must not be negative"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseOptions(strings.Fields(tt.args))
			for _, exp := range tt.exp {
				assert.ErrorContains(t, err, exp)
			}
		})
	}
}

func TestParseOptionsNeedsOnlyWhatIsUsed(t *testing.T) {
	t.Setenv("POD_NAMESPACE", "")
	_, err := ParseOptions(strings.Fields("--webhook-configuration ps --certificates files --leader-elect=false " +
		"--claims=false"))
	assert.NoError(t, err)
}

// TestPolicyModeNeedsNoWebhook: neither certificates nor a Service, and the selection is the policy's.
func TestPolicyModeNeedsNoWebhook(t *testing.T) {
	t.Setenv("POD_NAMESPACE", "")
	o, err := ParseOptions(strings.Fields(policyMode + " --certificates any"))
	require.NoError(t, err)
	assert.Equal(t, selection.ByPolicy("ps"), o.selection())
	_, err = ParseOptions(strings.Fields("--webhook=false --leader-elect=false --installation storage.ps " +
		"--admission-policy ps"))
	require.NoError(t, err)

	o, err = ParseOptions(strings.Fields(complete))
	require.NoError(t, err)
	assert.True(t, o.Webhook)
	assert.Equal(t, selection.ByWebhooks("ps"), o.selection())
}

func TestRepairNeedsTheRightToPatch(t *testing.T) {
	for name, tt := range map[string]struct {
		args string
		want bool
	}{
		"self":                         {complete, true},
		"a Secret of one's own":        {complete + " --certificates files --inject-ca", true},
		"cert-manager":                 {complete + " --certificates files", false},
		"self, and a user who refuses": {complete + " --repair-webhooks=false", false},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := ParseOptions(strings.Fields(tt.args + " --expected-webhooks webhooks.yaml"))
			require.NoError(t, err)
			assert.Equal(t, drift.Options{File: "webhooks.yaml", WebhookConfiguration: "ps", Repair: tt.want}, o.drift())
		})
	}
}

func TestMainPrints(t *testing.T) {
	for name, tt := range map[string]struct {
		args      []string
		code      int
		out, errs string
	}{
		"the version":   {[]string{"--version"}, 0, "webhook ", ""},
		"the help":      {[]string{"-h"}, 0, "--webhook-configuration", ""},
		"what is wrong": {[]string{"--bad"}, 1, "", "webhook: unknown flag: --bad"},
		"that the file is missing": {
			append(strings.Fields(complete), "--config", "/nowhere/config.yaml", "--kubeconfig", "testdata/kubeconfig"), 1, "",
			"webhook: read the configuration: open /nowhere/config.yaml: no such file or directory",
		},
		"that there is no API server": {
			append(strings.Fields(complete), "--kubeconfig", "/nowhere/kubeconfig"), 1, "",
			"webhook: find the API server: ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errs bytes.Buffer
			assert.Equal(t, tt.code, Main(tt.args, &out, &errs))
			assert.Contains(t, out.String(), tt.out)
			assert.Contains(t, errs.String(), tt.errs)
			if tt.errs == "" {
				assert.Empty(t, errs.String())
			}
		})
	}
}

func TestAdmitted(t *testing.T) {
	for name, tt := range map[string]struct {
		injected  string
		code      int
		out, errs string
	}{
		"an annotation": {"default", 0, "admitted with the storage of default\n", ""},
		"no annotation": {"", 1, "", "webhook: this pod has no injected annotation: no webhook admitted it with storage\n"},
		"two of it":     {"default,models", 0, "admitted with the storage of default,models\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errs bytes.Buffer
			assert.Equal(t, tt.code, Main([]string{"--admitted=" + tt.injected}, &out, &errs))
			assert.Equal(t, tt.out, out.String())
			assert.Equal(t, tt.errs, errs.String())
		})
	}
}
