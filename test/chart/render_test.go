package chart_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/test/parts"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

// printed has what Helm and Kustomize print, by the command: they run once for all tests that want the same.
var printed sync.Map

// printedBy returns what run prints, which runs once for a key.
func printedBy(t *testing.T, key []string, run func() suite.Result) string {
	t.Helper()
	result, _ := printed.LoadOrStore(strings.Join(key, "\n"), sync.OnceValue(run))
	return result.(func() suite.Result)().Must(t)
}

// templating is the command that renders the chart for the release ps in a namespace.
func templating(namespace string, args ...string) []string {
	return append([]string{"template", "ps", chart, "--namespace", namespace}, args...)
}

// template renders the chart for the release ps in a namespace.
func template(t *testing.T, h *suite.HelmCLI, namespace string, args ...string) string {
	t.Helper()
	command := templating(namespace, args...)
	return printedBy(t, append(command, h.Name), func() suite.Result { return h.Run(t.Context(), command...) })
}

// render returns the objects of the chart.
func render(t *testing.T, namespace string, args ...string) []*unstructured.Unstructured {
	t.Helper()
	return parse(t, template(t, suite.Helm(t, "helm4"), namespace, args...))
}

func parse(t *testing.T, stream string) []*unstructured.Unstructured {
	t.Helper()
	var all []*unstructured.Unstructured
	for document := range strings.SplitSeq(strings.TrimSpace(stream), "\n---\n") {
		object := &unstructured.Unstructured{}
		require.NoError(t, yaml.Unmarshal([]byte(document+"\n"), &object.Object), "%s", document)
		if len(object.Object) > 0 {
			all = append(all, object)
		}
	}
	return all
}

// one returns the only object of a kind.
func one(t *testing.T, all []*unstructured.Unstructured, kind string) *unstructured.Unstructured {
	t.Helper()
	var found []*unstructured.Unstructured
	for _, object := range all {
		if object.GetKind() == kind && object.GetName() != "ps-pipeline-storage-dashboard" {
			found = append(found, object)
		}
	}
	require.Len(t, found, 1, kind)
	return found[0]
}

func TestLint(t *testing.T) {
	t.Parallel()
	suite.BothHelms(t, func(t *testing.T, h *suite.HelmCLI) {
		for name, file := range valueSets(t) {
			assert.NoError(t, h.Run(t.Context(), "lint", "--strict", chart, "--values", file).Err, name)
		}
	})
}

func TestBothHelmsRenderTheSameBytesTwice(t *testing.T) {
	t.Parallel()
	for name, file := range valueSets(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			twice := func(h *suite.HelmCLI) string {
				once := template(t, h, "storage", "--values", file)
				assert.Equal(t, once, h.Must(t, templating("storage", "--values", file)...))
				return once
			}
			three, four := twice(suite.Helm(t, "helm3")), twice(suite.Helm(t, "helm4"))
			assert.ElementsMatch(t, parse(t, three), parse(t, four), "Helm 3 and 4 should render the same objects")
			assert.NotContains(t, three, "caBundle:")
		})
	}
}

func TestSchemaRefuses(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		set string
		exp string
	}{
		"a value that does not exist":             {"replicaCount=3", "replicaCount"},
		"a typo below":                            {"webhook.failurePolcy=Fail", "failurePolcy"},
		"a typo in a profile":                     {"config.profiles[0].name=a,config.profiles[0].mout.path=/x", "mout"},
		"a typo deep in a profile":                {"config.profiles[0].name=a,config.profiles[0].volume.handel=v", "handel"},
		"a word for a number":                     {"port=https", "port"},
		"an invalid port":                         {"port=70000", "port"},
		"a word for true or false":                {"guardrails.enabled=maybe", "enabled"},
		"another apiVersion of the configuration": {"config.apiVersion=v1", "apiVersion"},
	}
	suite.BothHelms(t, func(t *testing.T, h *suite.HelmCLI) {
		for name, c := range cases {
			err := h.Run(t.Context(), "template", "ps", chart, "--set", c.set).Err
			require.ErrorContains(t, err, c.exp, name)
			require.ErrorContains(t, err, "values don't meet the specifications of the schema", name)
		}
	})
}

