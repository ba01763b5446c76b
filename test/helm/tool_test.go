package helm_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/postrender"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

// tool is a Helm that adds storage.
type tool struct {
	*suite.HelmCLI
	// renderer is the value of --post-renderer: a path for Helm 3, the name of a plugin for Helm 4.
	renderer string
}

func helm3(t *testing.T) tool {
	t.Helper()
	return withRenderer(t, suite.Helm(t, "helm3"))
}

func helm4(t *testing.T) tool {
	t.Helper()
	return withRenderer(t, suite.Helm(t, "helm4"))
}

// withRenderer returns a Helm for a cluster that has RayClusters.
func withRenderer(t *testing.T, helm *suite.HelmCLI) tool {
	t.Helper()
	cluster(t)
	renderer := postrenderer(t)
	if helm.Name == "helm4" {
		renderer = "pipeline-storage"
	}
	return tool{HelmCLI: helm, renderer: renderer}
}

// storage are the arguments that add storage to the release.
func (h tool) storage(release, namespace string, args ...string) []string {
	all := []string{"--namespace", namespace, "--post-renderer", h.renderer}
	for _, arg := range append([]string{"--namespace=" + namespace, "--release=" + release}, args...) {
		all = append(all, "--post-renderer-args="+arg)
	}
	return all
}

// template returns the command that renders a chart with storage, as the release "rel" in "team".
func (h tool) template(chart string, args ...string) []string {
	return append([]string{"template", "rel", chart}, h.storage("rel", "team", args...)...)
}

// validated is a command of install or upgrade with Helm's own validation. At least one test of every chart that can be
// installed has it.
func validated(command []string) []string {
	return slices.DeleteFunc(command, func(arg string) bool { return arg == suite.Unvalidated })
}

// install returns the command that installs a chart with storage, without Helm's own validation.
func (h tool) install(release, chart, namespace string, args ...string) []string {
	return append([]string{"install", release, chart, suite.Unvalidated}, h.storage(release, namespace, args...)...)
}

// upgrade returns the command that upgrades a release with storage, without Helm's own validation.
func (h tool) upgrade(release, chart, namespace string, args ...string) []string {
	return append([]string{"upgrade", release, chart, suite.Unvalidated}, h.storage(release, namespace, args...)...)
}

// withBoth runs a test with either Helm.
func withBoth(t *testing.T, test func(t *testing.T, h tool)) {
	t.Helper()
	t.Parallel()
	suite.BothHelms(t, func(t *testing.T, helm *suite.HelmCLI) { test(t, withRenderer(t, helm)) })
}

// example is one of the repository's own charts.
func example(name string) string { return filepath.Join("..", "..", "examples", name) }

// examples are all of them.
var examples = []string{"etl-cronjob", "training-job", "ray-cluster"}

// testchart is a chart of these tests.
func testchart(name string) string { return filepath.Join("testdata", "charts", name) }

// readReport reads what --report wrote.
func readReport(t *testing.T, file string) postrender.Report {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var report postrender.Report
	require.NoError(t, json.Unmarshal(text, &report))
	return report
}

// reasons are the decisions of a report by kind and name, sorted where an object has several pods.
func reasons(report postrender.Report) map[string][]inject.Reason {
	byName := map[string][]inject.Reason{}
	for _, w := range report.Workloads {
		key := w.Kind + "/" + w.Name
		byName[key] = append(byName[key], w.Reason)
	}
	for _, all := range byName {
		slices.Sort(all)
	}
	return byName
}