// No schema can give a reason: what these sentences are about, templates refuse.
func TestSentencesInPlaceOfASchema(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ set, exp string }{
		"the opt-in label on the webhook's pods": {
			"podLabels.pipeline-storage=enabled",
			"podLabels: with pipeline-storage: enabled the pods of the webhook would wait for the webhook itself: leave this " +
				"label out",
		},
		"the opt-in label on everything": {
			"commonLabels.pipeline-storage=enabled",
			"commonLabels: with pipeline-storage: enabled the pods of the webhook would wait for the webhook itself: leave " +
				"this label out",
		},
		"a pod label that the Service looks for": {
			`podLabels.app\.kubernetes\.io/name=a`,
			"podLabels: app.kubernetes.io/name is a label of the chart, by which it finds its own objects: choose another key",
		},
		"a label that the Service looks for": {
			`commonLabels.app\.kubernetes\.io/instance=a`,
			"commonLabels: app.kubernetes.io/instance is a label of the chart, by which it finds its own objects: choose " +
				"another key",
		},
		"an issuer without a name": {
			"certificates.mode=certManager,certificates.certManager.issuerRef.kind=ClusterIssuer",
			"certificates.certManager.issuerRef has no name: set that of your issuer, or leave issuerRef empty to have the " +
				"chart create one",
		},
		"a size without its unit": {
			"config.profiles[0].name=a,config.profiles[0].claim.size=100",
			`config.profiles: profile "a": claim.size 100 is less than 1Mi, which a claim has at least: write the unit, such ` +
				"as 100Gi",
		},
		"variables that are a map": {
			"config.profiles[0].name=a,config.profiles[0].env.A=b", "got object, want string or array",
		},
	}
	suite.BothHelms(t, func(t *testing.T, h *suite.HelmCLI) {
		for name, c := range cases {
			err := h.Run(t.Context(), "template", "ps", chart, "--set", c.set).Err
			require.ErrorContains(t, err, c.exp, name)
			assert.NotRegexp(t, "'(not|oneOf|anyOf)' failed|false schema", err.Error(), "%s: a keyword is not a reason", name)
		}
	})
	text, err := os.ReadFile(chart + "/values.schema.json")
	require.NoError(t, err)
	for _, keyword := range []string{`"not":`, `"oneOf":`, `"anyOf":`, `"if":`, `name": false`} {
		assert.NotContains(t, string(text), keyword, "Helm shows the keyword in place of a reason: let a template fail")
	}
}

func TestConfigMapHoldsAConfigurationForAdmission(t *testing.T) {
	t.Parallel()
	for name, file := range valueSets(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := configOf(t, render(t, "storage", "--values", file))
			assert.NotEmpty(t, config.Profiles)
		})
	}
	shared := configOf(t, render(t, "storage", "--values", "testdata/values/everything.yaml")).Profile("shared")
	assert.Equal(t, int64(1000680000), *shared.FSGroup, "a large number should stay one")
	assert.Equal(t, "1Ti", shared.Claim.Size.String())
}

// configOf loads the configuration as the webhook does.
func configOf(t *testing.T, all []*unstructured.Unstructured) *storage.Config {
	t.Helper()
	text, found, err := unstructured.NestedString(one(t, all, "ConfigMap").Object, "data", "config.yaml")
	require.NoError(t, err)
	require.True(t, found)
	config, _, err := storage.LoadForAdmission([]byte(text))
	require.NoError(t, err, "%s", text)
	return config
}

// The chart has the defaults of package storage from the generated file only: the claims in its notes must
// be those of the package.
func TestNotesNameTheClaimsOfTheProfiles(t *testing.T) {
	t.Parallel()
	const file = "testdata/values/everything.yaml"
	config := configOf(t, render(t, "storage", "--values", file))
	out := suite.Helm(t, "helm3").Must(t, "install", "ps", chart, "--namespace", "storage", "--dry-run=client",
		"--values", file, "--set", "metrics.enabled=false") // whose kinds this API server does not have
	_, notes, found := strings.Cut(out, "NOTES:")
	require.True(t, found)
	for _, profile := range config.Profiles {
		line := profile.Name + ": the claim " + profile.ClaimName(storage.Release{}, "any") + " at " + profile.Mount.Path
		assert.Contains(t, notes, line)
	}
	assert.NotContains(t, notes, "\n\n\n")
}

// metrics are those that the program and its libraries, the API server and kube-state-metrics have.
var metrics = regexp.MustCompile(
	`\b(pipeline_storage|controller_runtime|leader_election|process|apiserver|kube)_[a-z_]+\b`,
)

func TestAlertsAndDashboardAreReadable(t *testing.T) {
	t.Parallel()
	all := render(t, "storage", "--values", "testdata/values/everything.yaml")
	expressions := append(alerts(t, one(t, all, "PrometheusRule")), panels(t)...)
	require.Greater(t, len(expressions), 15)

	checker := parts.Require(t, "promql")["promql"]
	// Grafana fills these in before Prometheus sees them.
	text := strings.NewReplacer("$__rate_interval", "5m", "$namespace", ".+").Replace(strings.Join(expressions, "\n"))
	command := exec.CommandContext(t.Context(), checker)
	command.Stdin = strings.NewReader(text + "\n")
	out, err := command.CombinedOutput()
	require.NoError(t, err, "%s", out)

	known := knownMetrics(t)
	for _, name := range metrics.FindAllString(text, -1) {
		isKnown := slices.Contains(known, name) || slices.Contains(known, ofHistogram.ReplaceAllString(name, ""))
		assert.True(t, isKnown, "an alert or a panel has %s, which no source has: name a metric of a metrics.go, or add "+
			"that of a library to knownMetrics", name)
	}
}

// ofHistogram ends the names of the series that a histogram has.
var ofHistogram = regexp.MustCompile(`_(bucket|sum|count)$`)

// knownMetrics are the names in the sources of the program, and those of its libraries that are used here.
func knownMetrics(t *testing.T) []string {
	t.Helper()
	known := []string{
		"leader_election_master_status",
		"process_resident_memory_bytes", "process_cpu_seconds_total",
		// TestAPIServerHasTheMetrics has a real one.
		"apiserver_admission_webhook_rejection_count", "apiserver_admission_webhook_fail_open_count",
		"apiserver_admission_webhook_admission_duration_seconds",
		// Source: kube-state-metrics, docs/metrics/workload/pod-metrics.md.
		"kube_pod_container_status_restarts_total", "kube_pod_container_status_last_terminated_reason",
	}
	for _, pattern := range []string{"internal/*/*.go", "cmd/webhook/app/*.go"} {
		files, err := filepath.Glob(root + "/" + pattern)
		require.NoError(t, err)
		require.NotEmpty(t, files)
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			known = append(known, metrics.FindAllString(string(text), -1)...)
		}
	}
	return known
}

// alertRule is one rule of a PrometheusRule.
type alertRule struct {
	Alert, Expr         string
	Labels, Annotations map[string]string
}

func rulesIn(t *testing.T, rule *unstructured.Unstructured) []alertRule {
	t.Helper()
	var content struct {
		Spec struct {
			Groups []struct{ Rules []alertRule }
		}
	}
	text, err := json.Marshal(rule.Object)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &content))
	return content.Spec.Groups[0].Rules
}

// runbook is the anchor of one.
var runbook = regexp.MustCompile(`<a id="([a-z]+)">`)

// alerts returns the expressions of the rules, each of which must have a runbook.
func alerts(t *testing.T, rule *unstructured.Unstructured) []string {
	t.Helper()
	text, err := os.ReadFile(root + "/docs/operations.md")
	require.NoError(t, err)
	var runbooks []string
	for _, match := range runbook.FindAllStringSubmatch(string(text), -1) {
		runbooks = append(runbooks, match[1])
	}
	var expressions []string
	for _, r := range rulesIn(t, rule) {
		_, anchor, _ := strings.Cut(r.Annotations["runbook_url"], "#")
		assert.Contains(t, runbooks, anchor, "%s has no runbook", r.Alert)
		assert.Equal(t, strings.ToLower(r.Alert), anchor, r.Alert)
		assert.NotEmpty(t, r.Annotations["summary"], r.Alert)
		assert.NotEmpty(t, r.Annotations["description"], r.Alert)
		assert.Contains(t, []string{"critical", "warning"}, r.Labels["severity"], r.Alert)
		expressions = append(expressions, r.Expr)
	}
	return expressions
}

// panels returns the expressions of the dashboard, whose panels must have different titles and a description.
func panels(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(chart + "/files/dashboard.json")
	require.NoError(t, err)
	var dashboard struct {
		UID, Title string
		Panels     []struct {
			ID                 int
			Title, Description string
			Targets            []struct{ Expr string }
		}
	}
	require.NoError(t, json.Unmarshal(text, &dashboard))
	assert.Equal(t, "pipeline-storage", dashboard.Title)
	seen := map[int]bool{}
	var expressions []string
	for _, p := range dashboard.Panels {
		assert.False(t, seen[p.ID], "the panel %s has the number of another one", p.Title)
		seen[p.ID] = true
		assert.NotEmpty(t, p.Description, p.Title)
		for _, target := range p.Targets {
			expressions = append(expressions, target.Expr)
		}
	}
	return expressions
}
